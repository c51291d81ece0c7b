"""Generation and screening: builders, and every way a stage can end, by direct call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida.common.links import LinkType
from aiida.orm import CalcJobNode, Dict, RemoteData, StructureData

from aiida_icsg3d.workflows.generate import GenerateWorkChain
from aiida_icsg3d.workflows.screen import ScreenWorkChain


@pytest.fixture
def job(localhost: Any, tmp_path: Path) -> Any:
    """Return a factory of stored jobs of a stage."""

    def build(stage: str, exit_status: int = 0, message: str = "", **results: Any) -> CalcJobNode:
        node = CalcJobNode(computer=localhost, process_type=f"aiida.calculations:icsg3d.{stage}")
        node.set_exit_status(exit_status)
        node.set_exit_message(message)
        node.set_process_state("finished")
        node.store()
        outputs = {"results": Dict(results), "remote_folder": RemoteData(computer=localhost, remote_path=str(tmp_path))}
        for label, output in outputs.items():
            output.base.links.add_incoming(node, link_type=LinkType.CREATE, link_label=label)
            output.store()
        return node

    return build


@pytest.fixture
def process(workchain: Any, fake_code: Any, model: Any) -> Any:
    """Return a GenerateWorkChain that has not begun; submitted stages are collected in ``submitted``."""
    builder = GenerateWorkChain.get_builder_from_protocol(
        fake_code(), model("vae"), model("unet"), model("prior"), n_samples=9, protocol="fast"
    )
    built = workchain(GenerateWorkChain, builder)
    built.attached, built.submitted = {}, {}
    built.out = built.attached.__setitem__
    built.run_stage = lambda name, **folders: built.submitted.update({name: folders})
    return built


def test_fields_are_handed_on(process: Any, job: Any) -> None:
    process.ctx.sample, process.ctx.segment = job("sample", counts={"samples": 9}), job("segment")
    assert process.segment() is None
    assert process.rebuild() is None
    fields = process.ctx.sample.outputs.remote_folder.uuid
    assert process.submitted["segment"]["fields_folder"].uuid == fields
    assert process.submitted["rebuild"]["fields_folder"].uuid == fields
    assert process.submitted["rebuild"]["segments_folder"].uuid == process.ctx.segment.outputs.remote_folder.uuid
    assert process.attached["sample_results"].get_dict()["counts"] == {"samples": 9}


@pytest.mark.parametrize(
    ("stage", "step", "status"), [("sample", "segment", 431), ("segment", "rebuild", 432), ("rebuild", "results", 433)]
)
def test_a_stage_fails(process: Any, job: Any, stage: str, step: str, status: int) -> None:
    process.ctx[stage] = node = job(stage, 331, "memory ran out")
    exit_code = getattr(process, step)()
    assert exit_code.status == status
    assert f"the stage {stage}, job<{node.pk}>, ended with exit status 331: memory ran out" in exit_code.message
    assert process.submitted == {}


def test_nothing_rebuilt(process: Any, job: Any) -> None:
    process.ctx.rebuild = job("rebuild", 420, "too few peaks", counts={"samples": 9, "rebuilt": 0})
    exit_code = process.results()
    assert exit_code.status == 420
    assert exit_code.message == "none of the 9 samples could be rebuilt: too few peaks"
    assert process.attached["results"].get_dict()["counts"]["rebuilt"] == 0


def test_builder(fake_code: Any, model: Any) -> None:
    base = StructureData(cell=[[4, 0, 0], [0, 4, 0], [0, 0, 4]])
    base.append_atom(symbols="Po", position=(0, 0, 0))
    builder = GenerateWorkChain.get_builder_from_protocol(
        fake_code(), model("vae"), model("unet"), base={"po": base}, elements=["O", "Ti"], seed=4
    )
    assert builder.sample.settings.get_dict() == {
        "seed": 4, "mode": "base", "n_samples": 1000, "elements": ["O", "Ti"],
    }  # fmt: skip
    assert builder.segment.settings.get_dict() == {"seed": 4, "elements": ["O", "Ti"]}
    assert builder.rebuild.settings.get_dict() == {"seed": 4}
    models = (model("vae"), model("unet"), model("prior", elements=[8, 22], targets=["gap"]))
    aimed = GenerateWorkChain.get_builder_from_protocol(fake_code(), *models, targets={"gap": 1.5})
    assert aimed.sample.settings["targets"] == {"gap": 1.5}
    with pytest.raises(ValueError, match="target gap: can be asked for in mode 'prior', not in mode 'base'"):
        GenerateWorkChain.get_builder_from_protocol(fake_code(), *models, base={"po": base}, targets={"gap": 1.5})


def test_what_is_asked_for_reaches_the_sampling_and_the_segmentation(fake_code: Any, model: Any) -> None:
    models = (model("vae", spacing=0.4), model("unet", spacing=0.4), model("prior", elements=[8, 22, 82], spacing=0.4))
    asked = {"composition": "Pb2Ti2O6", "crystal_system": "tetragonal", "n_atoms": None}
    builder = GenerateWorkChain.get_builder_from_protocol(fake_code(), *models, asked=asked)
    settings = builder.sample.settings.get_dict()
    assert settings["composition"] == "Pb2Ti2O6"
    assert settings["crystal_system"] == "tetragonal"
    assert "n_atoms" not in settings
    assert builder.segment.settings["elements"] == ["O", "Pb", "Ti"]
    # the rebuilding keeps it, in a cell of as many atoms, unless it is told not to
    assert builder.rebuild.settings.get_dict() == {"seed": 0, "composition": "Pb2Ti2O6"}
    again = GenerateWorkChain.get_builder_from_protocol(fake_code(), *models, asked={**asked, "n_atoms": 20})
    assert again.rebuild.settings["n_atoms"] == 20
    free = {"rebuild": {"settings": {"composition": None}}}
    other = GenerateWorkChain.get_builder_from_protocol(fake_code(), *models, asked=asked, overrides=free)
    assert other.rebuild.settings["composition"] is None
    with pytest.raises(ValueError, match="one capital letter an element"):
        GenerateWorkChain.get_builder_from_protocol(fake_code(), *models, asked={"anonymous_formula": "AAB"})


def test_screen_ends(workchain: Any, fake_code: Any, model: Any, dataset: Any, remote: Any, job: Any) -> None:
    builder = ScreenWorkChain.get_builder_from_protocol(fake_code(), remote(), {"a": model("cgcnn")}, dataset, top=7)
    assert builder.screen.settings.get_dict() == {"seed": 0, "top": 7}
    process = workchain(ScreenWorkChain, builder)
    attached: dict[str, Any] = {}
    process.out = attached.__setitem__
    process.ctx.screen = job("screen", 421, "all known")
    assert process.results().status == 421
    assert "results" in attached
    process.ctx.screen = node = job("screen", 390, "KeyError")
    exit_code = process.results()
    assert (exit_code.status, f"<{node.pk}>" in exit_code.message) == (434, True)
    process.ctx.screen = job("screen")
    assert process.results() is None

"""The whole chain with a fake program: what is linked, what is attached, and every way it can end."""

from __future__ import annotations

from typing import Any

import pytest
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.engine.processes.utils import prune_mapping
from aiida.orm import (
    CalcJobNode,
    Dict,
    QueryBuilder,
    RemoteData,
    SinglefileData,
    StructureData,
    WorkChainNode,
)
from aiida.plugins import DataFactory

from aiida_icsg3d.data import TrainedModelData
from aiida_icsg3d.workflows.discover import DiscoverWorkChain
from aiida_icsg3d.workflows.generate import GenerateWorkChain
from aiida_icsg3d.workflows.screen import ScreenWorkChain
from aiida_icsg3d.workflows.summary import funnel, summarise_run
from aiida_icsg3d.workflows.train import TrainWorkChain
from aiida_icsg3d.workflows.train_all import TrainAllWorkChain
from aiida_icsg3d.workflows.validate import ValidateWorkChain
from tests.aiida import made_up
from tests.aiida.process_nodes import finished


@pytest.fixture
def models(model: Any) -> dict[str, Any]:
    """Return a full set of models."""
    return {"vae": model("vae"), "unet": model("unet"), "prior": model("prior"), "predictors": {"a": model("cgcnn")}}


def test_whole_chain(fake_code: Any, dataset: Any) -> None:
    """Train, generate and screen; from a crystal one can walk back to the dataset."""
    builder = DiscoverWorkChain.get_builder_from_protocol(
        {"icsg3d": fake_code()},
        dataset=dataset,
        n_relaxations=0,
        n_samples=4,
        seed=3,
        elements=["Sr", "Ti", "O"],
        prerelax=False,
    )
    assert builder.screen.screen.reference.uuid == dataset.uuid
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    summary = outputs["summary"].get_dict()
    assert summary["funnel"] == {
        "sampled": 4, "rebuilt": 4, "valid": 4, "unique": 4, "novel": 4, "selected": 2, "relaxed": 0, "failed": 0,
    }  # fmt: skip
    best = summary["candidates"][0]
    assert (best["id"], best["rank"], best["formula"], best["relax"]) == ("s000002", 1, "BaZrO3", None)
    assert outputs["table"].filename == "screening.csv"

    train, generate = node.called[:2]
    assert set(train.outputs) == {"unet", "vae", "prior", "cgcnn"}
    jobs = {n.inputs.train.settings.get_dict()["network"]: n.called[0] for n in train.called}
    assert jobs["vae"].inputs.unet.uuid == train.outputs.unet.uuid
    assert jobs["prior"].inputs.vae.uuid == train.outputs.vae.uuid
    assert jobs["cgcnn"].ctime < jobs["vae"].ctime

    crystal = QueryBuilder().append(StructureData, filters={"uuid": best["uuid"]}).one()[0]
    assert crystal.label == "BaZrO3 s000002"
    rebuild = crystal.creator
    sample = rebuild.inputs.fields_folder.creator
    jobs_below = [stage.called[0].pk for stage in generate.called]
    assert jobs_below == [sample.pk, rebuild.inputs.segments_folder.creator.pk, rebuild.pk]
    assert rebuild.inputs.segments_folder.creator.inputs.unet.creator.inputs.dataset.uuid == dataset.uuid
    assert sample.inputs.vae.creator.pk == jobs["vae"].pk
    assert sample.inputs.settings.get_dict() == {
        "mode": "prior", "n_samples": 4, "seed": 3, "elements": ["Sr", "Ti", "O"],
    }  # fmt: skip

    # a crystal is linked once, where it is born; only the selected ones enter the summary
    links = crystal.base.links.get_incoming().all()
    assert [(link.node.pk, link.link_label) for link in links] == [(rebuild.pk, "crystals__s000002")]
    assert {link.node.pk for link in crystal.base.links.get_outgoing().all()} == {outputs["summary"].creator.pk}
    assert rebuild.outputs.crystals.s000000.base.links.get_outgoing().all() == []


def structure(a: float) -> StructureData:
    """Return a crystal of one atom."""
    node = StructureData(cell=[[a, 0, 0], [0, a, 0], [0, 0, a]])
    node.append_atom(symbols="Po", position=(0, 0, 0))
    return node


GENERATED = {
    "sample_results": {"counts": {"samples": 9}},
    "results": {"counts": {"rebuilt": 8}},
}
SCREENED = {"tables": {"funnel": {"crystals": 8, "valid": 7, "unique": 6, "novel": 5, "selected": 3}}}
ROWS = {name: {"id": name, "formula": "Po", "rank": rank} for rank, name in enumerate("cab", start=1)}


@pytest.fixture
def chain(workchain: Any, fake_code: Any, models: Any, dataset: Any) -> Any:
    """Return a chain without DFT that has not begun; its outputs are collected in ``attached``."""
    builder = DiscoverWorkChain.get_builder_from_protocol(
        {"icsg3d": fake_code()}, models=models, reference=dataset, n_relaxations=0
    )
    process = workchain(DiscoverWorkChain, builder)
    process.attached = {}
    process.out = process.attached.__setitem__
    return process


@pytest.fixture
def relaxing(chain: Any) -> Any:
    """Return a function that gives a chain which stands before the end of the relaxations."""

    def build(validate: WorkChainNode) -> Any:
        chain.ctx.generate = finished(GenerateWorkChain, {k: Dict(v) for k, v in GENERATED.items()})
        selected = {"ids": list("cab"), "rows": ROWS}
        chain.ctx.screen = finished(ScreenWorkChain, {"results": Dict(SCREENED), "selected": Dict(selected)})
        chain.ctx.selected = {name: structure(4.0).store() for name in "cab"}
        chain.ctx.validate = validate
        return chain

    return build


def test_nothing_rebuilt(chain: Any) -> None:
    outputs = {"sample_results": Dict({"counts": {"samples": 9}}), "results": Dict({"counts": {"rebuilt": 0}})}
    chain.ctx.generate = finished(GenerateWorkChain, outputs, 420, "none of the 9 samples: too few peaks")
    exit_code = chain.screen()
    assert exit_code.status == 420
    assert "too few peaks" in exit_code.message
    assert chain.attached["summary"].get_dict() == {"funnel": {**funnel({}), "sampled": 9}, "candidates": []}


def test_generation_fails(chain: Any) -> None:
    outputs = {"sample_results": Dict({"counts": {"samples": 9}})}
    chain.ctx.generate = node = finished(GenerateWorkChain, outputs, 402, "no GPU here")
    exit_code = chain.screen()
    assert exit_code.status == 452
    assert f"GenerateWorkChain<{node.pk}>, ended with exit status 402: no GPU here" in exit_code.message
    assert chain.attached["summary"].get_dict()["funnel"]["sampled"] == 9


def test_training_fails(chain: Any) -> None:
    chain.ctx.train = finished(TrainAllWorkChain, {}, 402, "the training of the vae")
    exit_code = chain.generate()
    assert exit_code.status == 451
    assert chain.attached == {}


def test_nothing_selected(chain: Any, localhost: Any) -> None:
    rebuild = CalcJobNode(computer=localhost, process_type="aiida.calculations:icsg3d.rebuild").store()
    folder = RemoteData(computer=localhost, remote_path="/nowhere")
    folder.base.links.add_incoming(rebuild, link_type=LinkType.CREATE, link_label="remote_folder")
    chain.ctx.generate = finished(GenerateWorkChain, {k: Dict(v) for k, v in GENERATED.items()})
    folder.store().base.links.add_incoming(chain.ctx.generate, link_type=LinkType.RETURN, link_label="crystals_folder")
    results = Dict({"tables": {"funnel": {"crystals": 8, "valid": 7, "selected": 0}}})
    outputs = {"results": results, "selected": Dict({"ids": [], "rows": {}}), "table": SinglefileData.from_string("id")}
    chain.ctx.screen = finished(ScreenWorkChain, outputs, 421, "nothing passed")
    exit_code = chain.select()
    assert exit_code.status == 421
    assert "crystals 8, valid 7, selected 0" in exit_code.message
    assert chain.attached["summary"].get_dict()["funnel"]["valid"] == 7
    assert "table" in chain.attached


def test_screening_fails(chain: Any) -> None:
    chain.ctx.generate = finished(GenerateWorkChain, {k: Dict(v) for k, v in GENERATED.items()})
    chain.ctx.screen = finished(ScreenWorkChain, {}, 434, "disk full")
    assert chain.select().status == 434
    assert chain.attached["summary"].get_dict()["funnel"]["rebuilt"] == 8


def outcome(status: str) -> dict[str, Any]:
    """Return what the validation says of one crystal."""
    return {"status": status, "reason": None if status == "relaxed" else "no convergence", "energy_eV": -1.5}


def test_one_failed_relaxation_is_no_failure(relaxing: Any) -> None:
    results = Dict({"c": outcome("failed"), "a": outcome("relaxed")})
    process = relaxing(finished(ValidateWorkChain, {"results": results, "relaxed__a": structure(3.9)}))
    assert process.results() is None
    summary = process.attached["summary"].get_dict()
    assert summary["funnel"] == {
        "sampled": 9, "rebuilt": 8, "valid": 7, "unique": 6, "novel": 5, "selected": 3, "relaxed": 1, "failed": 1,
    }  # fmt: skip
    entries = {entry["id"]: entry for entry in summary["candidates"]}
    assert [entry["id"] for entry in summary["candidates"]] == list("cab")
    assert (entries["c"]["relax"]["status"], entries["a"]["relax"]["status"], entries["b"]["relax"]) == (
        "failed", "relaxed", None,
    )  # fmt: skip
    assert entries["a"]["uuid"] == process.ctx.selected["a"].uuid
    assert entries["a"]["relaxed_uuid"] == process.attached["relaxed"]["a"].uuid
    assert entries["c"]["relaxed_uuid"] is None


def test_all_relaxations_failed(relaxing: Any) -> None:
    results = Dict({"c": outcome("failed")})
    process = relaxing(finished(ValidateWorkChain, {"results": results}, 422, "None of the 1 relaxations succeeded"))
    exit_code = process.results()
    assert exit_code.status == 422
    assert "ValidateWorkChain<" in exit_code.message
    assert process.attached["summary"].get_dict()["funnel"]["failed"] == 1


def test_validation_cannot_begin(relaxing: Any) -> None:
    process = relaxing(finished(ValidateWorkChain, {}, 202, "The pseudopotential family cannot be used"))
    exit_code = process.results()
    assert exit_code.status == 453
    assert "exit status 202" in exit_code.message
    assert process.attached["summary"].get_dict()["funnel"]["selected"] == 3


def test_fewer_candidates_than_relaxations(relaxing: Any) -> None:
    process = relaxing(finished(ValidateWorkChain, {}))
    process.ctx.chosen = list("ca")
    process.ctx.starts = {name: process.ctx.selected[name] for name in "ca"}
    launched: dict[str, Any] = {}
    process.exposed_inputs = lambda *_: {}
    process.launch = lambda _process, name, inputs: launched.update({name: inputs})
    assert process.should_relax()
    process.relax()
    assert {k: v.uuid for k, v in launched["validate"]["structures"].items()} == {
        name: process.ctx.selected[name].uuid for name in "ca"
    }


def test_funnel_of_nothing() -> None:
    assert set(funnel({}).values()) == {0}
    assert list(funnel({})) == ["sampled", "rebuilt", "valid", "unique", "novel", "selected", "relaxed", "failed"]


def test_summary_of_a_run_that_got_nowhere() -> None:
    assert summarise_run(sample=Dict({"counts": {"samples": 3}})).get_dict()["funnel"]["sampled"] == 3


def refuse(**kwargs: Any) -> str:
    """Return what the builder says."""
    with pytest.raises(ValueError, match=r".") as caught:
        DiscoverWorkChain.get_builder_from_protocol(**kwargs)
    return str(caught.value)


def test_builder_refuses(fake_code: Any, models: dict[str, Any], dataset: Any, model: Any) -> None:
    codes = {"icsg3d": fake_code()}
    common: dict[str, Any] = {"codes": codes, "models": models, "reference": dataset, "n_relaxations": 0}
    assert "accepted are" in refuse(**{**common, "codes": {**codes, "quantum": codes["icsg3d"]}})
    assert "no code for the stage pw" in refuse(**{**common, "n_relaxations": 1})
    assert "either `models`" in refuse(**common, dataset=dataset)
    assert "models.vae holds a unet network" in refuse(**{**common, "models": {**models, "vae": model("unet")}})
    assert "models gan: accepted" in refuse(**{**common, "models": {**models, "gan": model("unet")}})
    assert "no pretrained model nothing/vae" in refuse(**{**common, "models": "nothing"})
    assert "discover.n_relaxation: no such key" in refuse(**common, overrides={"n_relaxation": 1})
    assert "n_sample" in refuse(**common, overrides={"generate": {"sample": {"settings": {"n_sample": 1}}}})
    assert "generate.sampel: no such key" in refuse(**common, overrides={"generate": {"sampel": {}}})
    assert "Oo" in refuse(**common, elements=["Oo"])


def test_inputs_refused(fake_code: Any, models: dict[str, Any], dataset: Any) -> None:
    build = DiscoverWorkChain.get_builder_from_protocol
    spec = DiscoverWorkChain.spec().inputs

    def message(**changes: Any) -> str:
        builder = build({"icsg3d": fake_code()}, models=models, reference=dataset, n_relaxations=0)
        inputs = {**prune_mapping(dict(builder)), **changes}
        error = spec.validate(spec.pre_process({k: v for k, v in inputs.items() if v is not None}))
        return error.message if error else ""

    whole = DataFactory("core.int")
    assert message() == ""
    assert "models.vae, models.unet, models.predictors missing" in message(models=None)
    assert "models.predictors missing" in message(models={"vae": models["vae"], "unet": models["unet"]})
    assert "validation" in message(n_relaxations=whole(2))
    assert "must be 0 or more" in message(n_relaxations=whole(-1))
    assert "n_phonons is -1" in message(n_phonons=whole(-1))
    assert "n_phonons is 1, but only 0 are relaxed" in message(n_phonons=whole(1))


def test_options_and_codes_by_stage(fake_code: Any, models: dict[str, Any], dataset: Any) -> None:
    code = fake_code()
    builder = DiscoverWorkChain.get_builder_from_protocol(
        {"sample": code, "segment": code, "rebuild": code, "screen": code.full_label}, models=models, reference=dataset,
        n_relaxations=0, options={"icsg3d": {"queue_name": "cpu"}, "sample": {"queue_name": "gpu"}},
        overrides={"screen": {"screen": {"settings": {"top": 3}}}},
    )  # fmt: skip
    assert builder.generate.sample.metadata.options["queue_name"] == "gpu"
    assert builder.generate.rebuild.metadata.options["queue_name"] == "cpu"
    assert builder.screen.screen.code.uuid == code.uuid
    assert builder.screen.screen.settings.get_dict() == {"seed": 0, "top": 3}


def test_only_what_was_asked_for_passes_the_screening(fake_code: Any, models: dict[str, Any], dataset: Any) -> None:
    builder = DiscoverWorkChain.get_builder_from_protocol(
        {"icsg3d": fake_code()}, models=models, reference=dataset, n_relaxations=0,
        asked={"anonymous_formula": "ABC3", "n_atoms": 10},
    )  # fmt: skip
    assert builder.generate.sample.settings["n_atoms"] == 10
    assert builder.screen.screen.settings["anonymous_formula"] == "ABC3"
    assert builder.screen.screen.settings["n_atoms"] == 10


def test_training_of_all_keeps_what_succeeded(workchain: Any, fake_code: Any, dataset: Any, tmp_path: Any) -> None:
    """The U-Net failed; the CGCNN, which ran beside it, is not lost, and no VAE is begun."""
    builder = TrainAllWorkChain.get_builder_from_protocol(fake_code(), dataset)
    process = workchain(TrainAllWorkChain, builder)
    attached: dict[str, Any] = {}
    process.out = attached.__setitem__
    process.ctx.unet = unet = finished(TrainWorkChain, {}, 402, "no space")
    model = TrainedModelData(made_up.write_model(tmp_path / "m.safetensors", "cgcnn", 77))
    process.ctx.cgcnn = finished(TrainWorkChain, {"model": model})
    assert process.train_vae() is None
    assert process.train_prior() is None
    exit_code = process.results()
    assert exit_code.status == 441
    assert f"<{unet.pk}>, ended with exit status 402: no space" in exit_code.message
    assert set(attached) == {"cgcnn"}


def test_novelty_that_was_not_judged_is_not_counted() -> None:
    screened = {"tables": {"funnel": {"crystals": 8, "valid": 7, "unique": 6, "selected": 3}}}
    assert "novel" not in funnel({"screen": screened})
    assert funnel({})["novel"] == 0

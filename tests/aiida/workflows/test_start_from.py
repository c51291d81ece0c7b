"""A training that starts from an earlier set: U-Net and VAE are kept, the prior learns on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_icsg3d.data import CrystalDatasetData
from aiida_icsg3d.data.fingerprints import content, join_fingerprints
from aiida_icsg3d.data.pretrained import pretrained_fingerprint
from aiida_icsg3d.launch import Training, plan_training
from aiida_icsg3d.setup import prepare_code
from aiida_icsg3d.setup.models import collect_models, find_reference
from aiida_icsg3d.workflows.train_all import TrainAllWorkChain
from icsg3d_models.comparison.fingerprint import fingerprint_of, joined
from icsg3d_models.comparison.matching import primitive_structure
from icsg3d_models.comparison.pair_distances import separations
from icsg3d_models.data.datasets import Dataset
from tests.aiida import made_up

KNOWN = list(range(1, 80))


@pytest.fixture
def start(model: Any, tmp_path: Path) -> dict[str, Any]:
    """Return an earlier set, and the fingerprint of what it was trained on."""
    found = {name: model(name, elements=KNOWN) for name in ("unet", "vae", "prior", "cgcnn")}
    return {**found, "fingerprint": pretrained_fingerprint("perov5")}


@pytest.fixture
def structures(tmp_path: Path) -> CrystalDatasetData:
    """Return crystals without any property."""
    crystals = made_up.crystals(8)
    path = tmp_path / "structures.h5"
    Dataset(crystals, {}, np.array([0] * 6 + [1, 2], dtype=np.uint8), {}, "structures", "nobody").write(path)
    return CrystalDatasetData(path).store()


def test_unet_and_vae_are_kept_and_the_prior_learns_on(fake_code: Any, dataset: Any, start: dict[str, Any]) -> None:
    builder: Any = TrainAllWorkChain.get_builder_from_protocol(fake_code(), dataset, start_from=start, protocol="fast")
    optimiser = builder.prior.train.settings["optimiser"]
    assert (optimiser["max_steps"], optimiser["learning_rate"]) == (250, pytest.approx(3e-4))
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    trained = {
        n.inputs.train.settings.get_dict()["network"]: n for n in node.called if isinstance(n, orm.WorkChainNode)
    }
    assert set(trained) == {"prior", "cgcnn"}
    job = trained["prior"].called[0]
    given = {name: job.inputs[name].uuid for name in ("unet", "vae", "initial")}
    assert given == {"unet": start["unet"].uuid, "vae": start["vae"].uuid, "initial": start["prior"].uuid}
    kept = {name: outputs[name].uuid == start[name].uuid for name in ("unet", "vae", "prior", "cgcnn")}
    assert kept == {"unet": True, "vae": True, "prior": False, "cgcnn": False}
    # a run with these models judges novelty by both trainings
    models = collect_models([str(node.pk)])
    reference: Any = find_reference([str(node.pk)], models)
    assert reference.uuid == outputs["fingerprint"].uuid
    assert len(content(outputs["fingerprint"])) > len(content(start["fingerprint"]))


def test_structures_alone_are_enough(fake_code: Any, structures: Any, start: dict[str, Any]) -> None:
    builder = TrainAllWorkChain.get_builder_from_protocol(fake_code(), structures, start_from=start, protocol="fast")
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    assert outputs["cgcnn"].uuid == start["cgcnn"].uuid
    before = content(start["fingerprint"])
    assert len(content(outputs["fingerprint"])) == len(before) + 6  # the training part


def test_a_crystal_of_either_training_is_known(structures: Any) -> None:
    crystals = made_up.crystals(2)
    both = joined(fingerprint_of(crystals.take([0]), "one"), fingerprint_of(crystals.take([1]), "other"))
    assert both.name == "one and other"
    for row in range(2):
        assert both.holds(crystals.formulas()[row], separations(primitive_structure(crystals, row)))
    before: Any = pretrained_fingerprint("perov5")
    again = content(join_fingerprints(structures, before))
    assert list(again.formulas) == sorted(again.formulas)
    assert again.holds("SrTiO3", separations(primitive_structure(crystals, 0)))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"conditions": ["gap"]}, "can aim at no property, and not at gap"),
        (
            {"overrides": {"vae": {"settings": {"optimiser": {"max_epochs": 3}}}}},
            "vae: kept as the set that it starts from has them",
        ),
        ({"lost": "prior"}, "the set to start from has no prior"),
    ],
)
def test_what_the_earlier_set_has_settled(
    fake_code: Any, start: dict[str, Any], more: dict[str, Any], message: str
) -> None:
    start.pop(more.pop("lost", ""), None)
    source = orm.SinglefileData.from_string("id,cif\n", filename="crystals.csv")
    preparation = {"name": "mine", "properties": {"gap": "gap"}}
    with pytest.raises(ValueError, match=message):
        TrainAllWorkChain.get_builder_from_protocol(
            fake_code(), source=source, preparation=preparation, start_from=start, **more
        )


def test_a_network_is_trained_or_kept(fake_code: Any, dataset: Any, start: dict[str, Any]) -> None:
    builder: Any = TrainAllWorkChain.get_builder_from_protocol(fake_code(), dataset, start_from=start)
    del builder.start_from.vae
    with pytest.raises(ValueError, match="either the namespace `vae` to train it, or"):
        TrainAllWorkChain(inputs=builder._inputs(prune=True))


@pytest.mark.usefixtures("aiida_profile_clean")
def test_the_command_says_what_is_kept_and_refuses_foreign_elements(
    localhost: orm.Computer, dataset: Any, tmp_path: Path
) -> None:
    prepare_code(localhost, "icsg3d", None, Path("/bin/true"))
    request = Training(dataset=dataset.pk, start_from="wide")
    before = orm.QueryBuilder().append(orm.Node).count()
    plan = plan_training(request, request.builder())
    assert orm.QueryBuilder().append(orm.Node).count() == before
    assert plan.planned == {"TrainCalculation": 2}
    assert "kept as wide has them: unet, vae; the prior learns on from there" in plan.text
    crystals = made_up.crystals(8)
    crystals.numbers[crystals.numbers == 56] = 86  # radon
    path = tmp_path / "radon.h5"
    Dataset(crystals, {}, np.zeros(8, dtype=np.uint8), {}, "radon", "nobody").write(path)
    foreign = Training(dataset=CrystalDatasetData(path).store().pk, start_from="wide")
    with pytest.raises(ValueError, match="wide does not know Rn; leave those crystals out"):
        plan_training(foreign, foreign.builder())

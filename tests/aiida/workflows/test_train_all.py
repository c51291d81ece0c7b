"""The training of all networks, from a source on."""

from __future__ import annotations

from typing import Any

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.orm import Dict

from aiida_icsg3d.data import TrainedModelData
from aiida_icsg3d.workflows.train import TrainWorkChain
from aiida_icsg3d.workflows.train_all import NETWORKS, TrainAllWorkChain
from tests.aiida import made_up
from tests.aiida.process_nodes import finished


@pytest.fixture
def preparing(workchain: Any, fake_code: Any) -> Any:
    """Return a run that builds its dataset first; its outputs are collected in ``attached``."""
    builder = TrainAllWorkChain.get_builder_from_protocol(
        fake_code(), source=orm.SinglefileData.from_string("id,cif\n", filename="crystals.csv"),
        preparation={"name": "mine", "properties": {"gap": "gap"}},
    )  # fmt: skip
    process = workchain(TrainAllWorkChain, builder)
    process.attached = {}
    process.out = process.attached.__setitem__
    return process


def job(status: int, message: str) -> orm.CalcJobNode:
    """Return a preparation that ended."""
    node = orm.CalcJobNode(process_type="aiida.calculations:icsg3d.prepare")
    node.set_process_label("PrepareCalculation")
    node.set_process_state("finished")
    node.set_exit_status(status)
    node.set_exit_message(message)
    return node.store()


def test_training_goes_on_with_the_dataset_that_was_built(preparing: Any, dataset: Any) -> None:
    assert preparing.should_prepare()
    preparing.ctx.prepare = node = job(0, "")
    copy = dataset.clone()
    copy.base.links.add_incoming(node, link_type=LinkType.CREATE, link_label="dataset")
    copy.store()
    assert preparing.take_dataset() is None
    assert preparing.attached["dataset"].pk == copy.pk
    submitted: dict[str, Any] = {}
    preparing.submit = lambda process, **inputs: submitted.update(inputs) or node
    preparing.submit_training("unet")
    assert submitted["train"]["dataset"].pk == copy.pk


def test_a_source_of_which_nothing_can_be_made(preparing: Any) -> None:
    preparing.ctx.prepare = node = job(211, "crystals.csv holds no crystal")
    exit_code = preparing.take_dataset()
    assert exit_code.status == 430
    assert f"<{node.pk}>, ended with exit status 211: crystals.csv holds no crystal" in exit_code.message


def test_either_a_dataset_or_a_source(fake_code: Any, dataset: Any) -> None:
    source = orm.SinglefileData.from_string("id,cif\n", filename="crystals.csv")
    with pytest.raises(ValueError, match="either a `dataset` or a `source`"):
        TrainAllWorkChain.get_builder_from_protocol(fake_code(), dataset, source=source)
    builder: Any = TrainAllWorkChain.get_builder_from_protocol(fake_code(), dataset)
    builder.prepare.code, builder.prepare.source = builder.unet.train.code, source
    with pytest.raises(ValueError, match="either the `dataset` to train on, or `prepare`"):
        builder._validate() if hasattr(builder, "_validate") else TrainAllWorkChain(inputs=builder._inputs(prune=True))


def trained(
    workchain: Any, code: Any, dataset: Any, folder: Any, trial: dict[str, Any] | None
) -> tuple[Any, list[str]]:
    """Return a WorkChain whose networks are trained, and its reports."""
    process = workchain(TrainAllWorkChain, TrainAllWorkChain.get_builder_from_protocol(code, dataset))
    reports: list[str] = []
    process.report = reports.append
    process.out = lambda *_: None
    for number, network in enumerate(NETWORKS):
        outputs = {"model": TrainedModelData(made_up.write_model(folder / network, network, number))}
        if network == "prior" and trial is not None:
            outputs["results"] = Dict({"message": "of 16 samples some", "tables": {"trial": trial}})
        process.ctx[network] = finished(TrainWorkChain, outputs)
    return process, reports


def test_the_prior_gets_the_unet_for_the_trial(workchain: Any, fake_code: Any, dataset: Any, tmp_path: Any) -> None:
    process, _ = trained(workchain, fake_code(), dataset, tmp_path, None)
    handed: dict[str, Any] = {}
    process.submit_training = lambda network, **models: handed.update({network: sorted(models)})
    process.train_vae()
    process.train_prior()
    assert handed == {"vae": ["unet"], "prior": ["unet", "vae"]}


def test_a_set_that_makes_nothing_is_no_success(workchain: Any, fake_code: Any, dataset: Any, tmp_path: Any) -> None:
    process, reports = trained(workchain, fake_code(), dataset, tmp_path, {"prior": 0, "needs_more": "vae"})
    exit_code = process.results()
    assert exit_code.status == 420
    assert "of 16 samples some" in exit_code.message
    assert reports == ["of 16 samples some"]


def test_a_set_that_makes_something_is_one(workchain: Any, fake_code: Any, dataset: Any, tmp_path: Any) -> None:
    process, reports = trained(workchain, fake_code(), dataset, tmp_path, {"prior": 3, "needs_more": "prior"})
    assert process.results() is None
    assert reports == ["of 16 samples some"]
    process, reports = trained(workchain, fake_code(), dataset, tmp_path, None)
    assert process.results() is None
    assert reports == []

"""Rounds: what goes from one to the next, what ends them, and how a campaign is gone on with."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import run_get_node

from aiida_icsg3d.data import CrystalDatasetData
from aiida_icsg3d.runner_mark import RUN_BY
from aiida_icsg3d.workflows.campaign.campaign import CampaignWorkChain
from aiida_icsg3d.workflows.discover import DiscoverWorkChain
from aiida_icsg3d.workflows.train import TrainWorkChain
from aiida_icsg3d.workflows.validate import ValidateWorkChain
from tests.aiida.process_nodes import finished
from tests.aiida.workflows.stability.test_extending import COLUMN, energy, perovskite, verdicts

HEIGHT = COLUMN.replace("formation_energy_per_atom", "e_above_hull")


@pytest.fixture
def models(model: Any) -> dict[str, Any]:
    """Return a full set of models, whose property model predicts formation energies."""
    cgcnn = model("cgcnn", targets=["formation_energy_per_atom"])
    return {"vae": model("vae"), "unet": model("unet"), "prior": model("prior"), "predictors": {"a": cgcnn}}


@pytest.fixture
def begun(workchain: Any, fake_code: Any, models: Any, dataset: Any) -> Any:
    """Return what makes a campaign that has not run a round, with some inputs set; outputs and submissions are kept."""

    def begin(**inputs: orm.Data) -> Any:
        builder = CampaignWorkChain.get_builder_from_protocol(
            {"icsg3d": fake_code()}, models=models, dataset=dataset, n_relaxations=0, n_samples=4,
            limits={"rounds": 3}, overrides={"verdict": {"judge": False}},
        )  # fmt: skip
        for name, node in inputs.items():
            builder[name] = node
        process = workchain(CampaignWorkChain, builder)
        process.attached, process.submitted = {}, []
        process.out = process.attached.__setitem__

        def submit(kind: Any, **inputs: Any) -> orm.WorkChainNode:
            process.submitted.append((kind, inputs))
            return orm.WorkChainNode(process_type=kind.build_process_type()).store()

        process.submit = submit
        process.setup()
        return process

    return begin


@pytest.fixture
def campaign(begun: Any) -> Any:
    """Return a campaign that has not run a round."""
    return begun()


def a_round(structures: dict[str, orm.StructureData], **heats: float) -> orm.WorkChainNode:
    """Return a round in which crystals were relaxed and judged; a formation energy each (eV/atom)."""
    candidates = [
        {"id": name, "formula": "PbTiO3", "novel": True, "known_formula": False, "uuid": node.uuid,
         "predicted_formation_energy_per_atom": -2.0, "prerelax": {"chosen": "best"},
         "relax": {"status": "relaxed", "dft_e_above_hull": heats[name] + 3.0, "dft_formation_energy": heats[name],
                   "dft_hull": {"lower_by": 0.0}}}
        for name, node in structures.items()
    ]  # fmt: skip
    summary = orm.Dict({"funnel": {"sampled": 4, "relaxed": len(structures)}, "candidates": candidates})
    node = orm.WorkChainNode(process_type=DiscoverWorkChain.build_process_type())
    node.set_process_label("DiscoverWorkChain")
    node.set_process_state("finished")
    node.set_exit_status(0)
    node.store()
    judged = orm.Dict(verdicts(**heats).get_dict())
    outputs = {"summary": summary, "verdicts": judged, **{f"relaxed__{k}": s for k, s in structures.items()}}
    for label, output in outputs.items():
        output.store().base.links.add_incoming(node, link_type=LinkType.RETURN, link_label=label)
    validate = orm.WorkChainNode(process_type=ValidateWorkChain.build_process_type())
    validate.set_process_label("ValidateWorkChain")
    validate.base.links.add_incoming(node, link_type=LinkType.CALL_WORK, link_label="validate")
    failed = perovskite("Mg", "Si")
    for label, start in {**structures, "lost": failed}.items():
        validate.base.links.add_incoming(start, link_type=LinkType.INPUT_WORK, link_label=f"structures__{label}")
    validate.store()
    for name, structure in structures.items():
        energy(structure).base.links.add_incoming(validate, link_type=LinkType.RETURN, link_label=f"energies__{name}")
    return node


def test_what_a_round_leaves(campaign: Any, dataset: CrystalDatasetData) -> None:
    campaign.ctx.round = a_round({"s1": perovskite("Pb", "Ti"), "s2": perovskite("Pb", "Zr", 4.1)}, s1=-3.0, s2=-2.0)
    assert campaign.record() is None
    (entry,) = campaign.rounds
    assert entry["counts"]["stable_new"] == 1
    assert entry["errors"]["predicted formation_energy_per_atom"]["mae"] == pytest.approx(0.5)
    assert set(campaign.ctx.tried) == {"round_01_s1", "round_01_s2", "round_01_lost_start"}
    assert campaign.ctx.dataset.n_crystals == dataset.n_crystals + 2
    assert campaign.attached["datasets.round_01"].uuid == campaign.ctx.dataset.uuid
    assert campaign.should_learn()


def test_what_is_learned_and_taken_on(campaign: Any, models: Any, model: Any) -> None:
    campaign.ctx.round = a_round({"s1": perovskite("Pb", "Ti")}, s1=-3.0)
    campaign.record()
    campaign.fine_tune()
    ((kind, inputs),) = campaign.submitted
    assert kind is TrainWorkChain
    assert inputs["train"].initial.uuid == models["predictors"]["a"].uuid
    assert inputs["train"].dataset.uuid == campaign.ctx.dataset.uuid
    assert inputs["train"].settings.get_dict()["targets_from"] == {"formation_energy_per_atom": COLUMN}
    tuned = orm.WorkChainNode(process_type=TrainWorkChain.build_process_type())
    tuned.set_process_state("finished")
    tuned.set_exit_status(0)
    better = model("cgcnn", seed=1, targets=[COLUMN])
    better.base.links.add_incoming(tuned.store(), link_type=LinkType.RETURN, link_label="model")
    campaign.ctx.tuned_a = tuned
    campaign.take_models()
    campaign.run_round()
    _, inputs = campaign.submitted[-1]
    assert inputs["models"]["predictors"]["a"].uuid == better.uuid
    assert inputs["screen"]["screen"]["settings"].get_dict()["rank_by"] == COLUMN
    assert set(inputs["screen"]["screen"]["found"]) == {"round_01_s1", "round_01_lost_start"}
    assert inputs["generate"]["sample"]["settings"].get_dict()["seed"] == 1


def test_one_gone_on_with_learns_first_what_its_last_round_found(
    begun: Any, campaign: Any, dataset: CrystalDatasetData
) -> None:
    campaign.ctx.round = a_round({"s1": perovskite("Pb", "Ti")}, s1=-3.0)
    campaign.record()
    assert not begun().should_learn()  # of a fresh campaign
    assert not begun(history=campaign.ctx.history).should_learn()  # its last round added nothing
    more = begun(history=campaign.ctx.history, dataset=campaign.ctx.dataset)
    assert more.should_learn()
    more.fine_tune()
    ((_, inputs),) = more.submitted
    assert inputs["train"].dataset.uuid == campaign.ctx.dataset.uuid
    assert inputs["train"].settings.get_dict()["targets_from"] == {"formation_energy_per_atom": COLUMN}


def test_a_prior_is_tuned_upon_its_vae(fake_code: Any, models: Any, dataset: Any) -> None:
    builder = CampaignWorkChain.get_builder_from_protocol(
        {"icsg3d": fake_code()}, models=models, dataset=dataset, n_relaxations=0, n_samples=4, limits={"rounds": 1},
        overrides={"verdict": {"judge": False}}, fine_tune={"prior": True}, prerelax=False,
    )  # fmt: skip
    _, node = run_get_node(builder)  # the engine checks the inputs
    assert node.is_finished_ok, node.exit_message


def test_a_training_that_failed_leaves_the_model(campaign: Any, models: Any) -> None:
    campaign.ctx.round = a_round({"s1": perovskite("Pb", "Ti")}, s1=-3.0)
    campaign.record()
    campaign.ctx.tuning = ["tuned_a"]
    campaign.ctx.tuned_a = finished(TrainWorkChain, {}, 410, "training diverged")
    campaign.take_models()
    assert campaign.ctx.predictors["a"].uuid == models["predictors"]["a"].uuid


@pytest.mark.parametrize("status", [420, 421, 422])
def test_a_round_that_found_nothing_counts_and_the_next_begins(campaign: Any, status: int) -> None:
    campaign.ctx.round = finished(DiscoverWorkChain, {}, status, "nothing")
    assert campaign.record() is None
    assert campaign.rounds[0]["counts"]["stable_new"] == 0
    assert campaign.rounds[0]["message"] == "nothing"
    assert campaign.should_go_on()
    assert not campaign.should_learn()


def test_a_round_that_broke_ends_the_campaign_and_what_was_found_stays(campaign: Any) -> None:
    campaign.ctx.round = a_round({"s1": perovskite("Pb", "Ti")}, s1=-3.0)
    campaign.record()
    campaign.ctx.round = node = finished(DiscoverWorkChain, {}, 452, "no GPU here")
    exit_code = campaign.record()
    assert exit_code.status == 456
    assert f"DiscoverWorkChain<{node.pk}>, ended with exit status 452: no GPU here" in exit_code.message
    assert set(campaign.attached) >= {"histories.round_01", "datasets.round_01", "tried.round_01_s1"}


def test_two_rounds_and_a_third_from_where_they_ended(fake_code: Any, models: Any, dataset: Any) -> None:
    """The program is a fake, the engine real; the third round is a campaign of its own that goes on with the first."""
    builder = CampaignWorkChain.get_builder_from_protocol(
        {"icsg3d": fake_code()}, models=models, dataset=dataset, n_relaxations=0, n_samples=4, seed=7, prerelax=False,
        limits={"rounds": 2, "patience": None},
    )  # fmt: skip
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    rounds = outputs["histories"]["round_02"].get_dict()["rounds"]
    assert [entry["counts"]["sampled"] for entry in rounds] == [4, 4]
    seeds = [child.called[0].inputs.sample.settings["seed"] for child in node.called
             if child.process_label == "DiscoverWorkChain"]  # fmt: skip
    assert seeds == [7, 8]
    with pytest.raises(ValueError, match="rounds is 0"):
        CampaignWorkChain.get_builder_to_continue(node, rounds=0)
    outputs, more = run_get_node(CampaignWorkChain.get_builder_to_continue(node, rounds=3))
    assert more.is_finished_ok, more.exit_message
    assert list(outputs["histories"]) == ["round_03"]
    assert [entry["round"] for entry in outputs["histories"]["round_03"].get_dict()["rounds"]] == [1, 2, 3]
    assert more.called[0].called[0].inputs.sample.settings["seed"] == 9


def test_only_a_campaign_that_has_ended_is_gone_on_with() -> None:
    with pytest.raises(ValueError, match="give the PK of a CampaignWorkChain"):
        CampaignWorkChain.get_builder_to_continue(finished(TrainWorkChain, {}), rounds=2)
    running = orm.WorkChainNode(process_type=CampaignWorkChain.build_process_type())
    running.set_process_state("running")
    with pytest.raises(ValueError, match="still runs"):
        CampaignWorkChain.get_builder_to_continue(running.store(), rounds=2)


def test_one_whose_interpreter_is_gone_is_gone_on_with(
    fake_code: Any, models: Any, dataset: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After kill -9 the node says that it runs, for ever."""
    builder = CampaignWorkChain.get_builder_from_protocol(
        {"icsg3d": fake_code()}, models=models, dataset=dataset, n_relaxations=0, n_samples=4, prerelax=False,
        limits={"rounds": 1},
    )  # fmt: skip
    node: Any
    _, node = run_get_node(builder)
    monkeypatch.setattr(type(node), "is_terminated", property(lambda _: False))
    node.base.extras.set(RUN_BY, {"host": socket.gethostname(), "pid": 2**22 + 1, "began": 0.0})
    assert CampaignWorkChain.get_builder_to_continue(node, rounds=2).history.get_dict()["rounds"]


def test_a_prior_is_not_tuned_on_a_few_crystals_alone(fake_code: Any, models: Any, dataset: Any) -> None:
    with pytest.raises(ValueError, match="makes nothing but those"):
        CampaignWorkChain.get_builder_from_protocol(
            {"icsg3d": fake_code()}, models=models, reference=dataset, n_relaxations=0, fine_tune={"prior": True}
        )

"""A run whose jobs were cut off and tried again reads as one in which nothing happened."""

from __future__ import annotations

from collections import Counter
from typing import Any

from aiida.engine import run_get_node
from aiida.orm import CalcJobNode, load_node

from aiida_icsg3d.campaigns.campaign import read_campaign
from aiida_icsg3d.campaigns.graph import crystal_uuids
from aiida_icsg3d.campaigns.lineage import lineage
from aiida_icsg3d.campaigns.questions import failures
from aiida_icsg3d.campaigns.unfinished import funnel_so_far
from aiida_icsg3d.workflows.discover import DiscoverWorkChain


def test_what_is_read_of_it(fake_code: Any, model: Any, dataset: Any) -> None:
    """The first rebuild leaves two of its four crystals, the first screening a table of them."""
    cut_off = {"status": "interrupted", "message": "ended by a signal", "count": 2, "selected": ["s000001"]}
    code = fake_code(sample=[{"kill": True}, {}], rebuild=[cut_off, {}], screen=[cut_off, {}])
    models = {"vae": model("vae"), "unet": model("unet"), "prior": model("prior"), "predictors": {"a": model("cgcnn")}}
    builder = DiscoverWorkChain.get_builder_from_protocol(
        {"icsg3d": code}, models=models, reference=dataset, n_relaxations=0, n_samples=4
    )
    _, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    below = node.called_descendants
    jobs = Counter(process.process_label for process in below if isinstance(process, CalcJobNode))
    assert [jobs[f"{name}Calculation"] for name in ("Sample", "Segment", "Rebuild", "Screen")] == [2, 1, 2, 2]
    assert failures(node) == []
    assert funnel_so_far(below)["rebuilt"] == 4
    campaign = read_campaign(node)
    assert {c.id for c in campaign.candidates} == {f"s00000{i}" for i in range(4)}
    uuids = crystal_uuids(below)
    rebuilds = [process for process in below if process.process_label == "RebuildCalculation"]
    last = max(rebuilds, key=lambda job: job.pk)
    assert {load_node(uuid).creator.pk for uuid in uuids.values()} == {last.pk}
    assert {c.id: c.uuid for c in campaign.candidates} == uuids
    steps = lineage(campaign.structure(campaign.find("s000002")))
    stages = [step.stage for step in steps if step.stage not in ("dataset", "model")]
    assert stages == ["sample", "segment", "rebuild", "crystal", "screen"]
    assert all(step.node.is_finished_ok for step in steps if isinstance(step.node, CalcJobNode))

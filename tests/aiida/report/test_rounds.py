"""The report of a campaign, by a history made by hand."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.common.links import LinkType

from aiida_icsg3d.campaigns.campaign import NotACampaignError
from aiida_icsg3d.campaigns.rounds import read_rounds
from aiida_icsg3d.report.rounds import in_words, write_rounds
from aiida_icsg3d.workflows.campaign.campaign import CampaignWorkChain
from aiida_icsg3d.workflows.campaign.history import record_round
from tests.aiida.workflows.campaign.test_figures import SUMMARY
from tests.aiida.workflows.stability.test_extending import perovskite


def campaign(rounds: int = 2) -> orm.WorkChainNode:
    """Return a campaign with a history of so many rounds, in which PbTiO3 was found twice."""
    node = orm.WorkChainNode(process_type=CampaignWorkChain.build_process_type())
    node.set_process_label("CampaignWorkChain")
    node.store()
    relaxed, history = {"a": perovskite("Pb", "Ti")}, None
    found: dict[str, Any] = {}
    for number in range(1, rounds + 1):
        facts = {"round": number, "stable_within": 0.1, "core_hours": 0.5, "compared_with": {}}
        known = {"history": history} if history is not None else {}
        history = record_round(
            orm.Dict(SUMMARY), orm.Dict(facts), relaxed=relaxed, **({"found": found} if found else {}), **known
        )
        found = {"round_01_a": relaxed["a"]}
        history.base.links.add_incoming(
            node, link_type=LinkType.RETURN, link_label=f"histories__round_{number:02d}"
        )  # fmt: skip
    return node


def test_what_was_found_twice_counts_once(tmp_path: Path) -> None:
    found = read_rounds(campaign())
    assert [entry["counts"]["stable_new"] for entry in found.rounds] == [1, 0]
    assert len(found.stable_new) == 1
    assert found.core_hours == 1.0
    assert in_words(found).startswith(
        "2 rounds, 1.0 core-hours of DFT: 8 candidates judged, 5 crystals within 0.1 eV/atom of the hull, 1 of them new"
    )


def test_files(tmp_path: Path) -> None:
    files = write_rounds(campaign(), tmp_path)
    assert set(files) == {"candidates", "history", "index"}
    with open(files["candidates"], newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 8
    assert [float(row["dft_e_above_hull"]) for row in rows] == sorted(float(row["dft_e_above_hull"]) for row in rows)
    page = files["index"].read_text()
    assert "PbTiO<sub>3</sub>" in page
    assert "found before: round_01_a" in page
    assert page.count("Plotly.newPlot") >= 2
    assert 'src="http' not in page


def test_no_round_yet_and_no_campaign(tmp_path: Path) -> None:
    empty = orm.WorkChainNode(process_type=CampaignWorkChain.build_process_type()).store()
    assert read_rounds(empty).rounds == []
    assert "No round has ended yet" in write_rounds(empty, tmp_path)["index"].read_text()
    with pytest.raises(NotACampaignError, match="give the PK or UUID of a CampaignWorkChain"):
        read_rounds(orm.WorkChainNode().store())

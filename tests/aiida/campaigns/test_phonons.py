"""What phonons by DFT found, in words, and on the page of the run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.common.links import LinkType

from aiida_icsg3d.campaigns.campaign import read_campaign
from aiida_icsg3d.campaigns.properties.phonons import in_words, phonons_of, said_of_phonons
from aiida_icsg3d.campaigns.verdict import in_words as verdict_in_words
from aiida_icsg3d.report.page import write_page
from aiida_icsg3d.workflows.stability.phonons import PhononsWorkChain
from tests.aiida.discovery_graph import build_discovery
from tests.aiida.process_nodes import finished

pytestmark = pytest.mark.usefixtures("aiida_profile")


def modes(lowest: float, stable: bool) -> dict[str, Any]:
    """Return modes as the WorkChain gives them."""
    return {"lowest_frequency_THz": lowest, "wave_vector": [0.5, 0.0, 0.0], "dynamically_stable": stable,
            "supercell": [2, 1, 1]}  # fmt: skip


def followed(gain: float, lower: bool) -> dict[str, Any]:
    """Return what following a mode came to."""
    return {"lower_by_eV_per_atom": gain, "is_lower": lower, "spacegroup_symbol": "P4mm"}


@pytest.mark.parametrize(
    ("outputs", "words"),
    [
        ({"modes": modes(1.24, True)},
         "dynamically stable by DFT: the lowest mode has 1.2 THz at (0.5, 0, 0), of what fits into 2 x 1 x 1 cells"),
        ({"modes": modes(-4.5, False)}, "not dynamically stable by DFT: an imaginary mode of 4.5 THz at (0.5, 0, 0)"),
        ({"modes": modes(-4.5, False), "followed": followed(0.0123, True)},
         "cells, which leads to P4mm, 12.3 meV/atom lower"),
        ({"modes": modes(-4.5, False), "followed": followed(0.00001, False)}, "nothing lower along it"),
    ],
)  # fmt: skip
def test_words(outputs: dict[str, Any], words: str) -> None:
    nodes = {label: orm.Dict(content) for label, content in outputs.items()}
    assert words in in_words(finished(PhononsWorkChain, nodes))


def test_the_page_says_it(tmp_path: Path) -> None:
    run = build_discovery(tmp_path, judged=True)
    campaign = read_campaign(run.workchain)
    assert 'id="phonons"' not in write_page(campaign, tmp_path / "a.html", {}).read_text(encoding="utf-8")
    (relaxed,) = campaign.relaxed.values()
    assert phonons_of(relaxed) is None
    node = orm.WorkChainNode(process_type=PhononsWorkChain.build_process_type())
    node.set_process_label("PhononsWorkChain")
    node.base.links.add_incoming(relaxed, link_type=LinkType.INPUT_WORK, link_label="structure")
    node.store()
    made, creator = orm.Dict(modes(-2.0, False)), orm.CalcFunctionNode().store()
    made.base.links.add_incoming(creator, link_type=LinkType.CREATE, link_label="modes")
    made.store().base.links.add_incoming(node, link_type=LinkType.RETURN, link_label="modes")
    assert phonons_of(relaxed).pk == node.pk
    again = read_campaign(run.workchain)
    assert "not dynamically stable (DFT)" in verdict_in_words(again.best[0])
    page = write_page(campaign, tmp_path / "b.html", {}).read_text(encoding="utf-8")
    assert "an imaginary mode of 2.0 THz" in page


def test_phonons_that_failed_are_said(tmp_path: Path) -> None:
    run = build_discovery(tmp_path, judged=True)
    campaign = read_campaign(run.workchain)
    (relaxed,) = campaign.relaxed.values()
    assert said_of_phonons(relaxed) is None
    node = orm.WorkChainNode(process_type=PhononsWorkChain.build_process_type())
    node.set_process_label("PhononsWorkChain")
    node.base.links.add_incoming(relaxed, link_type=LinkType.INPUT_WORK, link_label="structure")
    node.set_process_state("finished")
    node.set_exit_status(410)
    node.set_exit_message("the forces of displacement 2 failed")
    node.store()
    assert said_of_phonons(relaxed) == f"phonons by DFT failed: the forces of displacement 2 failed (PK {node.pk})"
    assert "displacement 2 failed" in write_page(campaign, tmp_path / "a.html", {}).read_text(encoding="utf-8")

"""A run as plain data: one that ended, one that still runs, and what is no run."""

from __future__ import annotations

import pytest

from aiida_icsg3d.campaigns.campaign import NotACampaignError, read_campaign
from tests.aiida.discovery_graph import Discovery


def test_unfinished_run_is_read_from_its_processes(runs: list[Discovery]) -> None:
    campaign = read_campaign(runs[1].workchain)
    screened = {"valid": 3, "unique": 3, "novel": 2, "selected": 2}
    assert campaign.funnel == {"sampled": 8, "rebuilt": 4, **screened, "relaxed": 1, "failed": 0}
    first = campaign.best[0]
    assert first.id == "s000002"
    assert first.relaxed_well
    assert first.uuid == runs[1].crystals["s000002"].uuid
    assert campaign.relaxed["s000002"].uuid == runs[1].relaxed["s000002"].uuid
    assert first.relax is not None
    # computed from the crystals, not copied: (3.88 / 3.97)^3
    assert first.relax["volume_change_percent"] == pytest.approx(-6.648, abs=1e-3)


def test_other_processes_are_refused(runs: list[Discovery]) -> None:
    with pytest.raises(NotACampaignError, match="give the PK or UUID of a DiscoverWorkChain"):
        read_campaign(runs[0].jobs["sample"])


def test_candidate_by_id(runs: list[Discovery]) -> None:
    campaign = read_campaign(runs[0].workchain)
    assert campaign.find("s000007").row["reason"] == "not neutral"
    with pytest.raises(ValueError, match="no candidate 's9'; the best are s000002"):
        campaign.find("s9")

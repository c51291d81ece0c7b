"""The map of a run among the training data."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiida_icsg3d.campaigns.campaign import read_campaign
from aiida_icsg3d.report.charts.training_map import MOST_TRAINED, training_map
from tests.aiida.discovery_graph import build_discovery


@pytest.mark.usefixtures("aiida_profile_clean")
def test_candidates_lie_among_the_training_data(tmp_path: Path) -> None:
    """Of the shipped models there is the fingerprint only."""
    campaign = read_campaign(build_discovery(tmp_path, judged=True).workchain)
    figure, words = training_map(campaign)
    assert figure is not None
    traces = {trace.name: trace for trace in figure.data}
    assert len(traces["training data"].x) == MOST_TRAINED
    assert "3,000 of 3,408 training crystals" in words
    assert len(traces["selected"].x) == 2
    assert [text.split()[1] for text in traces["selected"].hovertext] == [c.id for c in campaign.best]
    drawn = sum(len(trace.x) for name, trace in traces.items() if name != "training data")
    assert drawn == len(campaign.candidates)
    low, high = min(traces["training data"].x), max(traces["training data"].x)
    assert all(low <= x <= high for x in traces["selected"].x)  # perovskites among perovskites


@pytest.mark.usefixtures("aiida_profile_clean")
def test_it_is_said_why_there_is_none(tmp_path: Path) -> None:
    figure, words = training_map(read_campaign(build_discovery(tmp_path).workchain))
    assert figure is None
    assert "does not know what its models were trained on" in words

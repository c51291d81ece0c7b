"""Columns of metrics.csv as arrays."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiida_icsg3d.parsers.train import read_metrics


def test_a_property_of_one_fidelity(tmp_path: Path) -> None:
    """ArrayData refused the name, and a fine-tuned model was lost with it."""
    (tmp_path / "metrics.csv").write_text("epoch,mae_e_above_hull@LDA-51ceafd9\n1,0.5\n")
    assert read_metrics(tmp_path / "metrics.csv").get_array("mae_e_above_hull_LDA_51ceafd9").tolist() == [0.5]


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("a@b,a_b\n1,2\n")
    with pytest.raises(ValueError, match="two of them become a_b"):
        read_metrics(tmp_path / "metrics.csv")

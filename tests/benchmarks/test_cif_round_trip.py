"""Crystals of many settings, written by three other programs, come in equal to their source or are refused."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from icsg3d_models.data.cif import parse_cif


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    """Return the script that measures it."""
    path = Path(__file__).parents[2] / "benchmarks" / "quality" / "cif_round_trip.py"
    spec = importlib.util.spec_from_file_location("cif_round_trip", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_forty_settings_come_in_equal_to_their_source(benchmark: ModuleType) -> None:
    counts, settings, lines = benchmark.measure(45, seed=1)
    assert len(settings) == 45
    assert set(counts) == {"gemmi, name", "gemmi, hall", "gemmi, operations", "pymatgen", "ASE"}
    assert [line for line in lines if "wrong" in line] == []
    refused = sum(found["refused"] for found in counts.values())
    assert refused <= 2, lines


def test_the_comparison_sees_what_is_not_the_source(benchmark: ModuleType) -> None:
    source = benchmark.make_source(525, np.random.default_rng(0))
    (read,) = parse_cif(benchmark.by_ase(source))
    assert benchmark.same_sites(source.structure, read)
    assert benchmark.same_crystal(source.structure, read)
    other = type(read)(read.cell, (read.frac + np.array([0.02, 0, 0])) % 1.0, read.numbers)
    assert not benchmark.same_sites(source.structure, other)
    assert benchmark.same_crystal(source.structure, other)
    moved = read.frac.copy()
    moved[0] += 0.1
    for wrong in (type(read)(read.cell, moved, read.numbers), type(read)(read.cell * 1.02, read.frac, read.numbers)):
        assert not benchmark.same_sites(source.structure, wrong)
        assert not benchmark.same_crystal(source.structure, wrong)

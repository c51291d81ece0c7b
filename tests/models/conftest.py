"""A small made-up family of perovskites to train on in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.datasets import Dataset, split_by_group

SITES = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
RADII = {12: 0.7, 13: 0.6, 20: 1.0, 22: 0.65, 38: 1.1, 56: 1.3, 8: 1.25, 9: 1.2}


def perovskites(n: int = 48, seed: int = 0) -> Dataset:
    """Return n cubic perovskites whose lattice constant and energy follow from made-up radii."""
    rng = np.random.default_rng(seed)
    metals, anions = [12, 13, 20, 22, 38, 56], [8, 9]
    chosen = [(*rng.choice(metals, 2), rng.choice(anions)) for _ in range(n)]
    numbers = [np.array([a, b, x, x, x]) for a, b, x in chosen]
    lengths = [2 * (RADII[int(b)] + RADII[int(x)]) + 0.2 * RADII[int(a)] for a, b, x in chosen]
    energy = np.array([RADII[int(a)] - RADII[int(b)] for a, b, _ in chosen])
    crystals = Crystals.from_arrays(
        [a * np.eye(3) for a in lengths],
        [SITES + rng.normal(0, 0.005, (5, 3)) for _ in chosen],
        numbers,
        [f"p{i}" for i in range(n)],
    )
    split = split_by_group(crystals.formulas(), (0.7, 0.15, 0.15), seed)
    return Dataset(
        crystals, {"formation_energy_per_atom": energy}, split, {"formation_energy_per_atom": "eV/atom"}, "made-up"
    )


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return perovskites()


@pytest.fixture
def dataset_file(dataset: Dataset, tmp_path: Path) -> Path:
    dataset.write(tmp_path / "dataset.h5")
    return tmp_path / "dataset.h5"

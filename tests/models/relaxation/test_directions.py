"""Degenerate modes: whatever mix of them a solver returns, the crystal is pushed where it keeps the most symmetry."""

from __future__ import annotations

import numpy as np
import pytest
import spglib
from ase import Atoms
from scipy.stats import special_ortho_group

from icsg3d_models.relaxation.modes import SAME, Modes, Spectrum, pushed

MASSES = np.array([207.2, 47.867, 15.999, 15.999, 15.999])


def perovskite() -> Atoms:
    """Return cubic lead titanate with titanium at the origin."""
    frac = [[0.5, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    return Atoms("PbTiO3", cell=[3.9] * 3, scaled_positions=frac, pbc=True)


def ferroelectric() -> np.ndarray:
    """Return the threefold mode at Γ: all sites along x, y or z, the centre of mass at rest, orthonormal (3, 5, 3)."""
    space = np.zeros((3, 5, 3))
    for axis in range(3):
        moved = np.array([1.0, 0.6, 0, 0, 0])
        moved[2:] = -0.7  # oxygens beside the titanium
        moved[2 + axis] = -0.9  # the one that titanium moves to
        moved -= (moved * MASSES).sum() / MASSES.sum()
        space[axis, :, axis] = moved * np.sqrt(MASSES)
    return space / np.linalg.norm(space.reshape(3, -1), axis=1)[:, None, None]


def tilts() -> np.ndarray:
    """Return the threefold rotation of octahedra about x, y or z, (3, 5, 3)."""
    space = np.zeros((3, 5, 3))
    for axis in range(3):
        first, second = (axis + 1) % 3, (axis + 2) % 3
        space[axis, 2 + first, second], space[axis, 2 + second, first] = 1, -1
    return space / np.sqrt(2)


def number(atoms: Atoms) -> int:
    found = spglib.get_spacegroup(
        (atoms.cell.tolist(), atoms.get_scaled_positions().tolist(), atoms.numbers.tolist()), symprec=1e-3
    )
    return int(found.split()[1].strip("()"))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("space", "wave_vector", "group"),
    [(ferroelectric(), (0, 0, 0), 99), (tilts(), (0.5, 0.5, 0.5), 140)],  # P4mm; I4/mcm, a0a0c- of Glazer
)
def test_any_mix_of_a_threefold_mode(space: np.ndarray, wave_vector: tuple[float, ...], group: int, seed: int) -> None:
    mixed = np.tensordot(special_ortho_group.rvs(3, random_state=seed), space, axes=1)
    # the mix itself is nothing: what was done before
    alone = pushed(perovskite(), Modes(-3.0, np.array(wave_vector), mixed[:1], MASSES))
    assert number(alone) in (1, 2, 5, 8, 15)
    moved = pushed(perovskite(), Modes(-3.0, np.array(wave_vector), mixed.astype(complex), MASSES))
    assert number(moved) == group
    start = perovskite().repeat(len(moved) // 5 if len(moved) == 5 else 2)
    assert np.linalg.norm(moved.positions - start.positions, axis=1).max() == pytest.approx(0.15)


def test_the_lowest_modes_are_those_of_one_frequency() -> None:
    """Three of the cubic crystal belong together; a fourth that is 0.2 THz higher does not, nor do translations."""
    vectors = np.linalg.qr(np.concatenate([ferroelectric().reshape(3, -1), np.eye(15)]).T)[0]
    uniform = np.kron(np.sqrt(MASSES / MASSES.sum())[:, None], np.eye(3))
    rest = np.linalg.qr(np.concatenate([vectors[:, :3], uniform, np.eye(15)], axis=1))[0][:, :15]
    frequencies = np.array([-4.0, -4.0 + SAME / 4, -4.0 + SAME / 2, 0, 0, 0, -3.8, *range(1, 9)], dtype=float)
    order = np.argsort(frequencies)
    found = Spectrum(np.zeros((1, 3)), frequencies[None, order], rest[None][:, :, order], MASSES).lowest()
    assert found.frequency == -4.0
    assert found.space.shape == (3, 5, 3)
    overlap = found.space.reshape(3, -1) @ ferroelectric().reshape(3, -1).T
    assert np.linalg.svd(overlap)[1] == pytest.approx([1, 1, 1])  # the same space
    assert number(pushed(perovskite(), found)) == 99

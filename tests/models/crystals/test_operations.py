"""Operations of a space group in a reduced cell: they take a crystal to itself, and give a cell its metric."""

from __future__ import annotations

import numpy as np
import pytest
import spglib
import torch
from pymatgen.core import Lattice, Structure

from icsg3d_models.conditions.example_symmetry import symmetry_of, unpacked
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.cells import reduced_crystals
from icsg3d_models.crystals.operations import (
    NO_SETTING,
    Operations,
    operations_of,
    setting_in,
    symmetric_cells,
    symmetry_settings,
)

KNOWN = {
    "NaCl": Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]),
    "diamond": Structure.from_spacegroup("Fd-3m", Lattice.cubic(3.57), ["C"], [[0, 0, 0]]),
    "rutile": Structure.from_spacegroup(
        "P4_2/mnm", Lattice.tetragonal(4.59, 2.96), ["Ti", "O"], [[0, 0, 0], [0.305, 0.305, 0]]
    ),
    "wurtzite": Structure.from_spacegroup(
        "P6_3mc", Lattice.hexagonal(3.25, 5.2), ["Zn", "O"], [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.382]]
    ),
    "calcite": Structure.from_spacegroup(
        "R-3c", Lattice.hexagonal(4.99, 17.06), ["Ca", "C", "O"], [[0, 0, 0], [0, 0, 0.25], [0.257, 0, 0.25]]
    ),
    "olivine": Structure.from_spacegroup(
        "Pnma", Lattice.orthorhombic(10.2, 5.98, 4.76), ["Mg", "Mg", "Si", "O", "O", "O"],
        [[0, 0, 0], [0.277, 0.25, 0.992], [0.094, 0.25, 0.426], [0.092, 0.25, 0.766], [0.447, 0.25, 0.222],
         [0.163, 0.033, 0.277]],
    ),
}  # fmt: skip


@pytest.fixture(params=list(KNOWN))
def crystal(request: pytest.FixtureRequest) -> Crystals:
    """Return a crystal in its reduced cell, moved to where no operation is simple."""
    structure = KNOWN[request.param].copy()
    structure.translate_sites(range(len(structure)), [0.123, 0.057, 0.331])
    return reduced_crystals(Crystals.from_structures([structure]))


def misfit(cell: np.ndarray, frac: np.ndarray, numbers: np.ndarray, turn: np.ndarray, shift: np.ndarray) -> float:
    """Return by how many Å an operation misses the nearest site of the same element, the worst of all sites."""
    moved = frac @ turn.T + shift
    difference = moved[:, None] - frac[None]
    distance = np.linalg.norm((difference - np.round(difference)) @ cell, axis=-1)
    distance[numbers[:, None] != numbers[None]] = np.inf
    return float(distance.min(axis=1).max())


def test_the_operations_take_the_crystal_to_itself(crystal: Crystals) -> None:
    cell, (frac, numbers) = crystal.cell[0], crystal.sites(0)
    setting = setting_in(cell, frac, numbers)
    for site in range(len(frac)):
        turns, shifts = operations_of(setting, frac[site])
        moved = frac - frac[site]
        assert max(misfit(cell, moved, numbers, *each) for each in zip(turns, shifts, strict=True)) < 0.01
    independent = spglib.get_symmetry((cell, frac, numbers), symprec=0.1)
    assert independent is not None
    assert len(turns) == len(independent["rotations"])


def test_they_are_kept_in_few_bytes(crystal: Crystals) -> None:
    cell, (frac, numbers) = crystal.cell[0], crystal.sites(0)
    kinds = np.array([[*np.unique(numbers), 0]])
    kept = unpacked(symmetry_of(crystal, kinds, symmetry_settings(crystal)).packed())
    for place, kind in enumerate(kinds[0, :-1]):
        origin = frac[np.flatnonzero(numbers == kind)[0]]
        turns, shifts = kept.operations(0, place)
        moved = frac - origin
        worst = max(misfit(cell, moved, numbers, *each) for each in zip(turns, shifts, strict=True))
        assert worst < 2 * np.linalg.norm(cell, axis=1).max() / 240  # of the origin's last byte


def test_a_strained_cell_gets_the_metric_of_the_group_and_a_right_one_keeps_its_own(crystal: Crystals) -> None:
    cell = torch.tensor(crystal.cell)
    operations = Operations.together([operations_of(setting_in(crystal.cell[0], *crystal.sites(0)), np.zeros(3))] * 2)
    strained = cell @ (torch.eye(3).double() + 0.1 * torch.rand(3, 3, generator=torch.Generator().manual_seed(0)))
    kept, mended = symmetric_cells(torch.cat([cell, strained]), operations)
    torch.testing.assert_close(kept @ kept.T, cell[0] @ cell[0].T, rtol=1e-4, atol=1e-4)
    metric = mended @ mended.T
    for turn in operations.rotations[1].double():
        torch.testing.assert_close(turn.T @ metric @ turn, metric)


def test_without_symmetry_there_is_the_identity() -> None:
    turns, shifts = operations_of(NO_SETTING, np.full(3, 0.3))
    assert turns.tolist() == [np.eye(3).tolist()]
    assert shifts.tolist() == [[0.0, 0.0, 0.0]]


def test_a_cell_that_is_not_primitive_has_no_setting() -> None:
    cell = KNOWN["NaCl"].get_primitive_structure() * (1, 1, 5)
    setting = setting_in(cell.lattice.matrix, cell.frac_coords, np.array(cell.atomic_numbers))
    assert setting.hall == 0


def test_they_follow_a_crystal_that_is_moved_and_inverted(crystal: Crystals) -> None:
    """As in the training of a prior, which puts an atom into the origin and inverts half of the crystals."""
    cell, (frac, numbers) = crystal.cell[0], crystal.sites(0)
    own = Operations.together([operations_of(setting_in(cell, frac, numbers), np.zeros(3))])
    origin = frac[len(frac) - 1]
    for sign in (1.0, -1.0):
        moved = own.about(torch.tensor(origin[None]).float(), torch.tensor([[sign]]))
        turns, shifts = moved.of(0)
        there = sign * (frac - origin)
        assert max(misfit(cell, there, numbers, *each) for each in zip(turns, shifts, strict=True)) < 0.01

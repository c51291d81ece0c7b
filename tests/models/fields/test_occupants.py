"""Symmetric fields, and atoms on the orbits of a group, from fields that are right, noisy or misleading."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.operations import Operations, operations_of, setting_in
from icsg3d_models.fields.batches import to_batch
from icsg3d_models.fields.grids import grid_sizes, half
from icsg3d_models.fields.occupancy import occupancy_field, species_field
from icsg3d_models.fields.occupants import assigned, sites_of_contents
from icsg3d_models.fields.orbits import lengths, orbits_of
from icsg3d_models.fields.symmetrised import symmetrised

from ..crystals.test_operations import KNOWN, crystal  # noqa: F401 - the fixture

FIELDS = tuple[torch.Tensor, torch.Tensor, torch.Tensor, Operations]


def fields_of(crystals: Crystals) -> FIELDS:
    """Return occupancy, species, cell and operations of a crystal."""
    batch = to_batch(crystals)
    nx, ny, nz = grid_sizes(batch.cell, 0, 0.4)[0].tolist()
    operations = Operations.together([operations_of(setting_in(crystals.cell[0], *crystals.sites(0)), np.zeros(3))])
    grid = (nx, ny, nz)
    return occupancy_field(batch, grid), species_field(batch, half(grid)), batch.cell, operations


def noisy(field: torch.Tensor, spread: float) -> torch.Tensor:
    """Return a field with noise."""
    return field + spread * torch.randn(field.shape, generator=torch.Generator().manual_seed(1))


def test_the_field_of_a_crystal_is_symmetric_and_noise_becomes_so(crystal: Crystals) -> None:  # noqa: F811
    occupancy, species, _, operations = fields_of(crystal)
    for field in (occupancy, species):
        torch.testing.assert_close(symmetrised(field, operations), field, rtol=0, atol=0.03 * float(field.abs().max()))
    once = symmetrised(noisy(occupancy, 0.3), operations)
    torch.testing.assert_close(symmetrised(once, operations), once, rtol=0, atol=1e-4)
    assert float((once - occupancy).std()) < 0.3  # a mean over operations has less noise


def test_a_mirror_of_a_cube_is_the_mean_of_two_fields() -> None:
    field = torch.rand(1, 1, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    turns, shifts = np.array([np.eye(3), np.diag([-1, 1, 1])]), np.zeros((2, 3))
    band = torch.fft.fftn(field, dim=(2, 3, 4))
    band[:, :, 2] = band[:, :, :, 2] = band[..., 2] = 0  # the finest waves, which a grid shows half of
    inside = torch.fft.ifftn(band, dim=(2, 3, 4)).real
    found = symmetrised(inside, Operations.together([(turns, shifts)]))
    torch.testing.assert_close(found, (inside + inside[:, :, [0, 3, 2, 1]]) / 2)
    assert not torch.allclose(found, inside)


@pytest.mark.parametrize("spread", [0.0, 0.15])
def test_sites_come_back_from_the_fields_of_a_crystal(crystal: Crystals, spread: float) -> None:  # noqa: F811
    occupancy, species, cell, operations = fields_of(crystal)
    shown = [symmetrised(noisy(field, spread), operations) for field in (occupancy, species)]
    frac, numbers = crystal.sites(0)
    found = sites_of_contents(shown[0], shown[1], cell, operations, [dict(Counter(numbers.tolist()))])[0]
    assert found is not None
    sites, kinds = found
    difference = sites[:, None] - frac[None]
    distance = np.linalg.norm((difference - np.round(difference)) @ crystal.cell[0], axis=-1)
    nearest = distance.argmin(axis=1)
    assert sorted(nearest.tolist()) == list(range(len(frac)))
    assert (kinds == numbers[nearest]).all()
    assert distance.min(axis=1).max() < (0.05 if spread == 0 else 0.3)


def test_atoms_go_where_the_group_lets_them_whatever_is_weak() -> None:
    crystals = Crystals.from_structures([KNOWN["NaCl"].get_primitive_structure()])
    occupancy, species, cell, operations = fields_of(crystals)
    faint = sites_of_contents(0.3 * occupancy, 0.3 * species, cell, operations, [{11: 1, 17: 1}])[0]
    assert faint is not None
    assert sorted(faint[1].tolist()) == [11, 17]


def test_what_cannot_be_is_not_forced() -> None:
    crystals = Crystals.from_structures([KNOWN["NaCl"].get_primitive_structure()])
    occupancy, species, cell, operations = fields_of(crystals)
    two = [torch.cat([field] * 2) for field in (occupancy, species, cell)]
    both = Operations.together([operations.of(0)] * 2)
    crowded, unknown = sites_of_contents(two[0], two[1], two[2], both, [{11: 20, 17: 20}, {}])
    assert crowded is None  # forty atoms have no room in the cell of two
    assert unknown is None


FREE = np.eye(3, dtype=np.int64)[None], np.zeros((1, 3))


def test_two_maxima_too_close_for_two_atoms_are_one_of_them() -> None:
    # Encoded and decoded, atoms 1.1 Å apart melt into one: of twelve carbon atoms eleven or fewer came out.
    cell = np.diag([6.0, 4.0, 4.0])
    maxima = np.array([[0.1, 0.5, 0.5], [0.1 + 1.1 / 6.0, 0.5, 0.5], [0.7, 0.1, 0.1]])
    orbits = orbits_of(maxima, np.zeros((12, 8, 8)), cell, *FREE)
    gain = np.array([[1.0] if lengths(site - maxima[:2], cell).min() < 0.1 else [0.1] for site in orbits.site])
    pairs = assigned(orbits, gain, {6: 2})
    assert pairs is not None
    one, other = (orbits.site[orbit] for orbit, _ in pairs)
    assert lengths(one - other, cell) > 1.2


def test_points_beside_a_maximum_leave_room_for_others() -> None:
    # Without symmetry the list was full of points beside high maxima, where no second atom can be.
    cell = np.diag([3.5, 3.5, 6.0])
    maxima = np.array([[0.05, 0.05, 0.03], [0.55, 0.55, 0.03]])
    batch = to_batch(Crystals.from_arrays([cell], [maxima], [np.array([6, 6])], ["c"]))
    occupancy = occupancy_field(batch, (10, 10, 16))[0, 0].double().numpy()
    orbits = orbits_of(maxima, occupancy, cell, *FREE)
    assert orbits.distance[~np.eye(len(orbits.size), dtype=bool)].min() > 0.65

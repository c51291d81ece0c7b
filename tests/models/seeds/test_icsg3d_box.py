"""The box of ICSG3D: analytic truths, an independent reading of the species map, and crystals there and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.fields.batches import to_batch
from icsg3d_models.fields.seeds.icsg3d_box import (
    coordinates,
    density,
    ionic_radii,
    lengths_of,
    quarter_turns,
    refusals,
    species_map,
)
from icsg3d_models.generation.seeds.icsg3d_segmenter import segments_of
from icsg3d_models.generation.seeds.recursive_watershed import atoms_of, read_atoms

PEROVSKITE = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
RADII = torch.from_numpy(ionic_radii()).float()


def cubic(*kinds: tuple[int, int, int, float]) -> Crystals:
    """Return cubic perovskites of the atomic numbers of A, B and X, and a in Å."""
    return Crystals.from_arrays(
        [a * np.eye(3) for *_, a in kinds], [PEROVSKITE] * len(kinds),
        [np.array([x, y, z, z, z]) for x, y, z, _ in kinds], [f"p{i}" for i in range(len(kinds))],
    )  # fmt: skip


def test_radii() -> None:
    """Oxygen has one in the table, argon none; of titanium it is the mean of three."""
    assert ionic_radii()[8] == pytest.approx(1.26)
    assert ionic_radii()[18] == 1.20
    assert ionic_radii()[22] == pytest.approx((1.0 + 0.81 + 0.745) / 3)


def test_density_holds_the_electrons_that_are_in_the_box() -> None:
    """One atom in a corner: the integral over the box is a product of three normal distributions."""
    a, z = 6.0, 18
    crystal = Crystals.from_arrays([a * np.eye(3)], [np.array([[0.3, 0.7, 0.9]])], [np.array([z])], ["Ar"])
    field = density(to_batch(crystal), RADII, 48)
    voxel = (1.5 * a / 48) ** 3
    inside = 0.5 * (math.erf(1.25 * a / 1.2 / math.sqrt(2)) + math.erf(0.25 * a / 1.2 / math.sqrt(2)))
    assert float(field.sum()) * voxel == pytest.approx(z * inside**3, rel=1e-3)
    # sigma twice as large, in the middle of the voxel at the atom's corner
    wide = density(to_batch(crystal), RADII, 48, 2.0)[0, 0, 8, 8, 8]
    step = 1.5 * a / 48 / 2
    expected = z * (2 * math.pi) ** -1.5 / 2.4**3 * math.exp(-3 * step**2 / (2 * 2.4**2))
    assert float(wide) == pytest.approx(expected, rel=1e-4)


def test_atoms_have_no_periodic_images() -> None:
    field = density(to_batch(cubic((56, 22, 8, 4.0))), RADII, 32)
    assert float(field[0, 0, 5, 5, 5]) > 2 * float(field[0, 0, 26, 26, 26])  # A at 0, and none at a


def test_lattice_is_read_from_the_coordinates() -> None:
    lengths = torch.tensor([[3.9, 4.2, 7.7]])
    channels = coordinates(lengths, 32)
    assert channels.shape == (1, 3, 32, 32, 32)
    assert lengths_of(channels).numpy() == pytest.approx(lengths.numpy(), rel=1e-6)
    assert lengths_of(channels, as_published=True).numpy() == pytest.approx(lengths.numpy() * 31 / 32, rel=1e-6)


def test_species_map_against_a_plain_loop() -> None:
    crystals = cubic((38, 22, 8, 3.9), (19, 12, 9, 4.3))
    found = species_map(to_batch(crystals), RADII, 12)
    for index in range(2):
        a = crystals.cell[index, 0, 0]
        sites, numbers = crystals.sites(index)
        for i, j, k in np.random.default_rng(0).integers(0, 12, (300, 3)):
            point = ((np.array([i, j, k]) + 0.5) * 1.5 / 12 - 0.25) * a
            distance = np.linalg.norm(point - sites * a, axis=1)
            distance[distance >= ionic_radii()[numbers]] = np.inf
            expected = 0 if np.isinf(distance).all() else numbers[distance.argmin()]
            assert int(found[index, i, j, k]) == expected


def test_what_has_no_place_in_the_box() -> None:
    shapes = [4 * np.eye(3), np.array([[4.0, 0, 0], [-2, 3.46, 0], [0, 0, 6]]), 8 * np.eye(3), 4 * np.eye(3)]
    sites = [np.zeros((1, 3)), np.zeros((1, 3)), np.random.default_rng(0).random((41, 3)), np.zeros((1, 3))]
    numbers = [np.array([z] * len(s)) for z, s in zip((26, 26, 26, 96), sites, strict=True)]
    reasons = refusals(Crystals.from_arrays(shapes, sites, numbers, list("abcd")))
    assert reasons[0] is None
    assert "right angles only" in str(reasons[1])
    assert "41 sites" in str(reasons[2])
    assert "Cm" in str(reasons[3])


def test_quarter_turns_move_voxels_and_change_none() -> None:
    field = torch.arange(64.0).reshape(1, 1, 4, 4, 4).repeat(6, 2, 1, 1, 1)
    turned = quarter_turns(field, torch.Generator().manual_seed(0))
    assert torch.equal(turned.flatten(2).sort().values, field.flatten(2).sort().values)
    assert torch.equal(turned[:, 0], turned[:, 1])  # all channels of a crystal alike
    assert len(torch.unique(turned[:, 0].flatten(1), dim=0)) > 2


def test_crystals_there_and_back() -> None:
    """True maps, segmented: every element right, every site within 0.25 Å: voxels are 0.19 Å wide."""
    crystals = cubic((38, 22, 8, 3.9), (56, 40, 8, 4.19), (19, 12, 9, 3.99), (82, 22, 8, 3.97))
    species = species_map(to_batch(crystals), RADII, 32).numpy()
    found = segments_of(species, species > 0, 32)
    assert found["count"].tolist() == [5] * 4
    start = 0
    for index in range(4):
        sites, numbers = crystals.sites(index)
        mine, kinds = found["frac"][start : start + 5], found["number"][start : start + 5]
        start += 5
        apart = mine[:, None] - sites
        distance = np.linalg.norm((apart - np.rint(apart)) * crystals.cell[index, 0, 0], axis=2)
        nearest = distance.argmin(axis=1)
        assert sorted(nearest.tolist()) == [0, 1, 2, 3, 4]
        assert distance.min(axis=1).max() < 0.25
        assert kinds.tolist() == numbers[nearest].tolist()
    assert found["confidence"].min() > 0.95  # of the voxels of an atom, where two touch


def two_balls(apart: int, size: int = 24) -> np.ndarray:
    """Return a mask with two balls of radius 4, ``apart`` voxels from middle to middle."""
    x, y, z = np.indices((size,) * 3)
    first, second = ((x - c) ** 2 + (y - 11) ** 2 + (z - 11) ** 2 <= 16 for c in (6, 6 + apart))
    mask: np.ndarray = first | second
    return mask


def test_balls_that_touch_are_cut() -> None:
    mask = two_balls(7)
    atoms = atoms_of(mask)
    assert sorted(np.unique(atoms)) == [0, 1, 2]
    kinds = np.where(np.indices(mask.shape)[0] < 10, 8, 22)
    numbers, places, _, _ = read_atoms(atoms, np.where(mask, kinds, 0))
    assert numbers.tolist() == [8, 22]
    assert places[:, 0] == pytest.approx([6, 13], abs=0.5)
    assert places[:, 1:] == pytest.approx(np.full((2, 2), 11), abs=0.3)


def test_one_ball_and_specks() -> None:
    mask = two_balls(12) & (np.indices((24,) * 3)[0] < 11)
    mask[20, 20, 20:23] = True  # three voxels are no atom
    assert np.unique(atoms_of(mask)).tolist() == [0, 1]
    nobody = np.zeros(mask.shape, dtype=int)
    assert [len(column) for column in read_atoms(atoms_of(mask), nobody)] == [0, 0, 0, 0]


def test_the_published_watershed_loses_the_rim_of_all_but_the_first() -> None:
    mask = two_balls(7)
    behind = np.zeros((48, 24, 24), dtype=bool)
    behind[:24], behind[24:] = two_balls(12) & (np.indices((24,) * 3)[0] < 11), mask
    right, published = atoms_of(behind), atoms_of(behind, as_published=True)
    assert np.array_equal(published[:24] > 0, right[:24] > 0)  # convex: no watershed
    assert np.array_equal(right > 0, behind)  # nothing is lost
    assert np.count_nonzero(published[24:]) < 0.6 * np.count_nonzero(right[24:])

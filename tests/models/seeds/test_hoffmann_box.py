"""The box of Hoffmann et al., and the lattice that is found again from its atoms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.fields.batches import to_batch
from icsg3d_models.fields.seeds.hoffmann_box import (
    CLASSES,
    EDGE,
    POINTS,
    SPACING,
    atoms_in_box,
    box_axis,
    density_of,
    density_of_nearest,
    fields_of,
    labels_of,
    random_turn,
    refusals,
)
from icsg3d_models.generation.seeds.hoffmann_segmenter import cell_of, crystal_of, read_atoms
from icsg3d_models.generation.seeds.lattice_of_atoms import Folded, fold
from tests.models.seeds.test_icsg3d_box import cubic

WURTZITE = Structure(Lattice.hexagonal(3.25, 5.2), ["Zn", "Zn", "O", "O"],
                     [[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, 0.38], [2 / 3, 1 / 3, 0.88]])  # fmt: skip
OBLIQUE = Structure(Lattice.from_parameters(3.9, 4.4, 4.9, 78, 99, 107), ["Ti", "O", "Sr"],
                    [[0, 0, 0], [0.48, 0.55, 0.1], [0.3, 0.1, 0.56]])  # fmt: skip
DIAMOND = Structure.from_spacegroup("Fd-3m", Lattice.cubic(3.57), ["C"], [[0, 0, 0]]).get_primitive_structure()


def test_density_of_one_atom() -> None:
    """Where it is, at a distance, and all of it: the integral over the box is a product of normal distributions."""
    field = density_of(torch.full((1, 3), 5.0), torch.tensor([22]))
    x = box_axis()
    square = (x[14] - 5) ** 2 + (x[14] - 5) ** 2 + (x[20] - 5) ** 2
    assert float(field[14, 14, 20]) == pytest.approx(22 * (2 * math.pi) ** -1.5 * math.exp(-0.5 * square), rel=1e-5)
    assert float(field.sum()) * SPACING**3 == pytest.approx(22 * math.erf(5 / math.sqrt(2)) ** 3, rel=1e-3)


def test_a_repeating_crystal_fills_the_box() -> None:
    """As many atoms as the volume holds, and a density that repeats with the lattice."""
    crystals = cubic((38, 22, 8, 4.0))
    batch = to_batch(crystals)
    positions, owners = atoms_in_box(batch.cell[0], batch.frac[0], "repeating")
    inside = ((positions >= 0) & (positions < EDGE)).all(dim=1)
    assert int(inside.sum()) == pytest.approx(5 * (EDGE / 4) ** 3, rel=0.3)
    assert set(owners.tolist()) == {0, 1, 2, 3, 4}
    carbon = Crystals.from_structures([DIAMOND])
    dense = to_batch(carbon)
    many, _ = atoms_in_box(dense.cell[0], dense.frac[0], "repeating")
    there = ((many >= 0) & (many < EDGE)).all(dim=1)
    assert int(there.sum()) == pytest.approx(8 * (EDGE / 3.57) ** 3, rel=0.3)  # 176
    # along x by exactly a: eleven and a half points
    field = fields_of(batch, "repeating")[0][0, 0]
    shift = crystals.cell[0, 0, 0] / SPACING
    line = np.interp(np.arange(POINTS - 12) + shift, np.arange(POINTS), field[:, 3, 4].numpy())
    assert line == pytest.approx(field[: POINTS - 12, 3, 4].numpy(), rel=0.03)


def test_the_nearest_image_alone_is_less() -> None:
    crystal = to_batch(cubic((38, 22, 8, 4.0)))
    positions, owners = atoms_in_box(crystal.cell[0], crystal.frac[0], "repeating")
    whole = density_of(positions, crystal.numbers[0][owners])
    nearest = density_of_nearest(positions, owners, crystal.numbers[0])
    assert (nearest <= whole * (1 + 1e-5)).all()
    assert float(nearest.max() / whole.max()) > 0.95
    x = box_axis()
    point = torch.stack([x[3], x[10], x[20]])
    expected = 0.0
    for site in range(5):
        square = float(((positions[owners == site] - point) ** 2).sum(dim=1).min())
        expected += float(crystal.numbers[0, site]) * (2 * math.pi) ** -1.5 * math.exp(-0.5 * square)
    assert float(nearest[3, 10, 20]) == pytest.approx(expected, rel=1e-4)


def test_labels_against_a_plain_loop() -> None:
    rng = np.random.default_rng(1)
    positions = torch.from_numpy(rng.random((40, 3)) * 11 - 0.5).float()
    numbers = torch.from_numpy(rng.integers(1, 90, 40))
    found = labels_of(positions, numbers, 0.65)
    x = box_axis().numpy()
    for i, j, k in rng.integers(0, POINTS, (400, 3)):
        distance = np.linalg.norm(positions.numpy() - [x[i], x[j], x[k]], axis=1)
        expected = int(numbers[distance.argmin()]) if distance.min() < 0.65 else 0
        assert int(found[i, j, k]) == expected


def test_rotations_are_rotations() -> None:
    turn = random_turn(torch.Generator().manual_seed(3))
    assert torch.allclose(turn @ turn.T, torch.eye(3), atol=1e-6)
    assert float(torch.linalg.det(turn)) == pytest.approx(1, abs=1e-6)


def test_what_has_no_place_in_the_box() -> None:
    far = Crystals.from_arrays([12 * np.eye(3)] * 2, [np.array([[0, 0, 0], [0.95, 0, 0]]), np.zeros((1, 3))],
                               [np.array([8, 8]), np.array([96])], ["far", "heavy"])  # fmt: skip
    assert "do not fit" in str(refusals(far, "one")[0])
    assert "no lattice vector is shorter" in str(refusals(far, "repeating")[0])
    assert "Cm" in str(refusals(far, "one")[1])
    assert refusals(cubic((38, 22, 8, 4.0)), "one") == [None]


def atoms_of(structure: Structure, seed: int, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the atoms that a box shows of a crystal in a random orientation and origin, displaced."""
    batch = to_batch(Crystals.from_structures([structure]))
    generator = torch.Generator().manual_seed(seed)
    positions, owners = atoms_in_box(batch.cell[0], batch.frac[0], "repeating", generator)
    inside = ((positions >= 0.3) & (positions < EDGE - 0.3)).all(dim=1)
    found, numbers = positions[inside].numpy(), batch.numbers[0][owners[inside]].numpy()
    return found + np.random.default_rng(seed).normal(0, noise, found.shape), numbers


@pytest.mark.parametrize(
    "structure", [WURTZITE, OBLIQUE, DIAMOND, *cubic((38, 22, 8, 3.9), (56, 40, 8, 4.2)).structures()]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_the_lattice_is_found_again(structure: Structure, seed: int) -> None:
    found = fold(*atoms_of(structure, seed, 0.05), EDGE, 0.35)
    assert isinstance(found, Folded), found
    back = Structure(Lattice(found.cell), found.numbers, found.places, coords_are_cartesian=True)
    assert back.volume / len(back) == pytest.approx(structure.volume / len(structure), rel=0.02)
    rms = StructureMatcher(ltol=0.05, stol=0.1, angle_tol=3).get_rms_dist(structure, back)
    assert rms is not None
    assert rms[0] < 0.03
    assert len(found.owner) == len(atoms_of(structure, seed, 0.05)[1])
    assert set(found.owner.tolist()) == set(range(len(back)))


def test_what_repeats_nowhere() -> None:
    rng = np.random.default_rng(0)
    assert "fewer than three directions" in str(fold(rng.random((12, 3)) * 10, np.arange(12) + 1, EDGE, 0.35))
    assert "fewer than two atoms" in str(fold(np.zeros((1, 3)), np.array([8]), EDGE, 0.35))
    plane = np.array([[x, y, 5.0] for x in (1, 4, 7) for y in (1, 4, 7)])
    assert "fewer than three directions" in str(fold(plane, np.full(9, 8), EDGE, 0.35))


def test_crystals_there_and_back() -> None:
    """True labels, read: atoms within 0.1 Å, and the crystal from them in any orientation and origin."""
    structures = [OBLIQUE, *cubic((38, 22, 8, 3.9)).structures()]
    batch = to_batch(Crystals.from_structures(structures))
    labels = fields_of(batch, "repeating", torch.Generator().manual_seed(5))[1]
    for index, structure in enumerate(structures):
        chance = torch.nn.functional.one_hot(labels[index], CLASSES).movedim(-1, 0).numpy().astype(np.float32)
        atoms = read_atoms(chance, 0.5)
        assert len(atoms.numbers) > 20
        row = crystal_of(atoms)
        assert row["problem"] == b""
        back = Structure(Lattice(row["cell"]), row["number"], row["frac"])
        rms = StructureMatcher(ltol=0.1, stol=0.2, angle_tol=5).get_rms_dist(structure, back)
        assert rms is not None
        assert rms[0] < 0.03
        assert row["region"].max() == row["count"] == len(structure)


def test_one_cell_there_and_back() -> None:
    crystals = cubic((38, 22, 8, 3.9))
    batch = to_batch(crystals)
    labels = fields_of(batch, "one")[1]
    chance = torch.nn.functional.one_hot(labels[0], CLASSES).movedim(-1, 0).numpy().astype(np.float32)
    row = cell_of(read_atoms(chance, 0.5), crystals.cell[0])
    back = Structure(Lattice(row["cell"]), row["number"], row["frac"])
    rms = StructureMatcher().get_rms_dist(next(crystals.structures()), back)
    assert rms is not None
    assert rms[0] * (3.9**3 / 5) ** (1 / 3) < 0.1
    nothing = np.zeros((CLASSES, POINTS, POINTS, POINTS), dtype=np.float32)
    assert crystal_of(read_atoms(nothing, 0.5))["count"] == 0

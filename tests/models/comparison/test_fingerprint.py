"""Fingerprints: what they hold, what they refuse, and that they judge as StructureMatcher does."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from scipy.spatial.transform import Rotation

from icsg3d_models.comparison.displacement import same_crystal
from icsg3d_models.comparison.fingerprint import FingerprintError, read_fingerprint, write_fingerprint
from icsg3d_models.comparison.matching import ANGLE_TOL, LTOL, STOL, primitive_structure
from icsg3d_models.comparison.pair_distances import list_lengths, separations
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.datasets import Dataset
from icsg3d_models.results import StageError
from icsg3d_models.screening.novelty import judge_novelty, read_reference
from tests.models.screening.crystals_by_hand import PEROVSKITE, perovskite
from tests.models.screening.test_screen import caesium_chloride, rock_salt


def disturbed(rng: np.random.Generator) -> Structure:
    """Return PbTiO3 that is displaced, strained, or has its species on other sites."""
    crystal = perovskite(length=rng.uniform(3.7, 4.3))
    kind = rng.integers(5)
    species = {0: ["Ti", "Pb", "O", "O", "O"], 1: ["O", "Ti", "Pb", "O", "O"], 2: ["Pb", "O", "Ti", "O", "O"]}
    chosen = species.get(int(kind), ["Pb", "Ti", "O", "O", "O"])
    moved = crystal.frac_coords + rng.normal(0, 0.03, (5, 3))
    moved[:, 0] += rng.normal(0, 0.04, 5)
    return Structure(crystal.lattice, chosen, moved)


def test_fingerprint_agrees_with_structure_matcher(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    structures = [disturbed(rng) for _ in range(100)]
    reference = perovskite()
    write_fingerprint(tmp_path / "fingerprint.h5", Crystals.from_structures([reference]), "one crystal")
    crystals = Crystals.from_structures(structures)
    found = judge_novelty(crystals, crystals.formulas(), read_reference(tmp_path / "fingerprint.h5"))
    judge = StructureMatcher(ltol=LTOL, stol=STOL, angle_tol=ANGLE_TOL)
    expected = [not judge.fit(reference, structure) for structure in structures]
    assert 0.3 < np.mean(expected) < 0.8
    assert np.mean(np.array(found.crystal) == expected) >= 0.99
    assert not any(found.composition)


def test_novelty_against_a_dataset_and_its_fingerprint(dataset: Dataset, tmp_path: Path) -> None:
    dataset.write(tmp_path / "dataset.h5")
    write_fingerprint(tmp_path / "fingerprint.h5", dataset.crystals, "made-up")
    known = list(dataset.crystals.structures())[:3]
    swapped = known[0].copy()
    swapped[0], swapped[1] = known[0][1].specie, known[0][0].specie
    structures = [*(s.copy().make_supercell([1, 1, 2], in_place=False) for s in known), perovskite(), rock_salt()]
    crystals = Crystals.from_structures(structures)
    for name in ("dataset.h5", "fingerprint.h5"):
        reference = read_reference(tmp_path / name)
        found = judge_novelty(crystals, crystals.formulas(), reference)
        assert found.crystal == [False, False, False, True, True]
        assert found.composition == [False, False, False, True, True]
        assert str(len(dataset)) in reference.name


def test_fingerprint_holds_no_cell_no_coordinates_no_order(dataset: Dataset, tmp_path: Path) -> None:
    crystals = dataset.crystals
    write_fingerprint(tmp_path / "one.h5", crystals, "made-up")
    backwards = crystals.take(np.arange(len(crystals))[::-1])
    write_fingerprint(tmp_path / "other.h5", backwards, "made-up")
    with h5py.File(tmp_path / "one.h5") as one, h5py.File(tmp_path / "other.h5") as other:
        assert set(one) == {"formulas", "sites", "distances"}
        for key in one:
            np.testing.assert_array_equal(one[key][()], other[key][()])


def test_pair_distances_do_not_depend_on_the_description() -> None:
    rng = np.random.default_rng(1)
    crystal = perovskite()
    crystal.perturb(0.1)
    rotation = Rotation.random(random_state=0).as_matrix()
    order = rng.permutation(5)
    changed = Structure(
        Lattice(crystal.lattice.matrix @ rotation * 1.3),
        [crystal.species[i] for i in order],
        (crystal.frac_coords + rng.random(3))[order],
    )
    changed.make_supercell([[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    crystals = Crystals.from_structures([crystal, changed])
    one, other = (separations(primitive_structure(crystals, i)).lists() for i in range(2))
    np.testing.assert_allclose(one, other, atol=1e-6)


def test_pair_distances_of_caesium_chloride() -> None:
    crystals = Crystals.from_structures([caesium_chloride()])
    lists = separations(primitive_structure(crystals, 0)).lists()
    edge = 2 ** (1 / 3)  # unit volume per site
    first = [edge] * 3 + [edge * np.sqrt(2)] * 6
    assert lists[:9] == pytest.approx(first)  # Na-Na: each pair once
    assert lists[14:22] == pytest.approx([edge * np.sqrt(3) / 2] * 8)  # Na-Cl
    assert len(lists) == sum(list_lengths(np.array([1, 1])))


@pytest.mark.parametrize(
    ("step", "angle", "same"),
    [
        (0.33, 90, True),  # the farthest site from the mean: 0.8 of it, 0.26
        (0.43, 90, False),  # 0.34
        (0.0, 87, True),
        (0.0, 82, False),  # more than 5 degrees
    ],
)
def test_same_within_the_limits_of_structure_matcher(step: float, angle: float, same: bool) -> None:
    lattice = Lattice.from_parameters(3.97, 3.97, 3.97, 90, 90, angle)
    changed = Structure(lattice, ["Pb", "Ti", "O", "O", "O"], PEROVSKITE)
    changed.translate_sites([0], [step * 5 ** (-1 / 3), 0, 0])
    crystals = Crystals.from_structures([perovskite(), changed])
    one, other = (separations(primitive_structure(crystals, i)) for i in range(2))
    assert same_crystal(other, one.lists()) is same
    judge = StructureMatcher(ltol=LTOL, stol=STOL, angle_tol=ANGLE_TOL)
    assert bool(judge.fit(perovskite(), changed)) is same


def test_fingerprint_files_that_cannot_be_used(dataset_file: Path, tmp_path: Path) -> None:
    with pytest.raises(FingerprintError, match="no such fingerprint"):
        read_fingerprint(tmp_path / "none.h5")
    with pytest.raises(FingerprintError, match="no fingerprint"):
        read_fingerprint(dataset_file)
    path = tmp_path / "fingerprint.h5"
    write_fingerprint(path, Crystals.from_structures([perovskite()]), "x")
    whole = path.read_bytes()
    for change, words in (
        (lambda file: file.attrs.update(format_version=99), "newer release"),
        (lambda file: file.attrs.update(format_version=1), "format 1, which held the crystals"),
        (lambda file: file.attrs.update(reach=2.0), "made with reach 2.0"),
        (lambda file: file["sites"].write_direct(np.array([10], np.uint16)), "lengths disagree"),
        (lambda file: file["sites"].write_direct(np.array([7], np.uint16)), "7 sites do not make 'TiPbO3'"),
        (lambda file: file.pop("sites"), "not readable"),
    ):
        path.write_bytes(whole)
        with h5py.File(path, "r+") as file:
            change(file)
        with pytest.raises(FingerprintError, match=words):
            read_fingerprint(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FingerprintError, match="not readable"):
        read_fingerprint(path)
    with pytest.raises(StageError, match="not an HDF5 file"):
        read_reference(path)

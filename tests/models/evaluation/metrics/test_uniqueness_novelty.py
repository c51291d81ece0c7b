"""Uniqueness, novelty and S.U.N."""

import numpy as np

from icsg3d_models.evaluation.metrics.uniqueness_novelty import compare, novel_compositions, stable_unique_novel
from tests.models.evaluation.crystals_by_hand import IDEAL, crystal, joined, perovskites


def test_duplicates_in_other_cells_are_found() -> None:
    supercell = crystal(
        np.diag([8.0, 4, 4]),
        [[(x + shift) / 2, y, z] for shift in (0, 1) for x, y, z in IDEAL.tolist()],
        *("Sr", "Ti", "O", "O", "O") * 2,
    )
    swapped = perovskites("Ti Sr O")  # same formula, A and B exchanged: another crystal
    moved = perovskites("Sr Ti O", a=4.1, frac=(IDEAL + 0.21) % 1)
    batch = joined(perovskites("Sr Ti O"), supercell, swapped, moved, perovskites("Ba Ti O"))
    unique, novel = compare(batch, None)
    assert unique.tolist() == [True, False, True, False, True]
    assert novel.all()


def test_novelty_against_known_crystals() -> None:
    batch = perovskites("Sr Ti O", "Ti Sr O", "K Nb O", "K Nb O")
    known = perovskites("Sr Ti O", "Ba Ti O", a=3.9, frac=(IDEAL + 0.5) % 1)
    unique, novel = compare(batch, known)
    assert novel.tolist() == [False, True, True, True]
    assert unique.tolist() == [True, True, True, False]
    assert novel_compositions(batch, known).tolist() == [False, False, True, True]


def test_what_cannot_be_compared_is_the_same_as_nothing() -> None:
    flat = crystal(np.diag([4.0, 4, 0]), [[0, 0, 0]], "C")
    unique, novel = compare(joined(flat, flat), flat)
    assert unique.all()
    assert novel.all()


def test_sun_counts_samples_that_gave_nothing() -> None:
    stable = np.array([True, True, False, True])
    unique = np.array([True, False, True, True])
    novel = np.array([True, True, True, False])
    assert stable_unique_novel(stable, unique, novel) == 0.25
    assert stable_unique_novel(stable, unique, novel, n_generated=10) == 0.1

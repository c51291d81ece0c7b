"""Which generated crystals are new: uniqueness, novelty, new compositions and S.U.N.

Definition: Zeni et al., MatterGen, Nature 639, 624 (2025), doi:10.1038/s41586-025-08628-5: two crystals
are the same where pymatgen's StructureMatcher with ltol 0.2, stol 0.3, angle_tol 5° says so; S.U.N. is the
share of samples that are stable, unique and novel. What is stable is for the caller to say.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from typing import Any

import numpy as np

from ...crystals.batch import Crystals
from ...workers import Progress, parallel_map
from .published_validity import MIN_VOLUME

LTOL, STOL, ANGLE_TOL = 0.2, 0.3, 5.0
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]
Kind = tuple[str, int]


@functools.cache
def _matcher() -> Any:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    return StructureMatcher(ltol=LTOL, stol=STOL, angle_tol=ANGLE_TOL)


def reduced(arrays: Arrays) -> Arrays | None:
    """Return the primitive cell of the Niggli cell, which is what the matcher compares; None where there is none."""
    from pymatgen.core import Lattice, Structure

    cell, frac, numbers = arrays
    if abs(np.linalg.det(cell)) < MIN_VOLUME:
        return None
    try:
        structure = Structure(Lattice(cell), numbers.tolist(), frac)
        found = structure.get_reduced_structure(reduction_algo="niggli").get_primitive_structure()
    except (ValueError, ArithmeticError, LookupError, RuntimeError, np.linalg.LinAlgError):
        return None
    return found.lattice.matrix, found.frac_coords, np.array([site.specie.Z for site in found])


def compare_group(group: tuple[list[Arrays], list[Arrays]]) -> tuple[list[int], list[bool]]:
    """Compare crystals among themselves and with known ones.

    :param group: samples and known crystals, all reduced.
    :return: for each sample the index of the first sample it is the same as (its own where it is the
        first of its kind), and whether it is the same as a known crystal.
    """
    from pymatgen.core import Lattice, Structure

    samples, known = ([Structure(Lattice(c), z.tolist(), x) for c, x, z in part] for part in group)

    def same(one: Structure, other: Structure) -> bool:
        return bool(_matcher().fit(one, other, skip_structure_reduction=True))

    first: list[int] = []
    in_known: list[bool] = []
    for index, sample in enumerate(samples):
        earlier = (j for j in range(index) if first[j] == j and same(samples[j], sample))
        first.append(next(earlier, index))
        # a duplicate shares the answer of the first of its kind, so that the groups stay groups
        duplicate = first[index] != index
        in_known.append(in_known[first[index]] if duplicate else any(same(k, sample) for k in known))
    return first, in_known


def _by_kind(crystals: Crystals, workers: int) -> dict[Kind, list[tuple[int, Arrays]]]:
    """Return indices and reduced crystals by what must be equal for a match: formula and sites of the primitive cell.

    What cannot be reduced is left out: it is the same as nothing.
    """
    items = [(crystals.cell[i], *crystals.sites(i)) for i in range(len(crystals))]
    kinds: dict[Kind, list[tuple[int, Arrays]]] = defaultdict(list)
    for index, (formula, found) in enumerate(
        zip(crystals.formulas(), parallel_map(reduced, items, workers, chunk=32), strict=True)
    ):
        if found is not None:
            kinds[formula, len(found[2])].append((index, found))
    return kinds


def compare(
    crystals: Crystals, known: Crystals | None, workers: int = 1, progress: Progress | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return which crystals are unique and which are novel, (B,) bool each.

    Unique: the first of its kind in the batch. Novel: the same as no known crystal (all are where
    nothing is known). What cannot be compared is both.
    """
    unique, novel = np.ones(len(crystals), dtype=bool), np.ones(len(crystals), dtype=bool)
    mine = _by_kind(crystals, workers)
    theirs: dict[Kind, list[tuple[int, Arrays]]] = {}
    if known is not None:
        formulas = {formula for formula, _ in mine}
        wanted = [i for i, formula in enumerate(known.formulas()) if formula in formulas]
        theirs = _by_kind(known.take(wanted), workers)
    items = [([r for _, r in group], [r for _, r in theirs.get(kind, [])]) for kind, group in mine.items()]
    for group, (first, in_known) in zip(
        mine.values(), parallel_map(compare_group, items, workers, progress, chunk=4), strict=True
    ):
        indices = [index for index, _ in group]
        unique[indices] = [f == i for i, f in enumerate(first)]
        novel[indices] = ~np.array(in_known)
    return unique, novel


def novel_compositions(crystals: Crystals, known: Crystals) -> np.ndarray:
    """Return which crystals have a reduced formula that no known crystal has, (B,) bool."""
    formulas = set(known.formulas())
    return np.array([formula not in formulas for formula in crystals.formulas()], dtype=bool)


def stable_unique_novel(
    stable: np.ndarray, unique: np.ndarray, novel: np.ndarray, n_generated: int | None = None
) -> float:
    """Return S.U.N.: the share of samples that are stable, unique and novel.

    :param stable: (B,) bool; MatterGen: energy above the reference hull at most 0.1 eV/atom after relaxation.
    :param n_generated: samples asked for, those that gave no crystal included; default B.
    """
    total = len(stable) if n_generated is None else n_generated
    return float((stable & unique & novel).sum() / total) if total else np.nan

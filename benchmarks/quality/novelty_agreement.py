"""Measure how well novelty judged by a fingerprint agrees with pymatgen's StructureMatcher.

    python benchmarks/quality/novelty_agreement.py dataset.h5
    python benchmarks/quality/novelty_agreement.py dataset.h5 --half development --tolerance 0.02 0.04 0.06

From crystals of a dataset file candidates of the same composition are made: displaced, strained, with species on
other sites, in another cell. Each is compared with its crystal in both ways. The tolerance of the fingerprint was
chosen on one half of the crystals; agreement is reported on the other. Displacements are in units of (V/N)^(1/3);
StructureMatcher forgives 0.3 for the site that moves farthest.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from icsg3d_models.comparison.displacement import TOLERANCE
from icsg3d_models.comparison.fingerprint import fingerprint_of
from icsg3d_models.comparison.matching import ANGLE_TOL, LTOL, STOL, primitive_structure
from icsg3d_models.comparison.pair_distances import separations
from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.data.datasets import read_dataset

Maker = Callable[[Structure, np.random.Generator], Structure]


def displaced(amplitude: float) -> Maker:
    """Return a maker of displacements whose standard deviation is uniform in (0, amplitude)."""

    def make(crystal: Structure, rng: np.random.Generator) -> Structure:
        length = rng.uniform(0, amplitude) * (crystal.volume / len(crystal)) ** (1 / 3)
        moved = crystal.cart_coords + rng.normal(0, length, (len(crystal), 3))
        return Structure(crystal.lattice, crystal.species, moved, coords_are_cartesian=True)

    return make


def strained(crystal: Structure, rng: np.random.Generator) -> Structure:
    """Return the crystal with strains up to some 0.06 and displacements up to some 0.06."""
    strain = rng.normal(0, rng.uniform(0, 0.06), (3, 3))
    lattice = Lattice(crystal.lattice.matrix @ (np.eye(3) + (strain + strain.T) / 2))
    return displaced(0.06)(Structure(lattice, crystal.species, crystal.frac_coords), rng)


def exchanged(crystal: Structure, rng: np.random.Generator) -> Structure:
    """Return the crystal with the first two species of equal amount exchanged: A and B of ABX3."""
    amounts = crystal.composition
    pairs = itertools.combinations(dict.fromkeys(crystal.species), 2)
    pair = next((p for p in pairs if amounts[p[0]] == amounts[p[1]]), None)
    if pair is None:
        return shuffled(crystal, rng)
    other = {pair[0]: pair[1], pair[1]: pair[0]}
    return Structure(crystal.lattice, [other.get(s, s) for s in crystal.species], crystal.frac_coords)


def shuffled(crystal: Structure, rng: np.random.Generator) -> Structure:
    """Return the crystal with its species on its sites at random."""
    order = rng.permutation(len(crystal))
    return Structure(crystal.lattice, [crystal.species[i] for i in order], crystal.frac_coords)


def same_in_other_cell(crystal: Structure, rng: np.random.Generator) -> Structure:
    """Return a slightly displaced, shifted, rescaled supercell."""
    result = displaced(0.03)(crystal, rng)
    result.make_supercell([2, 1, 1] if rng.random() < 0.5 else [[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    result.translate_sites(range(len(result)), rng.random(3))
    result.scale_lattice(result.volume * rng.uniform(0.8, 1.2))
    return result


MIXED: dict[str, Maker] = {
    "displaced up to 0.1": displaced(0.1),
    "displaced up to 0.2": displaced(0.2),
    "strained": strained,
    "exchanged": exchanged,
    "exchanged, displaced": lambda crystal, rng: displaced(0.1)(exchanged(crystal, rng), rng),
    "shuffled species": shuffled,
    "same in another cell": same_in_other_cell,
}
TRANSPLANTED = "sites of another"
TWINS = "two of the dataset"
HEAD = "candidates              pairs  same, %   agree, %  falsely known  falsely novel"


@dataclass
class Tally:
    """Verdicts on pairs: StructureMatcher's, and the fingerprint's for each tolerance."""

    same: list[bool] = field(default_factory=list)
    known: list[list[bool]] = field(default_factory=list)

    def row(self, name: str, column: int) -> str:
        """Return one line of the table."""
        same, known = np.array(self.same), np.array(self.known)[:, column]
        return (
            f"{name:22s} {len(same):6d} {100 * same.mean():8.1f} {100 * (same == known).mean():10.2f} "
            f"{int((known & ~same).sum()):14d} {int((~known & same).sum()):14d}"
        )


Pairs = list[tuple[Structure, Structure]]


def make_pairs(crystals: Crystals, count: int, rng: np.random.Generator) -> dict[str, Pairs]:
    """Return pairs (crystal, candidate) of one composition for each kind of candidate."""
    whole = list(crystals.structures())
    pairs: dict[str, Pairs] = defaultdict(list)
    for name, make in MIXED.items():
        for index in rng.integers(len(whole), size=count):
            pairs[name].append((whole[index], make(whole[index], rng)))
    for index, donor in rng.integers(len(whole), size=(count, 2)):
        one, other = whole[index], whole[donor]
        if len(one) == len(other):
            pairs[TRANSPLANTED].append((one, Structure(other.lattice, one.species, other.frac_coords)))
    by_formula: dict[str, list[int]] = defaultdict(list)
    for index, formula in enumerate(crystals.formulas()):
        by_formula[formula].append(index)
    for members in by_formula.values():
        pairs[TWINS] += [(whole[i], whole[j]) for i, j in itertools.combinations(members, 2)][:count]
    return {name: found[:count] for name, found in pairs.items()}


def main() -> None:
    """Read the command line, compare, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="dataset file, as `icsg3d prepare` writes it")
    parser.add_argument("--pairs", type=int, default=300, help="pairs of each kind")
    parser.add_argument("--half", choices=["development", "check"], default="check", help="which crystals")
    parser.add_argument("--tolerance", type=float, nargs="+", default=[TOLERANCE])
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    crystals = read_dataset(options.dataset).crystals
    # twins stay together: crystals are divided by formula
    number = np.unique(crystals.formulas(), return_inverse=True)[1]
    part = crystals.take(np.flatnonzero(number % 2 == (options.half == "check")))
    judge = StructureMatcher(ltol=LTOL, stol=STOL, angle_tol=ANGLE_TOL)
    tallies: dict[str, Tally] = defaultdict(Tally)
    seconds = {"StructureMatcher": 0.0, "fingerprint": 0.0}
    for name, pairs in make_pairs(part, options.pairs, np.random.default_rng(options.seed)).items():
        for crystal, candidate in pairs:
            start = time.perf_counter()
            same = bool(judge.fit(crystal, candidate))
            middle = time.perf_counter()
            both = Crystals.from_structures([crystal, candidate])
            known = fingerprint_of(both.take([0]), "")
            found = separations(primitive_structure(both, 1))
            verdicts = [known.holds(known.formulas[0], found, tolerance) for tolerance in options.tolerance]
            seconds["StructureMatcher"] += middle - start
            seconds["fingerprint"] += time.perf_counter() - middle
            for label in (name, *(["all mixed"] if name != TWINS else [])):
                tallies[label].same.append(same)
                tallies[label].known.append(verdicts)
    total = sum(len(tally.same) for label, tally in tallies.items() if label != "all mixed")
    for column, tolerance in enumerate(options.tolerance):
        print(f"tolerance {tolerance}, {options.half} half of {options.dataset.name} ({len(part)} crystals)")
        print(HEAD)
        for name in [*(label for label in tallies if label != "all mixed"), "all mixed"]:
            print(tallies[name].row(name, column))
    print(", ".join(f"{name} {1000 * value / total:.0f} ms a pair" for name, value in seconds.items()))


if __name__ == "__main__":
    main()

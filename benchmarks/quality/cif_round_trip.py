"""Write crystals of all settings as CIF with three other programs, and see whether they come in equal to their source.

    python benchmarks/quality/cif_round_trip.py --crystals 500

A crystal is made from the operations that spglib has of a setting of the International Tables (530 in all): a random
cell that the group allows, sites on general and special positions. gemmi writes it by the name of the group only, by
the Hall symbol only, or by its operations only, with the sites of the asymmetric unit rounded to five digits; pymatgen
writes it with the symmetry that it finds; ASE writes all sites. What comes in is compared site by site where the cell
is the source's, by pymatgen's StructureMatcher where the writer chose another. Numbers: docs/benchmarks/cif.md.
"""

from __future__ import annotations

import argparse
import io
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import ase.io
import gemmi
import numpy as np
import spglib
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.io.cif import CifWriter

from icsg3d_models.data.cif import crystals_of_cif
from icsg3d_models.data.crystal import Crystal, Refused

SETTINGS = 530
DECIMALS = 5
APART = 0.05  # Å; equal sites are nearer than that: more than rounding does, less than any two atoms are apart
CLOSEST = 1.0  # Å
VOLUME = 18.0  # Å³ an atom
ELEMENTS = ("Ca", "Ti", "O", "Zr", "Cl", "Bi")
GEMMI = ("name", "hall", "operations")


@dataclass(frozen=True)
class Source:
    """A crystal, and its sites in the asymmetric unit.

    :param hall: number of the setting, 1 to 530.
    :param unit: symbols and fractional coordinates of the sites that symmetry has not made.
    """

    hall: int
    structure: Structure
    unit: list[tuple[str, np.ndarray]]


def make_source(hall: int, rng: np.random.Generator) -> Source:
    """Return a crystal of a setting, its atoms well apart."""
    database = spglib.get_symmetry_from_database(hall)
    rotations, translations = database["rotations"], database["translations"]
    for _ in range(200):
        unit = []
        for element in rng.choice(ELEMENTS, rng.integers(1, 4), replace=False):
            unit.append((str(element), np.round(_position(rotations, translations, rng), 12)))
        orbits = [(symbol, _orbit(x, rotations, translations)) for symbol, x in unit]
        count = sum(len(orbit) for _, orbit in orbits)
        structure = Structure(
            _lattice(rotations, count * VOLUME, rng),
            [symbol for symbol, orbit in orbits for _ in orbit],
            np.concatenate([orbit for _, orbit in orbits]) % 1.0,
        )
        if count < 200 and (count == 1 or _shortest(structure) > CLOSEST):
            return Source(hall, structure, unit)
    raise RuntimeError(f"setting {hall}: no crystal whose atoms are apart")


def _position(rotations: np.ndarray, translations: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random point, two times in three moved onto what one of the operations leaves in place."""
    x = rng.random(3)
    index = rng.integers(len(rotations))
    if rng.random() < 1 / 3:
        return x
    points, image = [x], x
    for _ in range(5):
        image = rotations[index] @ image + translations[index]
        if np.abs(image - x).max() < 1e-9:
            break
        points.append(image)
    onto = np.mean(points, axis=0)
    moved = rotations[index] @ onto + translations[index] - onto
    return onto if np.abs(moved - np.round(moved)).max() < 1e-9 else x


def _orbit(x: np.ndarray, rotations: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """Return all images of a point in the cell."""
    images = (rotations @ x + translations) % 1.0
    found: list[np.ndarray] = []
    for image in images:
        if all(np.abs(image - f - np.round(image - f)).max() > 1e-6 for f in found):
            found.append(image)
    return np.array(found)


def _lattice(rotations: np.ndarray, volume: float, rng: np.random.Generator) -> Lattice:
    """Return a random lattice that the rotations leave as it is, its parameters rounded as a file has them."""
    while True:
        free = Lattice.from_parameters(*rng.uniform(0.8, 1.4, 3), *rng.uniform(75, 105, 3)).matrix
        metric = np.mean([r.T @ (free @ free.T) @ r for r in rotations], axis=0)
        lengths = np.sqrt(np.diag(metric))
        angles = [np.degrees(np.arccos(metric[i, j] / lengths[i] / lengths[j])) for i, j in ((1, 2), (0, 2), (0, 1))]
        scale = (volume / np.sqrt(np.linalg.det(metric))) ** (1 / 3)
        lattice = Lattice.from_parameters(*np.round(lengths * scale, 4), *np.round(angles, 3))
        if min(lattice.abc) > 2.0:
            return lattice


def _shortest(structure: Structure) -> float:
    distances = structure.distance_matrix + np.diag(np.full(len(structure), np.inf))
    return float(min(distances.min(), min(structure.lattice.abc)))


def by_gemmi(source: Source, way: str) -> str:
    """Return the CIF of the asymmetric unit as gemmi writes it.

    :param way: how the symmetry is told: by `name`, `hall` or `operations`.
    """
    kind = spglib.get_spacegroup_type(source.hall)
    assert kind is not None
    operations = gemmi.symops_from_hall(kind.hall_symbol)
    small = gemmi.SmallStructure()
    small.name = f"hall_{source.hall}"
    small.cell = gemmi.UnitCell(*source.structure.lattice.parameters)
    if way == "name":
        small.spacegroup_hm = gemmi.find_spacegroup_by_ops(operations).xhm()
    for index, (symbol, x) in enumerate(source.unit):
        site = gemmi.SmallStructure.Site()
        site.label, site.type_symbol, site.element = f"{symbol}{index + 1}", symbol, gemmi.Element(symbol)
        site.fract = gemmi.Fractional(*np.round(x, DECIMALS))
        site.occ = 1.0
        small.add_site(site)
    block = small.make_cif_block()
    if way == "hall":
        block.set_pair("_space_group_name_Hall", gemmi.cif.quote(kind.hall_symbol))
    elif way == "operations":
        loop = block.init_loop("_space_group_symop_", ["operation_xyz"])
        for operation in operations:
            loop.add_row([gemmi.cif.quote(operation.triplet())])
    return block.as_string()


def by_pymatgen(source: Source) -> str:
    """Return the CIF as pymatgen writes it, in the conventional cell of the symmetry that it finds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return str(CifWriter(source.structure, symprec=1e-3, angle_tolerance=0.01))


def by_ase(source: Source) -> str:
    """Return the CIF as ASE writes it: all sites, P 1."""
    stream = io.BytesIO()
    ase.io.write(stream, AseAtomsAdaptor.get_atoms(source.structure), format="cif")
    return stream.getvalue().decode()


def same_sites(source: Structure, read: Crystal) -> bool:
    """Return whether a crystal has the cell and the sites of the source."""
    lattice = Lattice(read.cell)
    if not np.allclose(lattice.parameters, source.lattice.parameters, atol=2e-3) or len(source) != len(read.numbers):
        return False
    numbers = np.array([site.specie.Z for site in source])
    for x, number in zip(read.frac, read.numbers, strict=True):
        gap = source.frac_coords[numbers == number] - x
        gap -= np.round(gap)
        if not len(gap) or np.linalg.norm(gap @ read.cell, axis=1).min() > APART:
            return False
    return True


def same_crystal(source: Structure, read: Crystal) -> bool:
    """Return whether a crystal is the source in whatever cell."""
    found = Structure(Lattice(read.cell), read.numbers.tolist(), read.frac)
    matcher = StructureMatcher(ltol=0.01, stol=0.02, angle_tol=0.5, scale=False, primitive_cell=False)
    return matcher.fit(_primitive(source), _primitive(found))


def _primitive(structure: Structure) -> Structure:
    """Return the primitive cell by spglib; that of pymatgen misses some."""
    numbers = [site.specie.Z for site in structure]
    found = spglib.find_primitive((structure.lattice.matrix, structure.frac_coords, numbers), symprec=1e-3)
    assert found is not None
    cell, frac, numbers = found
    return Structure(Lattice(cell), list(numbers), frac)


def outcomes(source: Source, index: int) -> Iterator[tuple[str, str]]:
    """Yield the writer, and `equal`, `refused: ...` or `wrong`."""
    way = GEMMI[index % 3]
    written = ((f"gemmi, {way}", by_gemmi(source, way)), ("pymatgen", by_pymatgen(source)), ("ASE", by_ase(source)))
    for writer, text in written:
        (read,) = crystals_of_cif(text)
        if isinstance(read, Refused):
            yield writer, f"refused: {read.reason}"
        else:
            alike = same_crystal if writer == "pymatgen" else same_sites
            yield writer, "equal" if alike(source.structure, read) else "wrong"


def measure(crystals: int, seed: int = 0) -> tuple[dict[str, Counter[str]], set[int], list[str]]:
    """Return writer -> how many came in how, the settings, and what was refused or wrong.

    :param crystals: spread evenly over the settings.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    settings, lines = set(), []
    for index in range(crystals):
        hall = 1 + (index * SETTINGS // crystals if crystals < SETTINGS else index % SETTINGS)
        source = make_source(hall, np.random.default_rng([seed, index]))
        settings.add(hall)
        for writer, outcome in outcomes(source, index):
            counts[writer][outcome.split(":")[0]] += 1
            if outcome != "equal":
                lines.append(f"setting {hall}, {writer}: {outcome}")
    return dict(counts), settings, lines


def main() -> None:
    """Print a table for the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crystals", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts, settings, lines = measure(options.crystals, options.seed)
    print("\n".join(lines))
    print(f"\n{options.crystals} crystals of {len(settings)} settings\n")
    print("| written by | equal | refused | wrong |\n|---|---|---|---|")
    for writer, found in counts.items():
        print(f"| {writer} | {found['equal']} | {found['refused']} | {found['wrong']} |")


if __name__ == "__main__":
    main()

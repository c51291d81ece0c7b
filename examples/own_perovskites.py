"""Write a folder of crystals of your own to try the tutorial with: cubic perovskites ABX3 by their ionic radii.

python examples/own_perovskites.py mine

The lattice constant is the longer of the two that let ions touch, 2 (r_B + r_X) and sqrt(2) (r_A + r_X), with the radii
of Shannon as pymatgen has them; the property is Goldschmidt's tolerance factor (10.1007/BF01507527). Nothing of it is
measured or computed by DFT: these are crystals to learn the way with.
"""

from __future__ import annotations

import csv
import itertools
import warnings
from collections.abc import Iterator
from pathlib import Path

import click
from pymatgen.core import Lattice, Species, Structure

IONS = {
    1: "Li Na K Rb Cs Ag", 2: "Mg Ca Sr Ba Pb Cd Zn Ni Cu Mn", 3: "Al Ga In Sc Y La Nd Gd Cr Fe", 4: "Ti Zr Hf Sn Si",
    5: "Nb Ta V",
}  # fmt: skip
"""Charge -> elements."""
SITES = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
LEAST, MOST = 0.75, 1.10  # tolerance factors that are written


def radius(symbol: str, charge: int, *coordinations: str) -> float:
    """Return Shannon's radius in Å for the first coordination that is tabulated; KeyError where none is."""
    for coordination in coordinations[:-1]:
        try:
            return radius(symbol, charge, coordination)
        except KeyError:
            continue
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of ions whose spin is not told apart
        return float(Species(symbol, charge).get_shannon_radius(coordinations[-1], "High Spin", "ionic"))


def perovskites() -> Iterator[tuple[str, Structure, float]]:
    """Yield formula, crystal and tolerance factor of all that are neutral and whose ions fit."""
    for (anion, charge), (a, b) in itertools.product((("O", -2), ("F", -1)), itertools.product(IONS, IONS)):
        if a > b or a + b + 3 * charge != 0:  # the larger charge in the octahedron
            continue
        for one, other in itertools.permutations({*IONS[a].split(), *IONS[b].split()}, 2):
            if one not in IONS[a].split() or other not in IONS[b].split():
                continue
            try:
                r_a, r_b = radius(one, a, "XII", "VIII"), radius(other, b, "VI")
            except KeyError:
                continue
            r_x = radius(anion, charge, "VI")
            tolerance = (r_a + r_x) / (2**0.5 * (r_b + r_x))
            if LEAST <= tolerance <= MOST:
                lattice = Lattice.cubic(max(2 * (r_b + r_x), 2**0.5 * (r_a + r_x)))
                yield f"{one}{other}{anion}3", Structure(lattice, [one, other, *[anion] * 3], SITES), tolerance


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    """Write CIFs and properties.csv."""
    folder.mkdir(parents=True, exist_ok=True)
    found = sorted(perovskites())
    for name, structure, _ in found:
        structure.to(filename=folder / f"{name}.cif")
    with open(folder / "properties.csv", "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([("material_id", "tolerance"), *((n, f"{t:.4f}") for n, _, t in found)])
    print(f"{len(found)} crystals in {folder}")


if __name__ == "__main__":
    main()

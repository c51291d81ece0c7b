"""Make the table of competing phases that comes with the package, and measure its error.

    python benchmarks/references/make_table.py --hull-points mp_hull_points.csv.gz \
        --formation-energies matbench_mp_e_form.csv.gz --elements mp_elements.json.gz --crystals wide.csv.gz

Two sources of Materials Project's numbers are joined: heights of the hull on the scale of MP2020 at some
compositions (columns formula, formation_energy_per_atom, e_above_hull, hull_energy_per_atom), and formation energies
of many more on the older scale of corrections (columns formula, target). What the newer corrections changed is
linear in the amounts of a few elements; it is fitted to the formulas that both sources have, and added to the rest.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pymatgen.core import Composition, Element
from scipy.optimize import least_squares

from icsg3d_models.stability.hull import Hull
from icsg3d_models.stability.references import References

ANIONS = ("O", "F", "S", "Cl", "Br", "I", "N", "Se", "Si", "Sb", "Te", "H")
HUBBARD = ("V", "Cr", "Mn", "Fe", "Co", "Ni", "W", "Mo")
ON_HULL = 1e-6  # eV/atom
SAME = 0.03  # eV/atom; a converted energy this close to the height of the hull is taken for the phase that makes it
CITATION = "Jain et al., APL Mater. 1, 011002 (2013), 10.1063/1.4812323; Materials Project, CC BY 4.0"


def rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a gzipped CSV file."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


class Reduced:
    """Reduced formulas and their fractions, each worked out once."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.fractions: dict[str, dict[str, float]] = {}

    def __call__(self, formula: str) -> str:
        """Return the reduced formula."""
        if formula not in self.names:
            composition = Composition(formula)
            name = composition.reduced_formula
            self.names[formula] = name
            self.fractions[name] = {str(k): float(v) for k, v in composition.fractional_composition.as_dict().items()}
        return self.names[formula]


def features(fractions: dict[str, float], elements: list[str], strength: dict[str, float]) -> list[float]:
    """Return what corrections depend on: anions, first or not, Hubbard elements beside O or F, and every element."""
    first = max(fractions, key=lambda symbol: strength[symbol])
    compound = len(fractions) > 1
    oxide = compound and bool({"O", "F"} & set(fractions))
    return [
        *(fractions.get(a, 0.0) if compound and a == first else 0.0 for a in ANIONS),
        *(fractions.get(a, 0.0) if a != first else 0.0 for a in ANIONS),
        *(fractions.get(u, 0.0) if oxide else 0.0 for u in HUBBARD),
        *(fractions.get(e, 0.0) for e in elements),
    ]


class Conversion:
    """Formation energies of the older corrections on the scale of the newer ones."""

    def __init__(self, reduced: Reduced, old: dict[str, float]) -> None:
        self.old = old
        self.names = sorted(old)
        elements = sorted({symbol for name in old for symbol in reduced.fractions[name]})
        strength = {s: 0.0 if s in ("He", "Ne", "Ar") else float(Element(s).X) for s in elements}
        matrix = [features(reduced.fractions[name], elements, strength) for name in self.names]
        self.features = np.nan_to_num(np.array(matrix))
        self.index = {name: i for i, name in enumerate(self.names)}

    def fit(self, new: dict[str, float], leave_out: Iterable[str] = ()) -> dict[str, float]:
        """Return converted energies of all, fitted to those that ``new`` has too (least squares, soft L1)."""
        out = set(leave_out)
        both = [name for name in new if name in self.index and name not in out]
        known = self.features[[self.index[name] for name in both]]
        change = np.array([new[name] - self.old[name] for name in both])
        size = known.shape[1]

        def residual(x: np.ndarray) -> np.ndarray:
            return np.concatenate([known @ x - change, 1e-3 * x])

        def slope(_x: np.ndarray) -> np.ndarray:
            return np.vstack([known, 1e-3 * np.eye(size)])

        found = least_squares(residual, np.zeros(size), jac=slope, loss="soft_l1", f_scale=0.005, max_nfev=200)
        shift = self.features @ found.x
        return {name: self.old[name] + float(shift[i]) for i, name in enumerate(self.names)}


def join(heights: dict[str, float], on_hull: set[str], converted: dict[str, float]) -> list[tuple[str, float, str]]:
    """Return formula, energy and kind of all: the height of the hull where it is known, else the converted energy."""
    table = []
    for name in sorted({*heights, *converted}):
        if name not in heights:
            table.append((name, converted[name], "converted"))
            continue
        real = name in on_hull or converted.get(name, np.inf) - heights[name] < SAME
        table.append((name, heights[name], "phase" if real else "height"))
    return table


def references(table: list[tuple[str, float, str]]) -> References:
    """Return a table as references to build hulls of."""
    names, energies, kinds = zip(*table, strict=True)
    return References("MP2020", "the table", names, np.array(energies), np.array([kind != "height" for kind in kinds]))


def errors(
    table: list[tuple[str, float, str]], converted: dict[str, float], truth: dict[str, float]
) -> dict[str, np.ndarray]:
    """Return height of the hull less the truth: with the converted energy of the formula in it, and without."""
    everything = references(table)
    own, without = [], []
    for name, height in truth.items():
        hull = Hull(re.findall("[A-Z][a-z]?", name), everything, without=(name,))
        bare = hull.height(name)
        without.append(bare - height)
        own.append(min(bare, converted.get(name, np.inf)) - height)
    return {"the formula itself left out": np.array(without), "its height left out, its older energy in": np.array(own)}


def summary(values: np.ndarray) -> dict[str, float]:
    """Return count, mean error, MAE, median and the share within 50 meV/atom."""
    size = np.abs(values)
    figures = {
        "mean": values.mean(),
        "mae": size.mean(),
        "median": np.median(size),
        "within_50_meV": (size <= 0.05).mean(),
    }
    return {"count": len(values), **{name: round(float(value), 4) for name, value in figures.items()}}


def main() -> None:
    """Write the two files of the package and print their errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("hull-points", "formation-energies", "elements", "crystals"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--sample", type=int, default=1000, help="formulas whose error is measured")
    parser.add_argument("--output", type=Path, help="folder to write the two files to; default: only measure")
    options = parser.parse_args()
    reduced = Reduced()
    points = rows(options.hull_points)
    heights: dict[str, float] = {}
    nearest: dict[str, float] = {}
    for row in points:
        name = reduced(row["formula"])
        heights[name] = min(float(row["hull_energy_per_atom"]), heights.get(name, np.inf))
        nearest[name] = min(float(row["e_above_hull"]), nearest.get(name, np.inf))
    on_hull = {name for name, value in nearest.items() if value < ON_HULL}
    old: dict[str, float] = {}
    for row in rows(options.formation_energies):
        name = reduced(row["formula"])
        old[name] = min(float(row["target"]), old.get(name, np.inf))
    conversion = Conversion(reduced, old)
    stable = {name: heights[name] for name in on_hull}

    # measured on crystals whose energy above the hull is known; the conversion has not seen their formulas
    truth = {}
    for row in rows(options.crystals):
        if row["source"] == "mp_20" and row["e_above_hull"]:
            name = reduced(row["formula"])
            if len(reduced.fractions[name]) > 1:
                truth[name] = heights[name]
    chosen = sorted(truth)
    np.random.default_rng(0).shuffle(chosen)
    sample = {name: truth[name] for name in chosen[: options.sample]}
    converted = conversion.fit(stable, leave_out=sample)
    both = [name for name in sample if name in on_hull and name in converted]
    report = {
        "older energies as they are": summary(np.array([old[n] - heights[n] for n in both])),
        "older energies, converted": summary(np.array([converted[n] - heights[n] for n in both])),
    }
    found = errors(join(heights, on_hull, converted), converted, sample)
    off = np.array([nearest[name] > 0.005 for name in sample])
    for words, values in found.items():
        report[f"height of the hull, {words}"] = summary(values)
        report[f"height of the hull, {words}; formulas that are not on the hull"] = summary(values[off])
    print(json.dumps(report, indent=1))
    if options.output is None:
        return
    error = report["height of the hull, the formula itself left out; formulas that are not on the hull"]["mae"]
    table = join(heights, on_hull, conversion.fit(stable))
    text = io.StringIO()
    text.write(f"# label: MP2020\n# error: {error}\n# citation: {CITATION}\nformula,formation_energy_per_atom,kind\n")
    for name, energy, kind in table:
        if len(reduced.fractions[name]) > 1:
            text.write(f"{name},{energy:.4f},{kind}\n")
    packed = gzip.compress(text.getvalue().encode(), 9, mtime=0)
    (options.output / "competing_phases.csv.gz").write_bytes(packed)
    entries = json.loads(gzip.decompress(options.elements.read_bytes()))
    with open(options.output / "elements.csv", "w", encoding="utf-8", newline="") as stream:
        stream.write(f"# label: MP2020\n# citation: {CITATION}\nformula,energy_per_atom\n")
        for symbol, entry in sorted(entries.items(), key=lambda item: Element(item[0]).Z):
            atoms = sum(entry["composition"].values())
            correction = entry.get("correction") or sum(a["value"] for a in entry.get("energy_adjustments", []))
            stream.write(f"{symbol},{(entry['energy'] + correction) / atoms:.6f}\n")
    print(f"{len(table)} formulas, {len(packed)} bytes, {len(entries)} elements")


if __name__ == "__main__":
    main()

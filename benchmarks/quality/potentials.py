"""How good are the potentials that come with their weights? A page of tables for any set of crystals.

    python benchmarks/quality/potentials.py --crystals wide.csv.gz --output docs/benchmarks/potentials.md

Three oxides are relaxed and timed. Then energies of crystals in the geometry of the data: formation energy and energy
above the hull (the crystal's own formula left out of it) beside those of the data, and whether the difference between
two potentials tells which energies are wrong. Two sets: Materials Project's crystals (both potentials were trained on
its relaxations) and WBM's compounds of metals (neither has seen them; no corrections of anions enter, so that its
formation energies and ours are on one scale). Seconds are those of the processor, on one thread.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import platform
import re
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ase import Atoms
from ase.spacegroup import crystal
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.stats import spearmanr

from icsg3d_models.relaxation.changes import structure_of
from icsg3d_models.relaxation.one_crystal import single_energy
from icsg3d_models.relaxation.optimise import optimise
from icsg3d_models.relaxation.potentials import Loaded, load
from icsg3d_models.results import versions
from icsg3d_models.settings import RelaxSettings
from icsg3d_models.settings.relax import SHIPPED, Potential
from icsg3d_models.stability.formation import formation_energy
from icsg3d_models.stability.hull import Hull
from icsg3d_models.stability.references import shipped_references

CORRECTED_ANIONS = {"O", "S", "F", "Cl", "Br", "I", "N", "Se", "Si", "Sb", "Te", "H"}
THRESHOLD = 0.1  # eV/atom
PEROVSKITE = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]


def oxides() -> dict[str, Atoms]:
    """Return three oxides away from their minima: cubic cells of 4.1 and 4.0 Å, and CaTiO3 as measured, 2 % larger."""
    cubic = {
        name: Atoms(f"{name}TiO3", scaled_positions=PEROVSKITE, cell=[a] * 3, pbc=True)
        for name, a in (("Sr", 4.1), ("Pb", 4.0))
    }
    return {"SrTiO3": cubic["Sr"], "PbTiO3": cubic["Pb"], "CaTiO3": calcium_titanate()}


def calcium_titanate() -> Atoms:
    """Return CaTiO3, 20 atoms in Pnma, in a cell 2 % longer along each axis than measured.

    Sasaki et al., Acta Cryst. C 43, 1668 (1987): 5.447, 7.654, 5.388 Å.
    """
    return crystal(
        ["Ca", "Ti", "O", "O"],
        [(0.036, 0.25, 0.993), (0.0, 0.0, 0.5), (0.484, 0.25, 0.071), (0.289, 0.037, 0.711)],
        spacegroup=62, cellpar=[1.02 * 5.447, 1.02 * 7.654, 1.02 * 5.388, 90, 90, 90],
    )  # fmt: skip


def relaxations(potentials: list[Loaded]) -> list[str]:
    """Return the table of the relaxed oxides."""
    lines = [
        "| crystal | potential | optimiser | a, b, c, Å | steps | processor, s | formation energy, eV/atom "
        "| above the hull |",
        "|---|---|---|---|---|---|---|---|",
    ]
    references = shipped_references()
    for name, atoms in oxides().items():
        for potential in potentials:
            for optimiser in ("FIRE", "LBFGS"):
                settings = RelaxSettings(optimiser=optimiser)  # type: ignore[arg-type]
                began = time.process_time()
                outcome = optimise(atoms, potential, settings)
                spent = time.process_time() - began
                assert outcome.atoms is not None, outcome.reason
                structure = structure_of(outcome.atoms)
                energy, _ = formation_energy(structure, outcome.energy, potential.scale, references)
                above = Hull(symbols(structure)).e_above_hull(structure.formula, energy)
                lengths = ", ".join(f"{length:.3f}" for length in outcome.atoms.cell.lengths())
                lines.append(
                    f"| {name} | {potential.name} | {optimiser} | {lengths} | {outcome.steps} | {spent:.1f} "
                    f"| {energy:.3f} | {above:+.3f} |"
                )
    return lines


def symbols(structure: Structure) -> list[str]:
    """Return the elements of a crystal."""
    return [str(element) for element in structure.composition.elements]


@dataclass
class Energies:
    """Energies of B crystals, eV/atom: of the data, and by each potential."""

    true: np.ndarray
    above: np.ndarray
    mine: dict[str, np.ndarray]
    mine_above: dict[str, np.ndarray]
    seconds: dict[str, float]


def read(path: Path, source: str, count: int, most_sites: int, metals: bool, seed: int) -> list[dict[str, str]]:
    """Return some rows of the data, drawn at random; columns as written by Materials Project's names."""
    with gzip.open(path, "rt", encoding="utf-8", newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["source"] == source and int(row["n_sites"]) <= most_sites]
    rows = [row for row in rows if row["formation_energy_per_atom"] and int(row["n_elements"]) > 1]
    if metals:
        rows = [row for row in rows if not CORRECTED_ANIONS & set(re.findall("[A-Z][a-z]?", row["formula"]))]
    order = np.random.default_rng(seed).permutation(len(rows))
    return [rows[i] for i in order[:count]]


def energies(rows: list[dict[str, str]], potentials: list[Loaded]) -> Energies:
    """Return the energies of the crystals of which all potentials know the elements."""
    references = shipped_references()
    true, above = [], []
    mine: dict[str, list[float]] = {p.name: [] for p in potentials}
    over: dict[str, list[float]] = {p.name: [] for p in potentials}
    seconds = dict.fromkeys(mine, 0.0)
    for row in rows:
        structure = Structure.from_str(row["cif"], "cif")
        atoms = AseAtomsAdaptor.get_atoms(structure)
        found = []
        for potential in potentials:
            began = time.process_time()
            energy, _ = single_energy(atoms, potential)
            seconds[potential.name] += time.process_time() - began
            if energy is None:
                break
            found.append(formation_energy(structure, energy, potential.scale, references)[0])
        if len(found) < len(potentials):
            continue
        own = structure.composition.reduced_formula
        height = Hull(symbols(structure), references, without=(own,)).height(own)
        true.append(float(row["formation_energy_per_atom"]))
        above.append(float(row["e_above_hull"]) if row["e_above_hull"] else np.nan)
        for potential, value in zip(potentials, found, strict=True):
            mine[potential.name].append(value)
            over[potential.name].append(value - height)
    spent = {name: value / max(len(true), 1) for name, value in seconds.items()}
    return Energies(np.array(true), np.array(above), arrays(mine), arrays(over), spent)


def arrays(columns: dict[str, list[float]]) -> dict[str, np.ndarray]:
    """Return columns as arrays."""
    return {name: np.array(values) for name, values in columns.items()}


def accuracy(words: str, found: Energies) -> list[str]:
    """Return the rows of the table of errors."""
    lines = []
    for name, values in found.mine.items():
        error = np.abs(values - found.true)
        # of a crystal on its hull the hull without its formula is higher than the true one, so those stay out
        off = np.isfinite(found.above) & (found.above > 0.005)
        hull = np.abs(found.mine_above[name] - found.above)[off]
        row = f"| {words} | {name} | {len(error)} | {1e3 * error.mean():.0f} | {1e3 * np.median(error):.0f} | "
        row += f"{100 * (error <= 0.05).mean():.0f} | "
        row += f"{len(hull)} | {1e3 * hull.mean():.0f} | {1e3 * np.median(hull):.0f} |" if len(hull) else "0 | | |"
        lines.append(row + f" {found.seconds[name]:.2f} |")
    return lines


def ranking(words: str, found: Energies) -> list[str]:
    """Return the rows on the spread: does it rank the errors of each potential, and of their mean?"""
    first, second = found.mine.values()
    spread = np.abs(first - second)
    lines = []
    for name, values in {**found.mine, "mean of both": (first + second) / 2}.items():
        error = np.abs(values - found.true)
        rank: Any = spearmanr(spread, error)
        order = np.argsort(spread)
        thirds = [1e3 * error[part].mean() for part in np.array_split(order, 3)]
        lines.append(
            f"| {words} | {name} | {len(error)} | **{rank.statistic:.2f}** ({rank.pvalue:.0e}) | "
            + " | ".join(f"{value:.0f}" for value in thirds) + " |"
        )  # fmt: skip
    return lines


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crystals", type=Path, required=True, help="gzipped CSV with source, cif and energies")
    parser.add_argument("--count", type=int, default=200, help="crystals of each set")
    parser.add_argument("--most-sites", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    potentials = [load(Potential(name=name), torch.device("cpu")) for name in SHIPPED]
    sets = {}
    for words, source, metals in (("Materials Project", "mp_20", False), ("WBM, metals", "wbm", True)):
        rows = read(options.crystals, source, options.count, options.most_sites, metals, options.seed)
        sets[words] = energies(rows, potentials)
        print(words, len(sets[words].true), flush=True)
    page = ["# Potentials", "", *relaxations(potentials), ""]
    page += ["PBE, Materials Project: SrTiO3 3.945 Å, cubic PbTiO3 3.969 Å; FIRE is the default of the stage.", ""]
    page += [
        "Energies in the geometry of the data; meV/atom:", "",
        "| crystals | potential | count | formation energy, mean error | median | within 50, % "
        "| off their hull | above the hull, mean error | median | processor, s an energy |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(line for words, found in sets.items() for line in accuracy(words, found)), "",
        "Does the difference between the two tell which energies are wrong? Rank correlation of spread and error, and "
        "the mean error (meV/atom) in thirds by spread:", "",
        "| crystals | error of | count | Spearman (p) | smallest third | middle | largest |",
        "|---|---|---|---|---|---|---|",
        *(line for words, found in sets.items() for line in ranking(words, found)), "",
        f"- at most {options.most_sites} sites, seed {options.seed}; {platform.machine()}, {versions()}",
        f"- {', '.join(f'{p.name} {p.version}' for p in potentials)}",
    ]  # fmt: skip
    options.output.write_text("\n".join(page) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

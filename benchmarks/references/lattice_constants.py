"""Lattice constants of the reference phases of a profile, beside values of the literature with the same functional.

    verdi run benchmarks/references/lattice_constants.py -- --known benchmarks/references/lda_constants.csv \\
        --elements Pb Ti Mg Al Si O --output docs/campaign/lda_constants.md

``--known`` is a CSV: formula, space group, a (Å, of the conventional cell), source. All crystals that the profile has
energies of with one setting, and whose elements are named, are listed; molecules in a box are left out.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

from aiida import orm
from pymatgen.core import Composition
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from aiida_icsg3d.dft.known_energies import generated_ones
from icsg3d_models.crystals.formulas import chemical_formula

TOLERANCE = 0.05  # Å, of the space group
BOX = 5.0  # Å of vacuum make a box


def reference_energies(elements: set[str]) -> dict[str, list[Any]]:
    """Return settings -> energies of crystals of these elements that no model generated."""
    query = orm.QueryBuilder().append(orm.Dict, filters={"attributes": {"has_key": "settings_hash"}})
    nodes = [
        n for n in query.all(flat=True) if set(Composition(n.get_dict()["formula"]).chemical_system_set) <= elements
    ]
    made = generated_ones(nodes)
    found: dict[str, list[Any]] = {}
    for node in nodes:
        if node.pk not in made:
            found.setdefault(node.get_dict()["settings_hash"], []).append(node)
    return found


def row_of(node: Any, known: list[dict[str, str]]) -> list[str] | None:
    """Return formula, space group, a, b, c, and the literature's a; None: a molecule in a box."""
    content = node.get_dict()
    crystal = orm.load_node(content["structure_uuid"]).get_pymatgen_structure()
    if min(crystal.lattice.abc) > BOX and len(crystal) <= 2:
        return None
    analyzer = SpacegroupAnalyzer(crystal, symprec=TOLERANCE)
    cell = analyzer.get_conventional_standard_structure().lattice
    name, number = chemical_formula(content["formula"]), analyzer.get_space_group_number()
    row = [name, analyzer.get_space_group_symbol(), *(f"{x:.3f}" for x in cell.abc)]
    for entry in known:
        if entry["formula"] == name and int(entry["spacegroup"]) == number:
            a = float(entry["a"])
            return [*row, f"{a:.3f}", f"{100 * (cell.a / a - 1):+.2f}", entry["source"]]
    return [*row, "–", "–", "–"]


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--elements", nargs="+", required=True)
    parser.add_argument("--known", type=Path, required=True)
    parser.add_argument("--settings", help="beginning of a hash, where the profile holds several")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    found = {k: v for k, v in reference_energies(set(options.elements)).items() if k.startswith(options.settings or "")}
    if len(found) != 1:
        raise SystemExit(f"energies of {len(found)} settings: {', '.join(found) or 'none'}; choose by --settings")
    (settings, nodes), *_ = found.items()
    with open(options.known, newline="", encoding="utf-8") as stream:
        known = list(csv.DictReader(stream))
    rows = sorted(row for node in nodes if (row := row_of(node, known)) is not None)
    functional = nodes[0].get_dict()["settings"].get("common", {}).get("functional", "")
    heads = ["phase", "space group", "a (Å)", "b", "c", "a, literature", "%", "source"]
    lines = [
        f"# Lattice constants of the references{f' ({functional})' if functional else ''}",
        "",
        f"Written by `benchmarks/references/lattice_constants.py`; settings `{settings[:8]}`.",
        "",
        "| " + " | ".join(heads) + " |",
        "|---" * len(heads) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
    ]
    options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(options.output.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

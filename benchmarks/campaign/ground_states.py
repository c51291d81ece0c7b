"""Ground states by the DFT door with a given family of pseudopotentials: a magnetic oxide, and an insulator.

    verdi run benchmarks/campaign/ground_states.py -- --pseudo-family "PseudoDojo/0.4/PBE/SR/standard/upf" \\
        --output docs/campaign/pbe_ground_states.md

MnO in the four-atom cell of its order along [111], at the lattice constant of the experiment and with ideal sites, is
computed from a ferromagnetic and from an antiferromagnetic start; the lower has to be the antiferromagnetic one (order
of type II: Roth, Phys. Rev. 110, 1333 (1958)). MgO is relaxed with fixed occupations. All else is the protocol's.
"""

from __future__ import annotations

import argparse
import platform
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.engine import run_get_node

from aiida_icsg3d.workflows.validate import ValidateWorkChain

MNO, MGO = 4.445, 4.21
"""Å, lattice constants of the experiment."""


def rock_salt(metal: str, a: float, doubled: bool) -> orm.StructureData:
    """Return MO in its primitive cell, or in that of an order along [111]."""
    if not doubled:
        node = orm.StructureData(cell=[[0, a / 2, a / 2], [a / 2, 0, a / 2], [a / 2, a / 2, 0]])
        node.append_atom(position=(0, 0, 0), symbols=metal)
        node.append_atom(position=(a / 2, a / 2, a / 2), symbols="O")
        return node
    node = orm.StructureData(cell=[[a, a / 2, a / 2], [a / 2, a, a / 2], [a / 2, a / 2, a]])
    for x in (0.0, a):
        node.append_atom(position=(x, x, x), symbols=metal)
    for x in (a / 2, 3 * a / 2):
        node.append_atom(position=(x, x, x), symbols="O")
    return node


def validate(options: argparse.Namespace, name: str, structure: orm.StructureData, **more: Any) -> dict[str, Any]:
    """Return the entry of one crystal in the results."""
    builder = ValidateWorkChain.get_builder_from_protocol(
        options.pw_code, {name: structure}, protocol=options.protocol, pseudo_family=options.pseudo_family, **more
    )
    outputs, node = run_get_node(builder)
    if "results" not in outputs:
        raise SystemExit(f"{name}: {node.exit_message}")
    found: dict[str, Any] = outputs["results"].get_dict()[name]
    if found["status"] != "relaxed":
        raise SystemExit(f"{name}: {found['reason']}")
    return found


def lines_of(options: argparse.Namespace, mno: dict[str, Any], mgo: dict[str, Any]) -> list[str]:
    """Return the page."""
    starts = {name: one["energy_per_atom_eV"] for name, one in mno["starts"].items()}
    if any(energy is None for energy in starts.values()):
        raise SystemExit(f"MnO: a start failed: {mno['starts']}")
    lower = min(starts.values())
    rows = [f"| {name} | {energy:.5f} | {2e3 * (energy - lower):.0f} |" for name, energy in sorted(starts.items())]
    gap = mno.get("band_gap_eV")
    figures = (
        f"kept: {mno['start']}; total magnetisation {mno['total_magnetization']:.2f}, absolute "
        f"{mno['absolute_magnetization']:.2f} Bohr magnetons a cell of two MnO; "
        + ("a metal on these k-points" if gap is None else f"gap {gap:.2f} eV on these k-points")
    )
    return [
        "# Ground states by PBE",
        "",
        f'Written by `benchmarks/campaign/ground_states.py --pseudo-family "{options.pseudo_family}"`, protocol '
        f"`{options.protocol}`, {mno['program_version']}, {options.machine or platform.machine()}.",
        "",
        f"## MnO, four atoms, a {MNO} Å as by the experiment",
        "",
        "| start | energy, eV/atom | above the lowest, meV a formula unit |",
        "|---|---|---|",
        *rows,
        "",
        f"{figures[0].upper()}{figures[1:]}.",
        "",
        "## MgO, fixed occupations",
        "",
        f"a {mgo['a']:.3f} Å (experiment {MGO}), space group {mgo['spacegroup_symbol']}"
        + (f", gap {mgo['band_gap_eV']:.2f} eV" if mgo.get("band_gap_eV") else "")
        + f", energy {mgo['energy_eV']:.4f} eV a cell.",
    ]


def main() -> None:
    """Read the command line, compute, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pw-code", default="pw@localhost")
    parser.add_argument("--pseudo-family", required=True)
    parser.add_argument("--protocol", default="fast")
    parser.add_argument("--machine", default="", help="what it ran on, for the page")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    sites_fixed = {"relax": {"base_relax": {"pw": {"parameters": {"CONTROL": {"calculation": "relax"}}}}}}
    mgo = validate(options, "MgO", rock_salt("Mg", MGO, doubled=False), electronic_type="insulator")
    mno = validate(options, "MnO", rock_salt("Mn", MNO, doubled=True), overrides=sites_fixed)
    options.output.write_text("\n".join(lines_of(options, mno, mgo)) + "\n", encoding="utf-8")
    print(options.output.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()

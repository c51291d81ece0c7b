"""Converge the plane-wave cut-offs of the LDA pseudopotentials of Debian's quantum-espresso-data with pw.x.

For every element a small solid is held at a fixed lattice constant and its pressure P is computed along a
ladder of cut-offs. The error that a cut-off makes in the lattice constant follows from the pressure error and
the bulk modulus B of the same solid at the highest rung: da/a = (P - P_reference) / (3 B), B from P at
a (1 +- 1 %). Total energies are not the criterion: their error cancels between crystals of the same elements,
that of the pressure does not. The cut-off of an element is the lowest rung from which on |da/a| stays within
the tolerance, the largest over the solids that decide it.

    python converge.py cutoffs.json    # minutes on one core; a rung that is in the file is not run again

It also writes what the package ships, aiida_icsg3d/pseudos/lda_cutoffs.json, and prints the tables of
docs/pseudopotentials.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

PSEUDOS = {
    "H": "H.pz-vbc.UPF", "B": "B.pz-vbc.UPF", "C": "C.pz-rrkjus.UPF", "O": "O.pz-van_ak.UPF",
    "Mg": "Mg.pz-n-vbc.UPF", "Al": "Al.pz-vbc.UPF", "Si": "Si.pz-vbc.UPF", "Ti": "Ti.pz-sp-van_ak.UPF",
    "Fe": "Fe.pz-nd-rrkjus.UPF", "Ni": "Ni.pz-nd-rrkjus.UPF", "Cu": "Cu.pz-d-rrkjus.UPF",
    "As": "As.pz-bhs.UPF", "Au": "Au.pz-rrkjus_aewfc.UPF", "Pb": "Pb.pz-d-van.UPF",
}  # fmt: skip
DUAL = {True: 8, False: 4}
"""ecutrho / ecutwfc: with an ultrasoft file in the cell, and with norm-conserving ones only."""
ULTRASOFT = {"C", "O", "Ti", "Fe", "Ni", "Cu", "Au", "Pb"}
LADDER = (15, 20, 25, 30, 35, 40, 50, 60)
"""ecutwfc in Ry; the last is the reference."""
TOLERANCES = {"low": 5e-3, "normal": 2e-3, "high": 5e-4}
STRAIN = 0.01
RECORD = Path(__file__).parents[2] / "aiida_icsg3d" / "pseudos" / "lda_cutoffs.json"

FCC, BCC, CUBIC = 2, 3, 1
# solid -> (ibrav, a in Å, shifted k mesh, sites in units of the conventional cube, elements that it decides).
# Fcc Ti is in the record but decides nothing: Ti is for oxides here, where the error is smaller.
SOLIDS: dict[str, tuple[int, float, int, list[tuple[str, float, float, float]], tuple[str, ...]]] = {
    "Al": (FCC, 3.98, 8, [("Al", 0, 0, 0)], ("Al",)),
    "Si": (FCC, 5.40, 4, [("Si", 0, 0, 0), ("Si", 0.25, 0.25, 0.25)], ("Si",)),
    "C": (FCC, 3.54, 4, [("C", 0, 0, 0), ("C", 0.25, 0.25, 0.25)], ("C",)),
    "Mg": (FCC, 4.43, 8, [("Mg", 0, 0, 0)], ("Mg",)),
    "Ti": (FCC, 4.00, 8, [("Ti", 0, 0, 0)], ()),
    "Fe": (BCC, 2.75, 8, [("Fe", 0, 0, 0)], ("Fe",)),
    "Ni": (FCC, 3.43, 8, [("Ni", 0, 0, 0)], ("Ni",)),
    "Cu": (FCC, 3.53, 8, [("Cu", 0, 0, 0)], ("Cu",)),
    "Au": (FCC, 4.05, 8, [("Au", 0, 0, 0)], ("Au",)),
    "Pb": (FCC, 4.88, 8, [("Pb", 0, 0, 0)], ("Pb",)),
    "BAs": (FCC, 4.74, 4, [("B", 0, 0, 0), ("As", 0.25, 0.25, 0.25)], ("B", "As")),
    "NiH": (FCC, 3.66, 6, [("Ni", 0, 0, 0), ("H", 0.5, 0.5, 0.5)], ("H",)),
    "MgO": (FCC, 4.17, 4, [("Mg", 0, 0, 0), ("O", 0.5, 0.5, 0.5)], ("O",)),
    "PbTiO3": (
        CUBIC, 3.88, 2,
        [("Pb", 0, 0, 0), ("Ti", 0.5, 0.5, 0.5), ("O", 0.5, 0.5, 0), ("O", 0.5, 0, 0.5), ("O", 0, 0.5, 0.5)],
        ("O", "Pb", "Ti"),
    ),
}  # fmt: skip


def pw_input(solid: str, cutoff: float, strain: float, pseudos: Path, scratch: Path) -> str:
    """Return the pw.x input of one SCF; ``cutoff`` in Ry, ``strain`` of the lattice constant."""
    ibrav, a, mesh, sites, _ = SOLIDS[solid]
    species = sorted({s[0] for s in sites})
    dual = DUAL[bool(ULTRASOFT & set(species))]
    lines = [
        "&CONTROL calculation='scf', tstress=.true., prefix='x',",
        f" pseudo_dir='{pseudos}', outdir='{scratch}' /",
        f"&SYSTEM ibrav={ibrav}, A={a * (1 + strain):.6f}, nat={len(sites)}, ntyp={len(species)},",
        f" ecutwfc={cutoff}, ecutrho={dual * cutoff},",
        " occupations='smearing', smearing='cold', degauss=0.02 /",
        "&ELECTRONS conv_thr=1e-9, mixing_beta=0.4 /",
        "ATOMIC_SPECIES",
        *(f"{s} 1.0 {PSEUDOS[s]}" for s in species),
        "ATOMIC_POSITIONS alat",
        *(f"{s} {x} {y} {z}" for s, x, y, z in sites),
        "K_POINTS automatic",
        f"{mesh} {mesh} {mesh} 1 1 1",
    ]
    return "\n".join(lines) + "\n"


def run(solid: str, cutoff: float, strain: float, pw: str, pseudos: Path) -> dict[str, float]:
    """Run one SCF and return energy (Ry/atom), pressure (kbar) and seconds.

    :raises RuntimeError: pw.x printed no pressure.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "x.in").write_text(pw_input(solid, cutoff, strain, pseudos, scratch))
        output = subprocess.run([pw, "-in", "x.in"], cwd=scratch, capture_output=True, text=True, check=False).stdout
    energy = re.search(r"^!\s+total energy\s+=\s+(\S+)", output, re.MULTILINE)
    pressure = re.search(r"P=\s*(\S+)", output)
    if energy is None or pressure is None:
        raise RuntimeError(f"{solid} at {cutoff} Ry: pw.x did not finish\n{output[-1500:]}")
    atoms = len(SOLIDS[solid][3])
    return {
        "energy_Ry_per_atom": float(energy[1]) / atoms,
        "pressure_kbar": float(pressure[1]),
        "seconds": round(time.monotonic() - start, 1),
    }


def converge(solid: str, known: dict[str, Any], pw: str, pseudos: Path) -> dict[str, Any]:
    """Return the ladder of one solid, its bulk modulus and the error of each rung; runs what is missing."""
    rungs = known.get("rungs", {})
    for cutoff, strain in [*((c, 0.0) for c in LADDER), (LADDER[-1], -STRAIN), (LADDER[-1], STRAIN)]:
        key = f"{cutoff}" if strain == 0 else f"{cutoff}{strain:+.2f}"
        if key not in rungs:
            rungs[key] = run(solid, cutoff, strain, pw, pseudos)
            print(f"{solid:7s} {key:8s} {rungs[key]}", flush=True)
    top = LADDER[-1]
    slope = rungs[f"{top}{STRAIN:+.2f}"]["pressure_kbar"] - rungs[f"{top}{-STRAIN:+.2f}"]["pressure_kbar"]
    bulk = -slope / (3 * 2 * STRAIN)  # dP = -B dV/V = -3 B da/a
    reference = rungs[f"{top}"]["pressure_kbar"]
    errors = {str(c): (rungs[str(c)]["pressure_kbar"] - reference) / (3 * bulk) for c in LADDER}
    return {"bulk_modulus_kbar": bulk, "lattice_error": errors, "rungs": rungs}


def recommend(solids: dict[str, Any], tolerance: float) -> dict[str, dict[str, float]]:
    """Return element -> cut-offs (Ry): the lowest rung from which on its solids stay within the tolerance."""
    cutoffs: dict[str, dict[str, float]] = {}
    for solid, content in solids.items():
        rung = LADDER[-1]
        for cutoff in reversed(LADDER):
            if abs(content["lattice_error"][str(cutoff)]) > tolerance:
                break
            rung = cutoff
        for element in SOLIDS[solid][4]:
            wfc = max(float(rung), cutoffs.get(element, {}).get("cutoff_wfc", 0.0))
            cutoffs[element] = {"cutoff_wfc": wfc, "cutoff_rho": wfc * DUAL[element in ULTRASOFT]}
    return dict(sorted(cutoffs.items()))


def table(content: dict[str, Any]) -> str:
    """Return the lattice errors and the recommended cut-offs as two Markdown tables."""
    rungs = [str(cutoff) for cutoff in LADDER[:-1]]
    lines = [
        f"| solid | B (GPa) | {' | '.join(f'{rung} Ry' for rung in rungs)} | decides |",
        f"|{'---|' * (len(rungs) + 3)}",
    ]
    for solid, entry in content["solids"].items():
        errors = " | ".join(f"{100 * entry['lattice_error'][rung]:+.2f}" for rung in rungs)
        decides = ", ".join(SOLIDS[solid][4]) or "-"
        lines.append(f"| {solid} | {entry['bulk_modulus_kbar'] / 10:.0f} | {errors} | {decides} |")
    names = list(content["cutoffs_Ry"])
    lines += ["", f"| element | file | {' | '.join(names)} |", f"|{'---|' * (len(names) + 2)}"]
    for element, entry in sorted(content["files"].items()):
        pairs = [content["cutoffs_Ry"][name][element] for name in names]
        cells = " | ".join(f"{pair['cutoff_wfc']:.0f} / {pair['cutoff_rho']:.0f}" for pair in pairs)
        lines.append(f"| {element} | {entry['name']} | {cells} |")
    return "\n".join(lines)


def record(content: dict[str, Any]) -> dict[str, Any]:
    """Return what the package ships: file, hash and cut-offs of each element, without the calculations."""
    limits = ", ".join(f"{100 * value:g} % ({name})" for name, value in content["tolerances_da_over_a"].items())
    return {
        "description": "LDA (PZ) pseudopotentials of Debian's quantum-espresso-data; cut-offs of "
        f"benchmarks/pseudopotentials: lattice constants within {limits} of those at {LADDER[-1]} Ry.",
        "unit": "Ry",
        "files": dict(sorted(content["files"].items())),
        "cutoffs": content["cutoffs_Ry"],
    }


def main() -> None:
    """Run the ladders that are missing and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--pw", default="pw.x")
    parser.add_argument("--pseudos", type=Path, default=Path("/usr/share/espresso/pseudo"))
    parser.add_argument("--solids", nargs="+", default=list(SOLIDS), choices=list(SOLIDS))
    options = parser.parse_args()
    known = json.loads(options.output.read_text())["solids"] if options.output.exists() else {}
    for solid in options.solids:
        known[solid] = converge(solid, known.get(solid, {}), options.pw, options.pseudos)
        digests = {
            element: hashlib.sha256((options.pseudos / name).read_bytes()).hexdigest()
            for element, name in PSEUDOS.items()
        }
        content = {
            "files": {e: {"name": PSEUDOS[e], "sha256": digests[e]} for e in PSEUDOS},
            "tolerances_da_over_a": TOLERANCES,
            "cutoffs_Ry": {name: recommend(known, value) for name, value in TOLERANCES.items()},
            "solids": known,
        }
        options.output.write_text(json.dumps(content, indent=1) + "\n")
    print(table(content))
    RECORD.write_text(json.dumps(record(content), indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Write the page of a campaign from what `aiida-icsg3d report PK` left: tables, and a picture.

    python benchmarks/campaign/page.py results/PK/history.json --title "Perovskites of Pb, Ti, Mg, Si, Al, O by LDA" \\
        --command "aiida-icsg3d campaign ..." --machine "2 cores" --output docs/campaign/lda_perovskites.md

Nothing on the page is typed by hand but what the options say. ``--known FILE`` is a CSV of literature values (formula,
space group, a in Å, source), which the relaxed crystals are put beside.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

from icsg3d_models.crystals.formulas import chemical_formula

ESTIMATE = "estimated_formation_energy_per_atom"
FORMATION, HEIGHT = "dft_formation_energy", "dft_e_above_hull"


def number(value: Any, pattern: str = ".3f") -> str:
    """Return a number, a dash where there is none."""
    return format(value, pattern) if isinstance(value, int | float) else "–"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def name_of(candidate: dict[str, Any]) -> str:
    """Return the formula as chemists write it."""
    return chemical_formula(str(candidate["formula"]))


def rounds_table(rounds: list[dict[str, Any]]) -> str:
    """Return what each round came to."""
    heads = ["round", "sampled", "unique", "novel", "relaxed", "failed", "judged", "undecided", "stable",
             "stable, new", "core-h"]  # fmt: skip
    keys = ("sampled", "unique", "novel", "relaxed", "failed", "judged", "undecided", "stable", "stable_new")
    rows = [
        [str(r["round"]), *(str(r["counts"].get(k, 0)) for k in keys), number(r["core_hours"], ".2f")] for r in rounds
    ]
    return table(heads, rows)


def errors_table(rounds: list[dict[str, Any]]) -> str:
    """Return how far each predictor was, round by round."""
    heads = ["round", "predictor", "candidates", "mean absolute error", "mean difference",
             "error after it is taken off", "rank correlation"]  # fmt: skip
    rows = [
        [str(r["round"]), name, str(e["n"]), number(e["mae"]), number(e["shift"], "+.3f"), number(e["mae_shifted"]),
         number(e.get("rank_correlation"), ".2f")]
        for r in rounds for name, e in r["errors"].items()
    ]  # fmt: skip
    return table(heads, rows)


def candidates_table(rounds: list[dict[str, Any]]) -> str:
    """Return all that went to DFT, the lowest above its hull first."""
    tried = [c for r in rounds for c in r["candidates"] if c["relax"]]
    tried.sort(key=lambda c: (c["relax"].get(HEIGHT) is None, c["relax"].get(HEIGHT) or 0.0))
    heads = ["candidate", "round", "above hull, DFT", "formation energy, DFT", "above hull, estimate",
             "space group: generated, relaxed", "a, b, c (Å)", "RMSD to pre-relaxed, to DFT (Å)", "volume, %",
             "known?"]  # fmt: skip
    rows = []
    for c in tried:
        p, r = c["prerelax"], c["relax"]
        lengths = " ".join(number(r.get(axis)) for axis in "abc")
        rows.append([
            f"{name_of(c)} ({c['id']})", str(c["round"]), number(r.get(HEIGHT), "+.3f"),
            number(r.get(FORMATION), "+.3f"),
            number(p.get("estimated_e_above_hull"), "+.3f"),
            f"{p.get('spacegroup_before', '–')}, {r.get('spacegroup_number', '–')}", lengths,
            f"{number(p.get('rmsd'))}, {number(r.get('rmsd_angstrom'))}",
            number(r.get("volume_change_percent"), "+.1f"),
            r.get("reason") or ("found before" if c.get("found_before") else "new" if c["new"] else "known"),
        ])  # fmt: skip
    return table(heads, rows)


def known_table(rounds: list[dict[str, Any]], path: Path) -> str:
    """Return the relaxed crystals beside literature values of the same formula and space group."""
    with open(path, newline="", encoding="utf-8") as stream:
        known = list(csv.DictReader(stream))
    rows = []
    for c in (c for r in rounds for c in r["candidates"] if c["relax"].get("a") is not None):
        for entry in known:
            same = name_of(c) == entry["formula"] and c["relax"].get("spacegroup_number") == int(entry["spacegroup"])
            if same:
                a, theirs = c["relax"]["a"], float(entry["a"])
                rows.append([f"{name_of(c)} ({c['id']})", entry["spacegroup"], number(a), number(theirs),
                             number(100 * (a / theirs - 1), "+.2f"), entry["source"]])  # fmt: skip
    return table(["crystal", "space group", "a (Å)", "a, literature (Å)", "%", "source"], rows) if rows else "None."


def draw(rounds: list[dict[str, Any]], path: Path) -> bool:
    """Draw formation energies by the potential beside those of the DFT; False where there are fewer than two."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    points = [(c["prerelax"].get(ESTIMATE), c["relax"].get(FORMATION), r["round"], name_of(c)) for r in rounds
              for c in r["candidates"]]  # fmt: skip
    points = [point for point in points if point[0] is not None and point[1] is not None]
    if len(points) < 2:
        return False
    figure, axes = plt.subplots(figsize=(5.5, 4.5))
    ends = [min(min(x, y) for x, y, *_ in points), max(max(x, y) for x, y, *_ in points)]
    axes.plot(ends, ends, color="#9bb7dc", linewidth=1)
    for one in sorted({n for _, _, n, _ in points}):
        some = [(x, y) for x, y, n, _ in points if n == one]
        axes.scatter(*zip(*some, strict=True), label=f"round {one}", s=24)
    for x, y, _, formula in points:
        axes.annotate(formula, (x, y), fontsize=6, xytext=(3, 3), textcoords="offset points")
    axes.set(xlabel="formation energy, potential (eV/atom)", ylabel="formation energy, DFT (eV/atom)")
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path)
    return True


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("history", type=Path)
    parser.add_argument("--title", required=True)
    parser.add_argument("--command", required=True)
    parser.add_argument("--machine", required=True)
    parser.add_argument("--known", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    rounds = json.loads(options.history.read_text(encoding="utf-8"))["rounds"]
    picture = options.output.with_suffix(".svg")
    drawn = draw(rounds, picture)
    hull = next((c["relax"]["dft_hull"] for r in rounds for c in r["candidates"] if c["relax"].get("dft_hull")), {})
    parts = [
        f"# {options.title}",
        f"    {options.command}",
        f"{options.machine}. Written by `benchmarks/campaign/page.py` from the history of the campaign. Stable: at "
        f"most {rounds[0]['stable_within']:g} eV/atom above the hull ({hull.get('functional', 'no hull')}). New: not "
        "in the training data, tried by no earlier round, its formula in no list of known compounds of the package. "
        "Energies in eV/atom.",
        "## Rounds", rounds_table(rounds),
        "## Predictors", errors_table(rounds),
        f"![Formation energies, potential and DFT]({picture.name})" if drawn else "",
        "## What went to DFT", candidates_table(rounds),
    ]  # fmt: skip
    if options.known:
        parts += ["## Beside the literature", known_table(rounds, options.known)]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

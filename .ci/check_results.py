"""Check what a run of examples/generate_perovskites.py left in its folder."""

from __future__ import annotations

import csv
import json
import sys
import zipfile
from pathlib import Path

FILES = (
    "candidates.csv", "cifs.zip", "metrics.json", "index.html", "picture.png", "provenance.svg", "provenance.png"
)  # fmt: skip
FUNNEL = ("sampled", "rebuilt", "valid", "unique", "novel", "selected", "relaxed")


def problems(folder: Path) -> list[str]:
    """Return what is wrong with the folder."""
    found = [
        f"{name} is missing or empty"
        for name in FILES
        if not (folder / name).is_file() or not (folder / name).stat().st_size
    ]
    if found:
        return found
    funnel = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))["funnel"]
    counts = [funnel[name] for name in FUNNEL]
    if counts != sorted(counts, reverse=True):
        found.append(f"the funnel widens: {funnel}")
    if funnel["relaxed"] < 1:
        found.append(f"nothing was relaxed: {funnel}")
    with open(folder / "candidates.csv", newline="", encoding="utf-8") as stream:
        relaxed = [row for row in csv.DictReader(stream) if row["dft_status"] == "relaxed"]
    if len(relaxed) != funnel["relaxed"]:
        found.append(f"{len(relaxed)} relaxed rows in candidates.csv, {funnel['relaxed']} in the funnel")
    for row in relaxed:
        if not 2.5 < float(row["dft_a"]) < 15 or abs(float(row["dft_volume_change_percent"])) > 40:
            found.append(f"{row['formula']}: a = {row['dft_a']} Å, volume {row['dft_volume_change_percent']} %")
        # the references come with the package; a known perovskite lies near its hull, nothing lies far below
        if not row["dft_e_above_hull"] or not -0.05 < float(row["dft_e_above_hull"]) < 1:
            found.append(f"{row['formula']}: {row['dft_e_above_hull'] or 'nothing'} eV/atom above the hull")
    with zipfile.ZipFile(folder / "cifs.zip") as archive:
        if sum(name.endswith("_relaxed.cif") for name in archive.namelist()) != funnel["relaxed"]:
            found.append("cifs.zip does not hold the relaxed crystals")
    return found


if __name__ == "__main__":
    messages = problems(Path(sys.argv[1]))
    print("\n".join(messages) or f"{sys.argv[1]}: complete")
    sys.exit(bool(messages))

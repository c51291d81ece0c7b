"""By which predicted property are stable crystals found among samples? Predictions before, the potential's hull after.

    python benchmarks/quality/sun.py wide --training dataset.h5 --output results/sun/wide --samples 1000
    python benchmarks/quality/ranking.py results/sun/wide --model icsg3d_models/pretrained/wide/cgcnn.safetensors

Properties are predicted of the samples as they were drawn; stable is at most 0.1 eV/atom above the hull of the package
after relaxation by the potential.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from icsg3d_models.crystals.crystal_file import read_crystal_file
from icsg3d_models.properties.predict import predict
from icsg3d_models.relaxation.table import read_table

STABLE = 0.1  # eV/atom above the hull


def main() -> None:
    """Read the command line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=Path, help="folder that sun.py has written")
    parser.add_argument("--model", type=Path, required=True, help="property model")
    parser.add_argument("--best", type=int, default=100, help="of how many the stable ones are counted (%(default)s)")
    options = parser.parse_args()
    crystals = read_crystal_file(options.samples / "crystals.h5")
    heights = {
        row["id"]: row["estimated_e_above_hull"]
        for file in sorted(options.samples.glob("c*/relax.csv"))
        for row in read_table(file)
    }
    height = np.array([heights.get(name) if heights.get(name) is not None else np.nan for name in crystals.ids])
    prediction = predict(crystals, options.model)
    print(f"| ranked by | rank correlation with the height | stable of the best {options.best} | of all |")
    print("|---|---|---|---|")
    for name, values in prediction.values.items():
        for words, column in ((name, values), (f"uncertainty of {name}", prediction.uncertainty[name])):
            known = np.isfinite(column) & np.isfinite(height)
            best = np.argsort(column[known], kind="stable")[: options.best]
            share, every = (height[known][best] <= STABLE).mean(), (height[known] <= STABLE).mean()
            order = spearmanr(column[known], height[known])[0]
            print(f"| {words} | {order:.2f} | {100 * share:.0f} % | {100 * every:.0f} % of {known.sum()} |")


if __name__ == "__main__":
    main()

"""Are the uncertainties of a property model as large as its errors? A table and a picture for any model and data.

    python benchmarks/quality/reliability.py --dataset results/perov5/dataset.h5 --model cgcnn.safetensors

The model is the shipped one by default, the part of the dataset the one that training has not seen. Left in the
picture: errors against predicted standard deviations, in bins of equal numbers of crystals; right: how many errors lie
within the interval of each confidence.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import numpy as np

import icsg3d_models
from icsg3d_models.data.datasets import PARTS, read_dataset
from icsg3d_models.evaluation.metrics.calibration import (
    Bins,
    confidence_curve,
    normal_share,
    share_within,
    uncertainty_bins,
)
from icsg3d_models.networks.model_file import file_hash, read_header
from icsg3d_models.properties.predict import predict
from icsg3d_models.results import versions

HERE = Path(__file__).parent
SHIPPED = Path(icsg3d_models.__file__).parent / "pretrained" / "perov5" / "cgcnn.safetensors"
LEVELS = np.arange(1, 20) / 20


def draw(path: Path, bins: Bins, observed: np.ndarray, unit: str) -> None:
    """Draw both halves of the reliability plot; needs matplotlib, of the extra ``report``."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    mpl.rcParams["svg.hashsalt"] = "reliability"  # equal figures are equal files
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    low = 0.8 * min(bins.predicted.min(), bins.observed.min())
    high = 1.25 * max(bins.predicted.max(), bins.observed.max())
    # the root mean square of n normal errors scatters by 1 / sqrt(2n)
    scatter = bins.observed / np.sqrt(2 * bins.count)
    left.plot([low, high], [low, high], color="0.6", linestyle="--", label="as predicted")
    left.errorbar(bins.predicted, bins.observed, yerr=scatter, color="#4477aa", marker="o", capsize=3, label="observed")
    left.set(xlim=(low, high), ylim=(low, high))
    left.set_xlabel(f"predicted standard deviation, {unit}")
    left.set_ylabel(f"root mean square error, {unit}")
    right.plot([0, 1], [0, 1], color="0.6", linestyle="--", label="as predicted")
    right.plot(LEVELS, observed, color="#4477aa", marker="o", markersize=4, label="observed")
    right.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="share of errors within the interval")
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def main() -> None:
    """Read the command line, predict, and write page and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, help="dataset file with the true values")
    parser.add_argument("--model", type=Path, default=SHIPPED, help="property model (the shipped one)")
    parser.add_argument("--part", choices=PARTS, default="test", help="part of the dataset (%(default)s)")
    parser.add_argument("--property", help="property to look at (the first that the model predicts)")
    parser.add_argument("--bins", type=int, default=8, help="of equal numbers of crystals (%(default)s)")
    parser.add_argument("--page", type=Path, default=HERE.parents[1] / "docs" / "benchmarks" / "reliability.md",
                        help="Markdown file to write (%(default)s)")  # fmt: skip
    parser.add_argument("--picture", type=Path, help="picture to write, .svg or .png (.svg beside the page)")
    options = parser.parse_args()
    dataset, header = read_dataset(options.dataset), read_header(options.model)
    digest, trained_on = dataset.content_hash(), header.card.get("data", {}).get("content_hash")
    name = options.property or header.config["targets"][0]
    part = dataset.part(options.part)
    prediction = predict(dataset.crystals.take(part), options.model)
    error = prediction.values[name] - dataset.values(name)[part]
    sigma = prediction.uncertainty[name]
    told = np.isfinite(error) & np.isfinite(sigma)
    if not told.any():
        parser.error(f"{options.model} predicts {name} without an uncertainty; train it with several members")
    error, sigma = error[told], sigma[told]
    bins = uncertainty_bins(error, sigma, options.bins)
    observed = confidence_curve(error, sigma, LEVELS)
    unit = dataset.units.get(name, "")
    picture = options.picture or options.page.with_suffix(".svg")
    draw(picture, bins, observed, unit)
    order = np.corrcoef(sigma.argsort().argsort(), np.abs(error).argsort().argsort())[0, 1]
    lines = [
        f"# Uncertainty of {name}",
        "",
        f"![reliability]({picture.name})",
        "",
        "| errors against standard deviations | predicted | observed |",
        "|---|---|---|",
        f"| within one, % | {100 * normal_share(1):.1f} | {100 * share_within(error, sigma, 1):.1f} |",
        f"| within two, % | {100 * normal_share(2):.1f} | {100 * share_within(error, sigma, 2):.1f} |",
        f"| root mean square, {unit} | {np.sqrt((sigma**2).mean()):.4f} | {np.sqrt((error**2).mean()):.4f} |",
        "",
        f"Mean absolute error: {np.abs(error).mean():.4f} {unit}. "
        f"Mean distance of the confidence curve from the diagonal: {np.abs(observed - LEVELS).mean():.3f}. "
        f"Expected normalised calibration error over the bins: {bins.expected_error:.3f}. "
        f"Rank correlation of uncertainty and error: {order:.2f}.",
        "",
        f"| crystals | predicted standard deviation, {unit} | root mean square error, {unit} |",
        "|---|---|---|",
        *(
            f"| {count} | {predicted:.4f} | {rms:.4f} |"
            for count, predicted, rms in zip(bins.count, bins.predicted, bins.observed, strict=True)
        ),
        "",
        f"- {options.part} part of {dataset.name}, content hash `{digest[:12]}`"
        + (" (the model was trained on the training part of the same file)" if digest == trained_on else "")
        + f": {told.sum()} crystals, {len(part) - told.sum()} without value or prediction",
        f"- model {options.model.name} `{file_hash(options.model)[:12]}`, {header.network} of "
        f"{header.config['members']} members; factor and floor of the uncertainty fitted on the validation part",
        "- definitions: `icsg3d_models/evaluation/calibration.py`",
        f"- {platform.machine()}, {json.dumps(versions())}",
        "",
    ]
    page = "\n".join(lines)
    options.page.write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()

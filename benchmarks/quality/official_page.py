"""The page of `official.py`: figures of the project beside published rows, each with its source and protocol."""

from __future__ import annotations

import json
import math
import platform
from pathlib import Path
from typing import Any

from evaluate import NETWORKS

from icsg3d_models.data.datasets import Dataset
from icsg3d_models.evaluation.figures import KINDS, SHARE
from icsg3d_models.networks.model_file import file_hash, read_header
from icsg3d_models.results import versions

RECONSTRUCTION = ("match_rate_not_gated", "match_rmse_not_gated", "match_rate", "match_rmse")
GENERATION = (
    *("structure_validity", "composition_validity", "cov_recall", "cov_precision"),
    *("wasserstein_density", "wasserstein_elements", "uniqueness", "novelty"),
)
PREDICTION = {"match_1": "match of 1, %", "rmse_1": "RMSE of 1", "match_20": "match of 20, %", "rmse_20": "RMSE of 20",
              "metre": "METRe of 1, %", "crmse": "cRMSE of 1"}  # fmt: skip


def page(
    options: Any,
    models: Path,
    predicting: Path,
    test: Dataset,
    new: list[str] | None,
    figures: dict[str, Any],
    published: dict[str, Any],
) -> str:
    """Return the page."""
    made, seen = figures["generation"], figures["prediction"]
    count = len(test.crystals)
    asked = "".join(f", asked for {name} {' '.join(map(str, value))}" for name, value in options.asked.items())
    lines = [
        f"# {options.data}: official tables",
        "",
        f"Written by `benchmarks/quality/official.py {options.data}`. {count} crystals of {options.test.name}"
        + ("" if new is None else f", of which {len(new)} have no match in {options.train.name}")
        + f"; models: {models.name}. A dash: not published, or not measured. Rows of other projects are what their "
        "papers say; what they did with crystals that are not valid stands beside them.",
        "",
        "## Reconstruction",
        "",
        *table(RECONSTRUCTION, figures["reconstruction"], published["reconstruction"], new),
        "",
        "Match and RMSE as Xie et al., arXiv:2110.06197; the columns without *not gated* take a crystal that fails "
        "their tests of validity, on either side, for no match, which bounds them: the test file itself scores "
        f"{100 * figures['reconstruction'].get('reference_match_rate', math.nan):.2f} %.",
        "",
        "## New crystals",
        "",
        *table(GENERATION, made, published["generation"], None, ceilings=True),
        "",
        f"{options.samples} samples{asked}, none left out; {100 * made['symmetric']:.1f} % have a space group other "
        f"than P1 within 0.1 Å. Sampling, segmentation and rebuilding took {made['wall_seconds']:.0f} s "
        f"({made['device']}): {made['a_second']:.1f} crystals a second.",
        "",
        "## Structure prediction",
        "",
        *prediction_table(seen, published.get("prediction", []), new),
        "",
        f"The compositions of {seen['crystals']} of the {seen['of']} crystals, drawn at random with seed "
        f"{options.seed}, 20 samples each, guidance {options.guidance:g}, the composition kept in rebuilding. Match "
        "of 1 and 20 as Jiao et al., arXiv:2309.04475; METRe and cRMSE after Martirossyan et al., arXiv:2509.12178; "
        f"models: {predicting.name}.",
        "",
        *(f"- {name} `{file_hash(models / f'{name}.safetensors')[:16]}`, {trained(models, name)}" for name in NETWORKS),
        f"- test file `{test.content_hash()[:16]}`, seed {options.seed}",
        f"- {platform.machine()}, {json.dumps(versions())}",
        f"- {published['note']}",
    ]
    return "\n".join(lines) + "\n"


def trained(models: Path, name: str) -> str:
    """Return what a model was trained on, and for how long."""
    card = read_header(models / f"{name}.safetensors", name).card
    return f"trained on {card['data']['name']}, {card['steps']} steps, {card['seconds']:.0f} s, {card['device']}"


def cell(value: float | None, name: str) -> str:
    """Return a figure as the published tables write it."""
    if value is None or not math.isfinite(value):
        return "-"
    factor, digits = (100, 2) if KINDS[name].unit == SHARE else (1, 4)
    return f"{factor * value:.{digits}f}"


def table(
    names: tuple[str, ...], figures: dict[str, Any], rows: list[dict[str, Any]], new: list[str] | None,
    ceilings: bool = False,
) -> list[str]:  # fmt: skip
    """Return a table: this project, on what is new to its training, the data themselves, the published rows."""
    head = " | ".join(f"{KINDS[n].label}, {KINDS[n].unit}" for n in names)
    lines = [f"| | {head} | protocol |", "|---" * (len(names) + 2) + "|"]

    def own(label: str, prefix: str, protocol: str) -> str:
        return f"| {label} | {' | '.join(cell(figures.get(prefix + n), n) for n in names)} | {protocol} |"

    lines.append(own("**this project**", "", "all test crystals; what is not rebuilt counts"))
    if new is not None:
        lines.append(own("on those without a match in training", "new_", f"{figures.get('new', 0)} crystals"))
    if ceilings:
        lines.append(own("the test file itself", "reference_", "the bound of the metrics"))
    for row in rows:
        given = " | ".join(str(row["figures"].get(n, "-")) for n in names)
        lines.append(f"| {row['name']} ({row['source']}) | {given} | {row.get('protocol', '-')} |")
    return lines


def prediction_table(figures: dict[str, Any], rows: list[dict[str, Any]], new: list[str] | None) -> list[str]:
    """Return the table of structure prediction."""
    lines = [f"| | {' | '.join(PREDICTION.values())} | protocol |", "|---" * (len(PREDICTION) + 2) + "|"]

    def own(label: str, prefix: str, protocol: str) -> str:
        cells = [written(figures.get(prefix + name), name) for name in PREDICTION]
        return f"| {label} | {' | '.join(cells)} | {protocol} |"

    lines.append(own("**this project**", "", f"{figures['crystals']} crystals, what is not rebuilt counts"))
    if new is not None and figures.get("new_crystals"):
        lines.append(own("on those without a match in training", "new_", f"{figures['new_crystals']} crystals"))
    for row in rows:
        given = " | ".join(str(row["figures"].get(name, "-")) for name in PREDICTION)
        lines.append(f"| {row['name']} ({row['source']}) | {given} | {row.get('protocol', '-')} |")
    return lines


def written(value: float | None, name: str) -> str:
    """Return a share in percent, a distance as it is."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.4f}" if "rmse" in name else f"{100 * value:.1f}"

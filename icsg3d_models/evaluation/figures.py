"""The figures of an evaluation: names, units, direction; and the table that shows them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from ..conditions import CONDITIONS


@dataclass(frozen=True)
class Kind:
    """What a figure is.

    :param label: words for the table.
    :param unit: ``%`` for shares, which are kept as fractions and shown in percent.
    :param better: ``higher``, ``lower`` or ``-``.
    """

    label: str
    unit: str
    better: str


SHARE = "%"
KINDS: dict[str, Kind] = {
    "match_rate": Kind("match rate, gated by validity", SHARE, "higher"),
    "match_rmse": Kind("RMSE of the matches, gated", "(V/N)^(1/3)", "lower"),
    "match_rate_not_gated": Kind("match rate, not gated", SHARE, "higher"),
    "match_rmse_not_gated": Kind("RMSE of the matches, not gated", "(V/N)^(1/3)", "lower"),
    "match_rmse_angstrom": Kind("RMSE of the matches, not gated", "Å", "lower"),
    "rebuilt": Kind("rebuilt into a crystal", SHARE, "higher"),
    "structure_validity": Kind("structural validity", SHARE, "higher"),
    "composition_validity": Kind("compositional validity", SHARE, "higher"),
    "validity": Kind("valid: both, and a fingerprint exists", SHARE, "higher"),
    "composition_right": Kind("composition reproduced", SHARE, "higher"),
    "species_accuracy": Kind("sites with the right element, in the frame of the truth", SHARE, "higher"),
    "sites_missing": Kind("true sites without a partner", SHARE, "lower"),
    "sites_spurious": Kind("predicted sites without a partner", SHARE, "lower"),
    "site_error_mean": Kind("site error in the frame of the truth, mean", "Å", "lower"),
    "site_error_median": Kind("site error in the frame of the truth, median", "Å", "lower"),
    "site_error_p90": Kind("site error in the frame of the truth, 90th percentile", "Å", "lower"),
    "length_error": Kind("cell lengths as given, mean absolute error", "Å", "lower"),
    "angle_error": Kind("cell angles as given, mean absolute error", "°", "lower"),
    "volume_error": Kind("volume a site, mean relative error", SHARE, "lower"),
    "cov_recall": Kind("COV-R", SHARE, "higher"),
    "cov_precision": Kind("COV-P", SHARE, "higher"),
    "amsd_recall": Kind("AMSD-R", "-", "lower"),
    "amsd_precision": Kind("AMSD-P", "-", "lower"),
    "amcd_recall": Kind("AMCD-R", "-", "lower"),
    "amcd_precision": Kind("AMCD-P", "-", "lower"),
    "wasserstein_density": Kind("Wasserstein distance, density", "g/cm³", "lower"),
    "wasserstein_elements": Kind("Wasserstein distance, number of elements", "-", "lower"),
    "wasserstein_property": Kind("Wasserstein distance, predicted property", "unit of the property", "lower"),
    "uniqueness": Kind("unique", SHARE, "higher"),
    "novelty": Kind("novel (matches no training crystal)", SHARE, "higher"),
    "unique_and_novel": Kind("unique and novel", SHARE, "higher"),
    "novel_compositions": Kind("compositions not in the training set, among valid", SHARE, "higher"),
    "sun": Kind("stable, unique and novel", SHARE, "higher"),
    "property_mean": Kind("predicted property, mean of the valid", "unit of the property", "-"),
    "target_deviation": Kind("mean absolute deviation from the target", "unit of the property", "lower"),
    **{f"fulfilled_{c.name}": Kind(f"{c.label} as asked for", SHARE, "higher") for c in CONDITIONS},
    "fulfilled": Kind("all that was asked for", SHARE, "higher"),
}

CEILINGS = {
    "reference": "the reference set itself",
    "training": "the training set itself",
    "unconditioned": "samples of which nothing was asked",
}


@dataclass
class Evaluation:
    """All figures of one evaluation.

    :param values: figure -> value of what is evaluated.
    :param ceilings: name of a set that bounds what can be reached (``reference``, ``training``, ...) ->
        its own values of the same figures, from the same functions.
    :param conditions: cut-offs, versions, counts and seeds that the figures depend on.
    """

    values: dict[str, float]
    ceilings: dict[str, dict[str, float]] = field(default_factory=dict)
    conditions: dict[str, Any] = field(default_factory=dict)

    def scalars(self) -> dict[str, float]:
        """Return all figures flat; those of a ceiling are named after it."""
        flat = dict(self.values)
        for name, values in self.ceilings.items():
            flat.update({f"{name}_{key}": value for key, value in values.items() if key in self.values})
        return flat

    def document(self) -> dict[str, Any]:
        """Return the content of ``evaluation.json``."""
        rows = [
            {
                "name": name,
                "label": KINDS[name].label,
                "unit": "fraction" if KINDS[name].unit == SHARE else KINDS[name].unit,
                "better": KINDS[name].better,
                "value": _finite(value),
                **{column: _finite(values.get(name, math.nan)) for column, values in self.ceilings.items()},
            }
            for name, value in self.values.items()
        ]
        return {"format_version": 1, "figures": rows, "conditions": self.conditions}

    def markdown(self) -> str:
        """Return the table as GitHub Markdown, with the conditions under it."""
        columns = list(self.ceilings)
        head = ["figure", "value", *(CEILINGS.get(name, name) for name in columns), "unit", "better"]
        lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        for name, value in self.values.items():
            kind = KINDS[name]
            cells = [kind.label, _show(value, kind)]
            cells += [_show(self.ceilings[column].get(name, math.nan), kind) for column in columns]
            lines.append(f"| {' | '.join([*cells, kind.unit, kind.better])} |")
        notes = [f"- {key}: {value}" for key, value in self.conditions.items()]
        return "\n".join([*lines, "", *notes]) + "\n"


def _show(value: float, kind: Kind) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{100 * value:.2f}" if kind.unit == SHARE else f"{value:.4f}"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None

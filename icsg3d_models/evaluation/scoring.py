"""Score a batch of crystals: the same functions for what is evaluated and for the sets that bound it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..conditions import fulfilled
from ..crystals.batch import Crystals
from ..crystals.contents import mass_densities
from ..workers import Progress
from .conditioning import target_deviation
from .metrics.composition_features import composition_features, scaled_features
from .metrics.coverage import coverage
from .metrics.distributions import draw, element_counts, wasserstein
from .metrics.published_validity import composition_validity, structure_validity
from .metrics.reconstruction import match_distances, match_rate, match_rmse
from .metrics.site_fingerprints import structure_fingerprints
from .metrics.sites import SiteErrors, compare_sites, lattice_errors, species_accuracy
from .metrics.uniqueness_novelty import compare, novel_compositions, stable_unique_novel

Values = dict[str, float]
Rows = list[dict[str, Any]]
TESTS = ("structure_valid", "composition_valid", "valid")


@dataclass(frozen=True)
class Means:
    """How to compute: processes, cache, seed and the published constants that may be chosen.

    :param step: called with the name of a step; returns what to call with its progress.
    """

    workers: int = 1
    cache: Path | None = None
    seed: int = 0
    cutoffs: tuple[float, float] = (0.2, 4.0)
    property_samples: int = 1000
    novelty_samples: int = 1000
    step: Callable[[str], Progress | None] = field(default=lambda name: None)


@dataclass(frozen=True)
class Described:
    """A batch with what several figures need of it; (B,) arrays and (B, ...) fingerprints."""

    crystals: Crystals
    structure_valid: np.ndarray
    composition_valid: np.ndarray
    structure_prints: np.ndarray
    composition_prints: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """(B,) bool: both tests passed and a fingerprint exists, which is what CDVAE's code calls valid."""
        return self.structure_valid & self.composition_valid & np.isfinite(self.structure_prints).all(axis=1)


def describe(crystals: Crystals, means: Means, name: str, fingerprints: bool = True) -> Described:
    """Test and fingerprint every crystal of a batch.

    :param name: of the batch, for the progress.
    :param fingerprints: False leaves the structure fingerprints out, with (B, 0), and with them the
        test whether they exist.
    """
    features = [composition_features(crystals.sites(i)[1]) for i in range(len(crystals))]
    prints = np.zeros((len(crystals), 0))
    if fingerprints:
        step = means.step(f"fingerprints of {name}")
        prints = structure_fingerprints(crystals, means.workers, means.cache, step)
    return Described(
        crystals,
        structure_validity(crystals),
        composition_validity(crystals),
        prints,
        scaled_features(np.array(features).reshape(len(crystals), -1)),
    )


def score_validity(batch: Described, asked: int) -> Values:
    """Return the shares, of all that was asked for, that are rebuilt and valid."""
    return {
        "rebuilt": len(batch.crystals) / asked,
        "structure_validity": float(batch.structure_valid.sum() / asked),
        "composition_validity": float(batch.composition_valid.sum() / asked),
        "validity": float(batch.valid.sum() / asked),
    }


def score_reconstruction(predicted: Described, true: Crystals, means: Means) -> tuple[Values, Rows]:
    """Return the figures of a reconstruction and one row of details a true crystal.

    Every true crystal counts; one without a prediction is neither matched nor valid and none of its
    sites has the right element.
    """
    index = {name: i for i, name in enumerate(predicted.crystals.ids)}
    there = np.array([name in index for name in true.ids], dtype=bool)
    order = np.array([index[name] for name in true.ids if name in index], dtype=np.int64)
    valid = np.zeros(len(true), dtype=bool)
    valid[there] = predicted.valid[order]
    distances = match_distances(predicted.crystals, true, means.workers, means.step("matching"))
    values = {
        "match_rate": match_rate(distances, valid),
        "match_rmse": match_rmse(distances, valid),
        "match_rate_not_gated": match_rate(distances),
        "match_rmse_not_gated": match_rmse(distances),
        **score_validity(predicted, len(true)),
    }
    errors = compare_sites(predicted.crystals, true)
    formulas = dict(zip(predicted.crystals.ids, predicted.crystals.formulas(), strict=True))
    right = [formulas.get(name) == formula for name, formula in zip(true.ids, true.formulas(), strict=True)]
    spacing = np.cbrt(true.volumes / true.counts)  # Å
    values["match_rmse_angstrom"] = match_rmse(distances * spacing)
    values["composition_right"] = float(np.mean(right))
    values |= score_sites(predicted.crystals, true, errors) | score_cells(
        predicted.crystals.take(order), true.take(there.nonzero()[0])
    )
    rows = [
        {
            "id": name,
            "rebuilt": bool(there[i]),
            "valid": bool(valid[i]),
            "rms": None if np.isnan(distances[i]) else float(distances[i]),
            "composition_right": right[i],
            "site_error": float(error.displacements.mean()) if error and len(error.displacements) else None,
        }
        for i, (name, error) in enumerate(zip(true.ids, errors, strict=True))
    ]
    return values, rows


def score_sites(predicted: Crystals, true: Crystals, errors: list[SiteErrors | None]) -> Values:
    """Return the figures of sites in the frame of the truth.

    :param errors: one a true crystal, None where there is no prediction.
    """
    found = [error for error in errors if error is not None]
    lost = sum(int(n) for n, error in zip(true.counts, errors, strict=True) if error is None)
    moved = np.concatenate([np.zeros(0), *(error.displacements for error in found)])
    return {
        "species_accuracy": species_accuracy(errors, true),
        "sites_missing": (lost + sum(error.missing for error in found)) / len(true.numbers),
        "sites_spurious": sum(error.spurious for error in found) / max(len(predicted.numbers), 1),
        "site_error_mean": float(moved.mean()) if len(moved) else np.nan,
        "site_error_median": float(np.median(moved)) if len(moved) else np.nan,
        "site_error_p90": float(np.percentile(moved, 90)) if len(moved) else np.nan,
    }


def score_cells(predicted: Crystals, true: Crystals) -> Values:
    """Return the mean errors of lengths, angles and volumes.

    :param predicted: B crystals, paired with ``true``.
    """
    if len(true) == 0:
        return {"length_error": np.nan, "angle_error": np.nan, "volume_error": np.nan}
    lengths, angles = lattice_errors(predicted.cell, true.cell)
    swelling = np.abs((predicted.volumes / predicted.counts) / (true.volumes / true.counts) - 1)
    return {
        "length_error": float(lengths.mean()),
        "angle_error": float(angles.mean()),
        "volume_error": float(swelling.mean()),
    }


def score_generation(
    batch: Described,
    reference: Described,
    means: Means,
    asked: int,
    properties: tuple[np.ndarray, np.ndarray] | None = None,
    target: float | None = None,
) -> Values:
    """Return validity, coverage and distances of distributions of a batch against a reference set.

    :param asked: number of samples asked for; those that gave no crystal count as failures.
    :param properties: predicted property of the batch (B,) and of the reference (R,), NaN where not valid.
    :param target: value of the property that was asked for.
    """
    values = score_validity(batch, asked)
    cover = coverage(
        (batch.structure_prints, batch.composition_prints),
        (reference.structure_prints, reference.composition_prints),
        means.cutoffs,
        asked,
    )
    values |= {
        "cov_recall": cover.recall,
        "cov_precision": cover.precision,
        "amsd_recall": cover.structure_recall,
        "amsd_precision": cover.structure_precision,
        "amcd_recall": cover.composition_recall,
        "amcd_precision": cover.composition_precision,
    }
    chosen = draw(batch.valid, means.property_samples, means.seed)
    some = batch.crystals.take(chosen)
    values["wasserstein_density"] = wasserstein(mass_densities(some), mass_densities(reference.crystals))
    values["wasserstein_elements"] = wasserstein(element_counts(some), element_counts(reference.crystals))
    if properties is not None:
        mine, theirs = (found[np.isfinite(found)] for found in properties)
        drawn = properties[0][chosen]
        values["wasserstein_property"] = wasserstein(drawn[np.isfinite(drawn)], theirs)
        values |= score_property(mine, target)
    return values


def score_property(found: np.ndarray, target: float | None) -> Values:
    """Return the mean of the predicted property and, where there is one, the deviation from the target.

    :param found: (V,) values of the valid crystals.
    """
    values = {"property_mean": float(found.mean()) if len(found) else np.nan}
    if target is not None:
        values["target_deviation"] = target_deviation(found, target)
    return values


def score_conditions(crystals: Crystals, total: int, asked: Mapping[str, Any]) -> tuple[Values, np.ndarray]:
    """Return the shares of all samples that fulfil each condition and all of them, and which crystals do, (B,) bool.

    :param total: number of samples drawn; those that gave no crystal fulfil nothing.
    :param asked: name of a condition -> value, as the crystals were sampled with.
    """
    found = fulfilled(crystals, asked)
    whole = np.ones(len(crystals), dtype=bool)
    for right in found.values():
        whole &= right
    values = {f"fulfilled_{name}": float(right.sum() / total) for name, right in found.items()}
    return values | {"fulfilled": float(whole.sum() / total)}, whole


def score_novelty(
    batch: Described, known: Crystals | None, means: Means, asked: int, stable: np.ndarray | None = None
) -> tuple[Values, Rows]:
    """Return uniqueness, novelty and S.U.N., and one row of details a crystal.

    Comparing all with all grows with the square of the batch, so the shares are over ``novelty_samples``
    of the samples asked for, drawn at random; a sample that gave no crystal is neither unique nor novel.

    :param known: training crystals; None: novelty is not judged.
    :param stable: (B,) bool.
    """
    crystals = batch.crystals
    drawn = draw(np.ones(asked, dtype=bool), means.novelty_samples, means.seed)
    chosen = drawn[drawn < len(crystals)]
    unique, novel = compare(crystals.take(chosen), known, means.workers, means.step("uniqueness and novelty"))
    values = {"uniqueness": float(unique.sum() / len(drawn))}
    tests = (batch.structure_valid, batch.composition_valid, batch.valid)
    rows: Rows = [
        {"id": name, "formula": formula} | dict(zip(TESTS, map(bool, passed), strict=True))
        for name, formula, *passed in zip(crystals.ids, crystals.formulas(), *tests, strict=True)
    ]
    for i, u, n in zip(chosen, unique, novel, strict=True):
        rows[i] |= {"unique": bool(u)} | ({"novel": bool(n)} if known is not None else {})
    if known is None:
        return values, rows
    fresh = novel_compositions(crystals, known)
    for row, value in zip(rows, fresh, strict=True):
        row["novel_composition"] = bool(value)
    values["novelty"] = float(novel.sum() / len(drawn))
    values["unique_and_novel"] = float((unique & novel).sum() / len(drawn))
    values["novel_compositions"] = float(fresh[batch.valid].mean()) if batch.valid.any() else np.nan
    if stable is not None:
        values["sun"] = stable_unique_novel(stable[chosen], unique, novel, len(drawn))
    return values, rows

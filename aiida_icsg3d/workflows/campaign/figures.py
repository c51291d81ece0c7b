"""What a round came to, from the summary of its discovery run: candidates, counts, and how far predictors were off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from icsg3d_models.screening.table import PREDICTED
from icsg3d_models.stability.verdict import stable_within as decided

from ..summary import OF_MODES

ESTIMATE = "estimated_formation_energy_per_atom"
FORMATION, HEIGHT = "dft_formation_energy", "dft_e_above_hull"
KEPT = ("id", "formula", "uuid", "relaxed_uuid", "novel", "novel_composition", "known_formula", "unique")
OF_PRERELAX = (
    "potential", "estimated_formation_energy_per_atom", "estimated_e_above_hull", "spread", "rmsd", "volume_change",
    "spacegroup_before", "spacegroup_after", "left_prototype", "chosen", "set_aside",
)  # fmt: skip
OF_RELAX = (
    "status", "reason", "energy_per_atom_eV", "dft_formation_energy", "dft_e_above_hull", "dft_hull",
    "dft_decomposition", "volume_change_percent", "a", "b", "c", "spacegroup_symbol", "spacegroup_number",
    "rmsd_angstrom", "rmsd_from_prerelaxed", "total_magnetization", "magnetic_order", "band_gap_eV", *OF_MODES,
)  # fmt: skip


def entries_of(summary: Mapping[str, Any], number: int, stable_within: float) -> list[dict[str, Any]]:
    """Return one entry for each candidate of a round.

    ``stable``: whether DFT has it at most ``stable_within`` eV/atom above the hull; None without a verdict, and where
    only phases that the hull lacks can tell, see :func:`icsg3d_models.stability.verdict.stable_within`; False where
    phonons by DFT found an imaginary mode: what is stable is then another crystal, lower along it. ``new``: not in
    the training data, not tried by an earlier round, and its formula in no list of known compounds.

    :param summary: of a DiscoverWorkChain.
    :param number: of the round.
    """
    found = []
    for candidate in summary["candidates"]:
        prerelax, relax = candidate.get("prerelax") or {}, candidate.get("relax") or {}
        entry: dict[str, Any] = {"round": number, **{key: candidate.get(key) for key in KEPT}}
        entry["predicted"] = {k: v for k, v in candidate.items() if k.startswith("predicted_")}
        entry["uncertainty"] = {k: v for k, v in candidate.items() if k.startswith("uncertainty_")}
        entry["prerelax"] = {key: prerelax[key] for key in OF_PRERELAX if prerelax.get(key) is not None}
        entry["relax"] = {key: relax[key] for key in OF_RELAX if relax.get(key) is not None}
        height = relax.get("dft_e_above_hull")
        entry["stable"] = decided(height, (relax.get("dft_hull") or {}).get("lower_by"), stable_within)
        if relax.get("dynamically_stable") is False and height is not None:
            entry["stable"] = False
        entry["new"] = candidate.get("novel") is not False and candidate.get("known_formula") is False
        found.append(entry)
    return found


def counts_of(entries: Sequence[Mapping[str, Any]], funnel: Mapping[str, int]) -> dict[str, int]:
    """Return how many crystals of a round reached what.

    ``stable_new``: stable, new, and no crystal that this campaign has found already. ``undecided``: low enough for the
    hull that there is, but that lacks phases which may lie lower. ``imaginary``: judged, with an imaginary mode.
    """
    judged = [entry for entry in entries if entry["relax"].get(HEIGHT) is not None]
    stable = [entry for entry in judged if entry["stable"]]
    return {
        **funnel,
        "judged": len(judged),
        "undecided": sum(entry["stable"] is None for entry in judged),
        "imaginary": sum(entry["relax"].get("dynamically_stable") is False for entry in judged),
        "stable": len(stable),
        "stable_unique": sum(not entry.get("found_before") for entry in stable),
        "stable_new": sum(entry["new"] and not entry.get("found_before") for entry in stable),
    }


def errors_of(entries: Sequence[Mapping[str, Any]], compared_with: Mapping[str, str]) -> dict[str, dict[str, float]]:
    """Return how far each predictor was from the DFT, over the candidates that have both.

    The potential's formation energies are compared with those of the DFT.

    ``mae`` in eV/atom; ``mae_shifted`` after the mean difference, ``shift``, is taken off: two functionals differ by
    about a constant within one chemistry; ``rank_correlation``: Spearman's, from three candidates on.
    ``n``: of how many.

    :param compared_with: predicted property -> :data:`FORMATION` or :data:`HEIGHT`, what it is a prediction of.
    """
    columns: dict[str, list[tuple[float, float]]] = {}
    for entry in entries:
        relax, prerelax = entry["relax"], entry["prerelax"]
        pairs = {str(prerelax.get("potential", "potential")): (prerelax.get(ESTIMATE), relax.get(FORMATION))}
        for name, measured in compared_with.items():
            pairs[f"predicted {name}"] = (entry["predicted"].get(PREDICTED + name), relax.get(measured))
        for name, (value, measured) in pairs.items():
            if value is not None and measured is not None:
                columns.setdefault(name, []).append((value, measured))
    return {name: error_of(pairs) for name, pairs in columns.items()}


def error_of(pairs: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Return the figures of :func:`errors_of` for pairs of (predicted, measured)."""
    predicted, measured = np.array(pairs, dtype=float).T
    difference = predicted - measured
    shift = float(difference.mean())
    found = {
        "n": len(pairs),
        "mae": float(np.abs(difference).mean()),
        "shift": shift,
        "mae_shifted": float(np.abs(difference - shift).mean()),
    }
    if len(pairs) > 2 and predicted.std() > 0 and measured.std() > 0:
        found["rank_correlation"] = float(np.corrcoef(ranks(predicted), ranks(measured))[0, 1])
    return found


def ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value, equal values sharing their mean rank."""
    from scipy.stats import rankdata

    found: np.ndarray = rankdata(values)
    return found

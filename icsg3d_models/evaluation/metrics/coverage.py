"""Coverage of a reference set by generated crystals: COV-R and COV-P.

Definition: Xie et al., CDVAE, arXiv:2110.06197, appendix B and its published code, after the recall and
precision of conformers of Ganea et al., GeoMol, arXiv:2106.07802.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Published cut-offs: distance of structure fingerprints, distance of scaled composition features.
CUTOFFS = {"perov_5": (0.2, 4.0), "carbon_24": (0.2, 4.0), "mp_20": (0.4, 10.0)}
_BLOCK = 256


@dataclass(frozen=True)
class Coverage:
    """Coverage figures.

    :param recall: COV-R, share of the reference crystals that have a generated crystal within both
        cut-offs; as published, structure and composition may come from two different crystals.
    :param precision: COV-P, the same share of the generated crystals.
    :param structure_recall: AMSD-R, mean distance of a reference structure to the nearest generated one.
    :param structure_precision: AMSD-P, the same from generated to reference.
    :param composition_recall: AMCD-R, as AMSD-R for compositions.
    :param composition_precision: AMCD-P.
    """

    recall: float
    precision: float
    structure_recall: float
    structure_precision: float
    composition_recall: float
    composition_precision: float


def nearest(points: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Euclidean distances to the nearest neighbour in the other set, both ways.

    :param points: (P, D).
    :param others: (Q, D).
    :return: (P,) and (Q,), infinite where the other set is empty. Blocks keep 10,000 × 10,000 within
        tens of megabytes.
    """
    from scipy.spatial.distance import cdist

    forward = np.full(len(points), np.inf)
    backward = np.full(len(others), np.inf)
    if len(points) and len(others):
        for start in range(0, len(points), _BLOCK):
            block = cdist(points[start : start + _BLOCK], others)
            forward[start : start + _BLOCK] = block.min(axis=1)
            np.minimum(backward, block.min(axis=0), out=backward)
    return forward, backward


def coverage(
    generated: tuple[np.ndarray, np.ndarray],
    reference: tuple[np.ndarray, np.ndarray],
    cutoffs: tuple[float, float],
    n_generated: int | None = None,
) -> Coverage:
    """Return the coverage of a reference set by generated crystals.

    A crystal without a fingerprint (NaN) covers nothing, is not covered, and still counts in its share.

    :param generated: structure fingerprints (G, 61) and scaled composition features (G, 132).
    :param reference: the same of the reference set, (R, 61) and (R, 132).
    :param cutoffs: largest distance of structures and of compositions.
    :param n_generated: samples asked for, those that gave no crystal included; default G.
    """
    whole = [np.isfinite(s).all(axis=1) & np.isfinite(c).all(axis=1) for s, c in (generated, reference)]
    kept = [(s[w], c[w]) for (s, c), w in zip((generated, reference), whole, strict=True)]
    structure = nearest(kept[0][0], kept[1][0])
    composition = nearest(kept[0][1], kept[1][1])
    hits = [(s <= cutoffs[0]) & (c <= cutoffs[1]) for s, c in zip(structure, composition, strict=True)]
    total = len(whole[0]) if n_generated is None else n_generated

    def mean(values: np.ndarray) -> float:
        return float(values.mean()) if len(values) else np.nan

    return Coverage(
        recall=hits[1].sum() / len(whole[1]) if len(whole[1]) else np.nan,
        precision=hits[0].sum() / total if total else np.nan,
        structure_recall=mean(structure[1]),
        structure_precision=mean(structure[0]),
        composition_recall=mean(composition[1]),
        composition_precision=mean(composition[0]),
    )

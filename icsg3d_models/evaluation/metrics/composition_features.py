"""Composition fingerprints: six statistics of 22 elemental properties, 132 numbers (Magpie).

Source of properties and statistics: Ward, Agrawal, Choudhary and Wolverton, npj Comput. Mater. 2, 16028
(2016), doi:10.1038/npjcompumats.2016.28. The elemental table is read from SMACT, which carries it.
The scaler is the one that CDVAE (arXiv:2110.06197) publishes with its code, as mean and standard deviation
of every feature: without the same numbers a cut-off of 4 or 10 means something else.
"""

from __future__ import annotations

import csv
import functools
from importlib.resources import files

import numpy as np

from ...crystals.elements import NUMBER

STATISTICS = ("minimum", "maximum", "range", "mean", "avg_dev", "mode")
# Entries that the published table does not have and that SMACT's copy fills with the mean of the column.
UNPUBLISHED = {
    "MeltingT": ("He", "Fr"),
    "CovalentRadius": ("Bk",),
    "Electronegativity": ("He", "Ne", "Ar", "Rn"),
    "SpaceGroupNumber": ("At", "Rn", "Fr"),
}


@functools.cache
def elemental_table() -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the 22 properties and their values, (119, 22), NaN where there is none."""
    with files("smact").joinpath("data/magpie.csv").open(encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    properties = tuple(rows[0][1:])
    table = np.full((119, len(properties)), np.nan)
    for symbol, *values in rows[1:]:
        table[NUMBER[symbol]] = [float(value) for value in values]
    for name, symbols in UNPUBLISHED.items():
        table[[NUMBER[symbol] for symbol in symbols], properties.index(name)] = np.nan
    return properties, table


def composition_features(numbers: np.ndarray) -> np.ndarray:
    """Return the features of one composition, (132,): for each property the six statistics.

    With x_e the value and w_e the atomic fraction of element e: least x, largest x, their difference,
    m = Σ w x, Σ w |x - m|, and the x of the most abundant element (the least of them on a tie). NaN
    where an element that enters has no value; all NaN with an element beyond Bk, which have no table.

    :param numbers: (n,) atomic numbers of the sites.
    """
    elements, amounts = np.unique(numbers, return_counts=True)
    weights = amounts / amounts.sum()
    values = elemental_table()[1][elements]  # (E, 22)
    if np.isnan(values[:, 0]).any():  # Number is there for every element of the table, up to Bk
        return np.full(len(STATISTICS) * values.shape[1], np.nan)
    mean = weights @ values
    low, high = values.min(axis=0), values.max(axis=0)
    mode = values[amounts == amounts.max()].min(axis=0)
    return np.stack([low, high, high - low, mean, weights @ np.abs(values - mean), mode], axis=1).ravel()


@functools.cache
def scaler() -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature, (132,) and (132,), as published with CDVAE.

    :raises ValueError: the table beside this module does not fit the features.
    """
    with files(__package__).joinpath("composition_scaler.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    order = [(row["property"], row["statistic"]) for row in rows]
    expected = [(name, statistic) for name in elemental_table()[0] for statistic in STATISTICS]
    if order != expected:
        raise ValueError("composition_scaler.csv does not fit the table of elements; reinstall smact")
    return np.array([float(row["mean"]) for row in rows]), np.array([float(row["std"]) for row in rows])


def scaled_features(features: np.ndarray) -> np.ndarray:
    """Return (features - mean) / std with missing values at the mean, which is 0, as published.

    :param features: (B, 132); rows that are NaN throughout stay so: they have no fingerprint.
    """
    mean, std = scaler()
    scaled = np.nan_to_num((features - mean) / std, nan=0.0)
    scaled[np.isnan(features).all(axis=-1)] = np.nan
    return scaled

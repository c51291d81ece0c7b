"""How well the sites and the cell of a rebuilt crystal agree with the true ones, in the same frame.

Unlike the match rate these figures see the origin and the choice of cell: they say what an encoding
loses, and mean nothing where the rebuilt crystal is in another setting than the true one (there the RMSE
of the matches in Å and the volume are what to look at). Positions are compared at equal fractional
coordinates in the true cell, the cells on their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...crystals.batch import Crystals
from ...crystals.cells import cell_parameters


@dataclass(frozen=True)
class SiteErrors:
    """Errors of one crystal.

    :param displacements: (k,) Å, distances of the k = min(n, m) assigned pairs of sites.
    :param species_right: true sites whose assigned site has the right element.
    :param missing: true sites without a partner.
    :param spurious: predicted sites without a partner.
    """

    displacements: np.ndarray
    species_right: int
    missing: int
    spurious: int


def site_errors(
    predicted: tuple[np.ndarray, np.ndarray], true: tuple[np.ndarray, np.ndarray], cell: np.ndarray
) -> SiteErrors:
    """Assign predicted to true sites so that the sum of squared distances is least, and compare them.

    Distances are to the nearest periodic image, right in any cell (a sheared one too); the elements do
    not enter the assignment. It is the linear sum assignment of Kuhn, Nav. Res. Logist. Q. 2, 83 (1955).

    :param predicted: fractional coordinates (n, 3) and atomic numbers (n,).
    :param true: the same, (m, 3) and (m,).
    :param cell: (3, 3) of the true crystal, Å.
    """
    from pymatgen.core import Lattice
    from scipy.optimize import linear_sum_assignment

    n, m = len(predicted[1]), len(true[1])
    if n == 0 or m == 0:
        return SiteErrors(np.zeros(0), 0, m, n)
    distances = Lattice(cell).get_all_distances(true[0], predicted[0])  # (m, n)
    rows, columns = linear_sum_assignment(distances**2)
    right = int((true[1][rows] == predicted[1][columns]).sum())
    return SiteErrors(distances[rows, columns], right, m - len(rows), n - len(rows))


def lattice_errors(predicted: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the absolute errors of the lengths, (B, 3) in Å, and of the angles, (B, 3) in degrees.

    :param predicted: (B, 3, 3) cells, rows are vectors, Å.
    :param true: (B, 3, 3).
    """
    (lengths, angles), (true_lengths, true_angles) = cell_parameters(predicted), cell_parameters(true)
    return np.abs(lengths - true_lengths), np.abs(angles - true_angles)


def compare_sites(predicted: Crystals, true: Crystals) -> list[SiteErrors | None]:
    """Return the errors of every true crystal, None where there is no prediction of that id."""
    index = {name: i for i, name in enumerate(predicted.ids)}
    return [
        site_errors(predicted.sites(index[name]), true.sites(i), true.cell[i]) if name in index else None
        for i, name in enumerate(true.ids)
    ]


def species_accuracy(errors: list[SiteErrors | None], true: Crystals) -> float:
    """Return the share of all true sites that got the right element; sites of missing crystals got none."""
    right = sum(e.species_right for e in errors if e is not None)
    return right / len(true.numbers) if len(true.numbers) else np.nan

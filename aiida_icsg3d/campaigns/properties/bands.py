"""Bands that were computed of a relaxed crystal, read from the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .runs import newest_on

if TYPE_CHECKING:
    from aiida.orm import BandsData, StructureData

PROCESS = "PwBandsWorkChain"


@dataclass(frozen=True)
class Bands:
    """Bands along a path.

    :param distance: (K,) Å⁻¹ along the path, without the jumps between its pieces.
    :param energies: (S, K, B) eV above the highest occupied band, or above the Fermi energy of a metal; S spins.
    :param ticks: distance -> label of the special points.
    :param gap: eV, None: a metal along the path.
    """

    distance: np.ndarray
    energies: np.ndarray
    ticks: dict[float, str]
    gap: float | None

    @property
    def words(self) -> str:
        """The gap in words."""
        return "no gap along the path" if self.gap is None else f"gap {self.gap:.2f} eV along the path"


def bands_of(structure: StructureData) -> Bands | None:
    """Return the newest bands of a relaxed crystal, None where none were computed."""
    node = newest_on(structure, PROCESS)
    return None if node is None else read_bands(node.outputs.band_structure, node.outputs.scf_parameters.get_dict())


def read_bands(data: BandsData, scf: dict[str, Any]) -> Bands:
    """Return bands relative to the highest occupied one.

    :param scf: parameters of the SCF: electrons, and whether spins have bands of their own.
    """
    energies = np.asarray(data.get_bands(), dtype=np.float64)
    energies = energies if energies.ndim == 3 else energies[None]
    points, special = data.get_kpoints(cartesian=True), dict(data.labels or [])
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    steps[[index for index in special if index + 1 in special and index < len(steps)]] = 0.0  # a jump of the path
    distance = np.concatenate([[0.0], np.cumsum(steps)])
    ticks: dict[float, str] = {}
    for index, label in sorted(special.items()):
        at, name = round(float(distance[index]), 6), "Γ" if label == "GAMMA" else label.replace("_", "")
        ticks[at] = name if ticks.get(at, name) == name else f"{ticks[at]}|{name}"
    zero, gap = level_and_gap(energies, float(scf["number_of_electrons"]), scf.get("fermi_energy"))
    return Bands(distance, energies - zero, ticks, gap)


def level_and_gap(energies: np.ndarray, electrons: float, fermi: float | None) -> tuple[float, float | None]:
    """Return the zero of energies (eV), and the gap, None where bands cross the Fermi energy.

    :param energies: (S, K, B) eV.
    :param fermi: eV, of the SCF; None: by counting electrons.
    """
    flat = energies.transpose(1, 0, 2).reshape(energies.shape[1], -1)  # (K, S B)
    if fermi is not None:
        below, above = flat[flat <= fermi], flat[flat > fermi]
        crossed = any((band <= fermi).any() and (band > fermi).any() for spin in energies for band in spin.T)
    else:
        filled = round(electrons * len(energies) / 2)
        ordered = np.sort(flat, axis=1)
        below, above = ordered[:, :filled], ordered[:, filled:]
        crossed = below.size == 0 or above.size == 0 or below.max() >= above.min()
    if crossed or below.size == 0 or above.size == 0:
        return (float(below.max()) if fermi is None and below.size else float(fermi or 0.0)), None
    return float(below.max()), float(above.min() - below.max())

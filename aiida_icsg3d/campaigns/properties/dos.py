"""Densities of states that were computed of a relaxed crystal, read from the graph."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .runs import newest_on

if TYPE_CHECKING:
    from aiida.orm import StructureData

PROCESS = "PdosWorkChain"
NONE_THERE = 0.02  # states/eV and atom below which a density counts as none


@dataclass(frozen=True)
class Densities:
    """Densities of states of one crystal.

    :param energy: (E,) eV above the Fermi energy.
    :param total: (S, E) states/eV in the cell, by spin.
    :param by_element: element -> (S, E), projected on the orbitals of its atoms; what lies between atoms is lacking.
    :param atoms: in the cell.
    """

    energy: np.ndarray
    total: np.ndarray
    by_element: dict[str, np.ndarray]
    atoms: int

    @property
    def at_fermi(self) -> float:
        """States/eV and atom at the Fermi energy, both spins."""
        return float(np.interp(0.0, self.energy, self.total.sum(axis=0))) / self.atoms

    @property
    def words(self) -> str:
        """What stands at the Fermi energy."""
        at = self.at_fermi
        return f"{at:.2f} states/eV and atom at the Fermi energy" if at > NONE_THERE else "none at the Fermi energy"


def densities_of(structure: StructureData) -> Densities | None:
    """Return the newest densities of states of a relaxed crystal, None where none were computed."""
    node = newest_on(structure, PROCESS)
    return None if node is None else read_densities(node.outputs, len(structure.sites))


def read_densities(outputs: Any, atoms: int) -> Densities:
    """Return the densities that a PdosWorkChain put out.

    :param outputs: ``nscf``, ``dos`` and ``projwfc``.
    """
    fermi = float(outputs.nscf.output_parameters["fermi_energy"])
    _, energy, _ = outputs.dos.output_dos.get_x()
    curves = {name: values for name, values, _ in outputs.dos.output_dos.get_y()}
    spins = ("dos_spin_up", "dos_spin_down") if "dos_spin_up" in curves else ("dos",)
    total = np.array([curves[name] for name in spins])
    ports = ("projections_up", "projections_down") if len(spins) > 1 else ("projections",)
    by_element: dict[str, np.ndarray] = defaultdict(lambda: np.zeros((len(spins), len(energy))))
    for spin, port in enumerate(ports):
        for orbital, values, at in outputs.projwfc[port].get_pdos():
            symbol = "".join(letter for letter in orbital.get_orbital_dict()["kind_name"] if letter.isalpha())
            by_element[symbol][spin] += np.interp(energy, at, values, left=0.0, right=0.0)
    return Densities(np.asarray(energy) - fermi, total, dict(by_element), atoms)

"""Is a relaxed crystal a minimum: phonons by the potential, see :mod:`.modes`."""

from __future__ import annotations

import time
import warnings

from ase import Atoms

from ..settings.relax import PhononSettings
from .modes import Cells, Modes, begin, displaced, spectrum
from .optimise import Late
from .potentials import Loaded


def lowest_mode(
    atoms: Atoms, potential: Loaded, settings: PhononSettings, supercell: Cells, deadline: float | None
) -> Modes:
    """Return the lowest mode among the wave vectors that fit into a supercell; translations of all sites left out.

    :param atoms: relaxed.
    :param supercell: multiples of its cell.
    :param deadline: of time.monotonic().
    :raises Late: the deadline came first.
    """
    phonons = begin(atoms, supercell, settings.displacement)
    forces = []
    for moved in displaced(phonons):
        if deadline is not None and time.monotonic() > deadline:
            raise Late
        moved.calc = potential.calculator
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the calculators
            forces.append(moved.get_forces())
    return spectrum(phonons, forces).lowest()

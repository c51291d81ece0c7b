"""Relax one crystal, and stop where it stops being one."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms, units
from ase.constraints import FixSymmetry
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE, LBFGS
from ase.spacegroup.symmetrize import refine_symmetry

from ..crystals.batch import Crystals
from ..crystals.elements import SYMBOLS
from ..crystals.validity import structure_problems
from ..settings import RelaxSettings
from .potentials import Loaded

OPTIMISERS: dict[str, Any] = {"FIRE": FIRE, "LBFGS": LBFGS}
RELAXED, NOT_CONVERGED, BLOWN_UP = "relaxed", "not_converged", "blown_up"
UNKNOWN_ELEMENT, NOT_VALID, FAILED = "unknown_element", "not_valid", "failed"
STATUSES = {
    RELAXED: "converged",
    NOT_CONVERGED: "still a crystal after the last step, forces above `fmax`",
    BLOWN_UP: "fell apart or collapsed on the way",
    UNKNOWN_ELEMENT: "the potential was not made for one of its elements",
    NOT_VALID: "no crystal to begin with",
    FAILED: "the potential raised an error",
}
"""Closed list of what becomes of a crystal."""
HUGE = 1e4  # eV/Å; forces beyond that are not physical any more


class Late(Exception):
    """The deadline came in the middle of a crystal."""


class _GivenUp(Exception):
    """The crystal stopped being one; the message says why."""


@dataclass(frozen=True)
class Outcome:
    """What became of one crystal.

    :param status: a key of :data:`STATUSES`.
    :param atoms: the crystal after the last step, in the cell basis it came in; None where there is no crystal.
    :param energy: eV a cell. :param fmax: eV/Å. :param pressure: GPa.
    """

    status: str
    reason: str = ""
    atoms: Atoms | None = None
    energy: float = np.nan
    steps: int = 0
    fmax: float = np.nan
    pressure: float = np.nan
    seconds: float = 0.0


def atoms_of(crystals: Crystals, index: int) -> Atoms:
    """Return one crystal for ASE."""
    frac, numbers = crystals.sites(index)
    return Atoms(numbers=numbers, cell=crystals.cell[index], scaled_positions=frac, pbc=True)


def problem_of(atoms: Atoms) -> str:
    """Return why atoms are no crystal, an empty string where they are one."""
    cell, frac = np.array(atoms.cell), atoms.get_scaled_positions(wrap=True)
    problem = structure_problems(Crystals.from_arrays([cell], [frac], [atoms.numbers], ["x"]))[0]
    return problem or ""


def optimise(atoms: Atoms, potential: Loaded, settings: RelaxSettings, deadline: float | None = None) -> Outcome:
    """Relax sites, and the cell where the settings say so.

    :param deadline: of time.monotonic().
    :raises Late: the deadline came first.
    """
    problem = problem_of(atoms)
    if problem:
        return Outcome(NOT_VALID, problem)
    unknown = potential.unknown(atoms.numbers)
    if unknown:
        symbols = ", ".join(SYMBOLS[z] for z in unknown)
        return Outcome(UNKNOWN_ELEMENT, f"{potential.name} was not made for {symbols}")
    atoms, started, steps = atoms.copy(), time.monotonic(), 0
    first = atoms.get_volume()

    def watch() -> None:
        if deadline is not None and time.monotonic() > deadline:
            raise Late
        check(atoms, first, settings.max_volume_change)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the calculators; what matters is checked after every step
            if settings.keep_symmetry:
                refine_symmetry(atoms, settings.symmetry_tolerance)
                atoms.set_constraint(FixSymmetry(atoms, symprec=settings.symmetry_tolerance))
            atoms.calc = potential.calculator
            what = FrechetCellFilter(atoms) if settings.relax_cell else atoms
            optimiser = OPTIMISERS[settings.optimiser](what, logfile=None)
            optimiser.attach(watch, interval=1)
            converged = bool(optimiser.run(fmax=settings.fmax, steps=settings.max_steps))
            steps = int(optimiser.nsteps)
            watch()
            energy, fmax = float(atoms.get_potential_energy()), largest_force(atoms)
            pressure = (
                -float(np.trace(atoms.get_stress(voigt=False))) / 3 / units.GPa if settings.relax_cell else np.nan
            )
    except Late:
        raise
    except _GivenUp as exception:
        return Outcome(BLOWN_UP, str(exception), seconds=time.monotonic() - started)
    except Exception as exception:  # whatever a potential raises on a crystal it cannot do, memory included
        words = " ".join(str(exception).split())[:200]
        return Outcome(FAILED, f"{type(exception).__name__}: {words}", seconds=time.monotonic() - started)
    atoms.set_constraint()
    seconds = time.monotonic() - started
    reason = "" if converged else f"{fmax:.3g} eV/Å left after {steps} steps"
    return Outcome(RELAXED if converged else NOT_CONVERGED, reason, atoms, energy, steps, fmax, pressure, seconds)


def check(atoms: Atoms, first_volume: float, factor: float) -> None:
    """Give a crystal up that is none any more.

    :raises _GivenUp: with the reason.
    """
    problem = problem_of(atoms)
    if problem:
        raise _GivenUp(problem)
    ratio = atoms.get_volume() / first_volume
    if not 1 / factor < ratio < factor:
        raise _GivenUp(f"the volume became {ratio:.2g} of what it was (limit: a factor of {factor:g})")
    energy, force = float(atoms.get_potential_energy()), largest_force(atoms)
    if not (np.isfinite(energy) and force < HUGE):
        raise _GivenUp(f"energy {energy:.3g} eV and forces of {force:.3g} eV/Å")


def largest_force(atoms: Atoms) -> float:
    """Return the largest force on a site, eV/Å."""
    return float(np.linalg.norm(atoms.get_forces(), axis=1).max())

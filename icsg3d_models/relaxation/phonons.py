"""Is a relaxed crystal a minimum: phonons by the potential, and the way down along an imaginary mode.

Frozen phonons with phonopy (Togo et al., J. Phys.: Condens. Matter 35, 353001 (2023), 10.1088/1361-648X/acd831): sites
are moved one by one, and the forces give the force constants of a supercell. Only the wave vectors that fit into it
are looked at, which is exact; nothing is interpolated.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from ase import Atoms

from ..settings.relax import PhononSettings
from .optimise import Late
from .potentials import Loaded

SYMPREC = 1e-3  # Å; within it symmetry spares displacements
PUSH = 0.15  # Å, largest displacement along the mode that is followed
LOWER = 1e-4  # eV/atom; what is less lower is the same minimum


@dataclass(frozen=True)
class Modes:
    """The lowest mode of a crystal.

    :param frequency: THz; negative: imaginary.
    :param wave_vector: (3,) fractions of the reciprocal vectors.
    :param pattern: (n, 3) complex displacements of the sites of the cell, in Å up to a factor.
    """

    frequency: float
    wave_vector: np.ndarray
    pattern: np.ndarray

    def repeats(self) -> tuple[int, int, int]:
        """Return the smallest multiples of the cell that the mode fits into."""
        first, second, third = (Fraction(float(q)).limit_denominator(12).denominator for q in self.wave_vector)
        return first, second, third


def lowest_mode(
    atoms: Atoms, potential: Loaded, settings: PhononSettings, supercell: tuple[int, int, int], deadline: float | None
) -> Modes:
    """Return the lowest mode among the wave vectors that fit into a supercell; translations of all sites left out.

    :param atoms: relaxed.
    :param supercell: multiples of its cell.
    :param deadline: of time.monotonic().
    :raises Late: the deadline came first.
    """
    from phonopy import Phonopy
    from phonopy.harmonic.dynmat_to_fc import get_commensurate_points
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(numbers=atoms.numbers, cell=atoms.cell.array, scaled_positions=atoms.get_scaled_positions())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the calculators, and of spglib where a crystal has little symmetry
        phonons: Any = Phonopy(
            cell, supercell_matrix=np.diag(supercell), primitive_matrix=np.eye(3), symprec=SYMPREC, log_level=0
        )
        phonons.generate_displacements(distance=settings.displacement)
        forces = []
        for moved in phonons.supercells_with_displacements:
            if deadline is not None and time.monotonic() > deadline:
                raise Late
            one = Atoms(numbers=moved.numbers, cell=moved.cell, scaled_positions=moved.scaled_positions, pbc=True)
            one.calc = potential.calculator
            forces.append(one.get_forces())
        phonons.forces = np.array(forces)
        phonons.produce_force_constants()
        phonons.symmetrize_force_constants()
        points = get_commensurate_points(phonons.supercell_matrix)
        phonons.run_qpoints(points, with_eigenvectors=True)
    masses = phonons.primitive.masses
    best: tuple[float, int, np.ndarray] | None = None
    for number, (point, frequencies, vectors) in enumerate(
        zip(points, phonons.qpoints.frequencies, phonons.qpoints.eigenvectors, strict=True)
    ):
        for mode in np.setdiff1d(np.arange(len(frequencies)), translations(point, vectors, masses)):
            if best is None or frequencies[mode] < best[0]:
                best = float(frequencies[mode]), number, vectors[:, mode]
    if best is None:  # one atom, and no wave vector but zero
        return Modes(np.nan, np.zeros(3), np.zeros((len(atoms), 3), dtype=complex))
    frequency, number, vector = best
    return Modes(frequency, points[number], vector.reshape(-1, 3) / np.sqrt(masses)[:, None])


def translations(point: np.ndarray, vectors: np.ndarray, masses: np.ndarray) -> np.ndarray:
    """Return the three modes that move all sites alike; none but at zero wave vector.

    :param vectors: (3n, 3n) columns are eigenvectors, weighted by the square roots of the masses.
    """
    if np.abs(point).max() > 1e-6:
        return np.zeros(0, dtype=int)
    weights = np.sqrt(masses / masses.sum())
    uniform = np.kron(weights[:, None], np.eye(3))  # (3n, 3)
    share = (np.abs(uniform.T @ vectors) ** 2).sum(axis=0)
    return np.argsort(share)[-3:]


def pushed(atoms: Atoms, mode: Modes) -> Atoms:
    """Return the crystal in the smallest supercell that holds a mode, moved along it."""
    repeats = mode.repeats()
    large = atoms.repeat(repeats)
    images = np.array(np.meshgrid(*map(np.arange, repeats), indexing="ij")).reshape(3, -1).T  # as Atoms.repeat orders
    phase = np.exp(2j * np.pi * images @ mode.wave_vector)
    moved = (phase[:, None, None] * mode.pattern).reshape(-1, 3)
    # the part of the mode that is largest in real space; of a complex one another phase is as good
    moved = moved.real if np.abs(moved.real).max() >= np.abs(moved.imag).max() else moved.imag
    large.positions = large.positions + PUSH * moved / np.linalg.norm(moved, axis=1).max()
    return large

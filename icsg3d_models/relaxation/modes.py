"""Frozen phonons with phonopy: which sites to move, and the modes that the forces give, whatever computed them.

Togo et al., J. Phys.: Condens. Matter 35, 353001 (2023), 10.1088/1361-648X/acd831: sites are moved one by one, and the
forces give the force constants of a supercell. Only the wave vectors that fit into it are looked at, which is exact;
nothing is interpolated. Long-range fields of polar modes (LO-TO splitting) are left out: they only raise frequencies.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from ase import Atoms

from .directions import most_symmetric

SYMPREC = 1e-3  # Å; within it symmetry spares displacements
PUSH = 0.15  # Å, largest displacement along the mode that is followed
SAME = 0.02  # THz; what is closer is one frequency, and the numerics of forces tell them apart
LOWER = 1e-4  # eV/atom; what is less lower is the same minimum
Cells = tuple[int, int, int]


@dataclass(frozen=True)
class Modes:
    """The lowest mode of a crystal.

    :param frequency: THz; negative: imaginary.
    :param wave_vector: (3,) fractions of the reciprocal vectors.
    :param space: (d, n, 3) complex eigenvectors with this frequency at this wave vector, orthonormal; they are
        displacements of the sites of the cell, weighted by the square roots of the masses.
    :param masses: (n,) atomic mass units.
    """

    frequency: float
    wave_vector: np.ndarray
    space: np.ndarray
    masses: np.ndarray

    def repeats(self) -> Cells:
        """Return the smallest multiples of the cell that the mode fits into."""
        first, second, third = (Fraction(float(q)).limit_denominator(12).denominator for q in self.wave_vector)
        return first, second, third


@dataclass(frozen=True)
class Spectrum:
    """The modes at the wave vectors that fit into a supercell.

    :param points: (Q, 3) wave vectors, fractions of the reciprocal vectors.
    :param frequencies: (Q, 3n) THz, ascending; negative: imaginary.
    :param vectors: (Q, 3n, 3n) columns are eigenvectors, weighted by the square roots of the masses.
    :param masses: (n,) atomic mass units.
    """

    points: np.ndarray
    frequencies: np.ndarray
    vectors: np.ndarray
    masses: np.ndarray

    def without_translations(self) -> list[np.ndarray]:
        """Return the frequencies (THz) at each wave vector but those of the three translations of all sites."""
        return [self.frequencies[number][kept] for number, kept in enumerate(self._kept())]

    def lowest(self) -> Modes:
        """Return the lowest mode, translations of all sites left out."""
        best: tuple[float, int, int] | None = None
        for number, kept in enumerate(self._kept()):
            for mode in kept:
                if best is None or self.frequencies[number, mode] < best[0]:
                    best = float(self.frequencies[number, mode]), number, int(mode)
        if best is None:  # one atom, and no wave vector but zero
            return Modes(np.nan, np.zeros(3), np.zeros((1, len(self.masses), 3), dtype=complex), self.masses)
        frequency, number, _ = best
        alike = [mode for mode in self._kept()[number] if self.frequencies[number, mode] < frequency + SAME]
        space = self.vectors[number][:, alike].T.reshape(len(alike), -1, 3)
        return Modes(frequency, self.points[number], space, self.masses)

    def _kept(self) -> list[np.ndarray]:
        return [
            np.setdiff1d(np.arange(len(frequencies)), translations(point, vectors, self.masses))
            for point, frequencies, vectors in zip(self.points, self.frequencies, self.vectors, strict=True)
        ]


def begin(atoms: Atoms, supercell: Cells, displacement: float) -> Any:
    """Return phonopy's object of a crystal, with its supercells in which a site is moved.

    Where moving a site forth and back is not the same by symmetry both are done, which cancels what forces are left.

    :param atoms: relaxed.
    :param supercell: multiples of its cell.
    :param displacement: Å.
    """
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(numbers=atoms.numbers, cell=atoms.cell.array, scaled_positions=atoms.get_scaled_positions())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of spglib where a crystal has little symmetry
        phonons: Any = Phonopy(
            cell, supercell_matrix=np.diag(supercell), primitive_matrix=np.eye(3), symprec=SYMPREC, log_level=0
        )
        phonons.generate_displacements(distance=displacement)
    return phonons


def displaced(phonons: Any) -> list[Atoms]:
    """Return the supercells in which a site is moved, of which the forces are wanted."""
    return [
        Atoms(numbers=moved.numbers, cell=moved.cell, scaled_positions=moved.scaled_positions, pbc=True)
        for moved in phonons.supercells_with_displacements
    ]


def sites_of_supercell(phonons: Any) -> list[int]:
    """Return for each site of the supercell the number of its site in the crystal."""
    cell = phonons.supercell
    return [int(cell.u2u_map[cell.s2u_map[site]]) for site in range(len(cell))]


def spectrum(phonons: Any, forces: Sequence[np.ndarray]) -> Spectrum:
    """Return the modes that forces give.

    :param forces: (N, 3) eV/Å of each supercell of :func:`displaced`, in its order.
    """
    from phonopy.harmonic.dynmat_to_fc import get_commensurate_points

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        phonons.forces = np.array(forces)
        phonons.produce_force_constants()
        phonons.symmetrize_force_constants()
        points = get_commensurate_points(phonons.supercell_matrix)
        phonons.run_qpoints(points, with_eigenvectors=True)
    found = phonons.qpoints
    return Spectrum(
        np.asarray(points), np.asarray(found.frequencies), np.asarray(found.eigenvectors), phonons.primitive.masses
    )


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
    """Return the crystal in the smallest supercell that holds a mode, moved along it.

    Of several modes with its frequency the combination is taken that keeps the most symmetry.
    """
    repeats = mode.repeats()
    images = np.array(np.meshgrid(*map(np.arange, repeats), indexing="ij")).reshape(3, -1).T  # as Atoms.repeat orders
    phase = np.exp(2j * np.pi * images @ mode.wave_vector)

    def push(pattern: np.ndarray) -> Atoms:
        moved = (phase[:, None, None] * (pattern / np.sqrt(mode.masses)[:, None])).reshape(-1, 3)
        # the part of the mode that is largest in real space; of a complex one another phase is as good
        moved = moved.real if np.abs(moved.real).max() >= np.abs(moved.imag).max() else moved.imag
        large = atoms.repeat(repeats)
        large.positions = large.positions + PUSH * moved / np.linalg.norm(moved, axis=1).max()
        return large

    return most_symmetric(atoms, mode.space, push)

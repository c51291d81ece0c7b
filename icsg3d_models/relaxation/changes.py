"""How far a crystal moved while it relaxed, and whether it is still the same kind of crystal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import spglib
from ase import Atoms
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

from ..comparison.matching import ANGLE_TOL, LTOL, STOL

MAX_RMSD = 0.5  # in units of (V/N)^(1/3): what MatterGen's code counts where sites cannot be assigned
KEPT, GAINED, LOST, CHANGED = "kept", "gained", "lost", "changed"


@dataclass(frozen=True)
class Changes:
    """From a generated crystal to the relaxed one.

    :param volume_percent: change of the volume.
    :param rmsd: Å, MatterGen's definition; None where the sites cannot be assigned.
    :param left_prototype: StructureMatcher does not take the two for the same crystal.
    :param before, after: numbers of the space groups, 0 where spglib finds none.
    :param symmetry: ``kept``, ``gained``, ``lost`` or ``changed``.
    """

    volume_percent: float
    rmsd: float | None
    left_prototype: bool
    before: int
    after: int
    symmetry: str

    def words(self) -> list[str]:
        """Return what there is to say."""
        said = ["it left its prototype"] if self.left_prototype else []
        if self.symmetry != KEPT:
            said.append(f"symmetry {self.symmetry}: space group {self.before} to {self.after}")
        return said


def structure_of(atoms: Atoms) -> Structure:
    """Return the crystal for pymatgen."""
    return Structure(Lattice(atoms.cell.array), atoms.numbers.tolist(), atoms.get_scaled_positions())


def compare(generated: Atoms, relaxed: Atoms, tolerance: float) -> Changes:
    """Return what changed; both in the same basis of the cell.

    :param tolerance: Å, of the space groups.
    """
    one, other = structure_of(generated), structure_of(relaxed)
    same = StructureMatcher(ltol=LTOL, stol=STOL, angle_tol=ANGLE_TOL).fit(one, other)
    (before, operations), (after, left) = symmetry_of(generated, tolerance), symmetry_of(relaxed, tolerance)
    # in one and the same cell the number of operations, translations of a smaller cell included, ranks symmetry
    symmetry = GAINED if left > operations else LOST
    if left == operations:
        symmetry = KEPT if before == after else CHANGED
    return Changes(100 * (other.volume / one.volume - 1), rmsd(one, other), not same, before, after, symmetry)


def rmsd(generated: Structure, relaxed: Structure) -> float | None:
    """Return the root mean square displacement in Å as MatterGen defines it, None where sites cannot be assigned.

    pymatgen's matcher without scaling, ltol 0.5, stol 0.5, angles 10°, on primitive cells; its figure in units of
    (V/N)^(1/3), V the volume of the average cell, is turned into Å. Zeni et al., Nature 639, 624 (2025),
    10.1038/s41586-025-08628-5, and their code.
    """
    matcher = StructureMatcher(ltol=0.5, stol=MAX_RMSD, angle_tol=10, primitive_cell=True, scale=False)
    found = matcher.get_rms_dist(relaxed, generated)
    return None if found is None else float(found[0]) * site_size(generated, relaxed)


def site_size(generated: Structure, relaxed: Structure) -> float:
    """Return (V/N)^(1/3) in Å of the average of two cells."""
    lengths = [(a + b) / 2 for a, b in zip(generated.lattice.parameters, relaxed.lattice.parameters, strict=True)]
    return float((Lattice.from_parameters(*lengths).volume / len(generated)) ** (1 / 3))


def symmetry_of(atoms: Atoms, tolerance: float) -> tuple[int, int]:
    """Return number of the space group and of its operations in this cell; (0, 1) where spglib finds none."""
    crystal: Any = (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)
    found = spglib.get_symmetry_dataset(crystal, symprec=tolerance)
    return (0, 1) if found is None else (int(found.number), len(found.rotations))

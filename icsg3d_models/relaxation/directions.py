"""Among modes of one frequency, the direction in which a crystal keeps the most symmetry.

A solver of eigenvalues returns any mix of degenerate modes. Along the mix all symmetry is lost, while along some
directions of the same space most of it stays: the threefold mode of a cubic perovskite at Γ leads to P4mm, Amm2 or R3m
when it moves titanium along [100], [110] or [111] (isotropy subgroups: Stokes & Hatch, Isotropy Subgroups of the 230
Crystallographic Space Groups, World Scientific 1988). To second order the energy is that of the mix, and with more
symmetry there is less to relax.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product

import numpy as np
import spglib
from ase import Atoms

AXES = np.array([v for v in product((-1, 0, 1), repeat=3) if v > (0, 0, 0)], dtype=float)  # (13, 3) up to the sign
ALIKE = 1e-6  # of a length of one; what is closer is the same direction
TOLERANCE = 1e-3  # Å, small beside the push and large beside rounding
MOST = 300  # directions that are tried


def candidates(atoms: Atoms, space: np.ndarray) -> Iterator[np.ndarray]:
    """Yield directions within a space of degenerate modes, of length one: each site moved along simple axes, projected.

    The axes are those of the cell, their sums and differences. Then sums and differences of two and three of these.

    :param space: (d, n, 3) orthonormal patterns, weighted by the square roots of the masses; complex.
    """
    flat = space.reshape(len(space), -1)  # (d, 3n)
    axes = AXES @ (atoms.cell.array / np.linalg.norm(atoms.cell.array, axis=1, keepdims=True))
    moves = np.zeros((len(atoms), len(axes), len(atoms), 3))
    for site in range(len(atoms)):
        moves[site, :, site] = axes
    found: list[np.ndarray] = []
    for part in moves.reshape(-1, flat.shape[1]) @ flat.conj().T:  # (sites · axes, d)
        if (one := new_one(part, found)) is not None:
            found.append(one)
            yield one
    single = tuple(found[: 2 * len(space)])
    for count in (2, 3):
        for chosen in combinations(single, count):
            for signs in product((1, -1), repeat=count - 1):
                part = chosen[0] + sum(sign * other for sign, other in zip(signs, chosen[1:], strict=True))
                if (one := new_one(part, found)) is not None:
                    found.append(one)
                    yield one


def new_one(part: np.ndarray, known: list[np.ndarray]) -> np.ndarray | None:
    """Return a direction (d,) with length one; None where it has none, or is a known one up to a phase."""
    length = np.linalg.norm(part)
    if length < ALIKE:
        return None
    one: np.ndarray = part / length
    return None if any(abs(abs(np.vdot(one, other)) - 1) < ALIKE for other in known) else one


def most_symmetric(atoms: Atoms, space: np.ndarray, push: Callable[[np.ndarray], Atoms]) -> Atoms:
    """Return the crystal pushed along the direction that keeps the most symmetry operations; the first of equal ones.

    :param space: (d, n, 3) as :func:`candidates` takes it.
    :param push: makes the crystal that is pushed along a pattern (n, 3), weighted as the space is.
    """
    best, most = push(space[0]), -1
    for number, part in enumerate(candidates(atoms, space)):
        if number == MOST:
            break
        moved = push(np.tensordot(part, space, axes=1))
        count = operations(moved)
        if count > most:
            best, most = moved, count
    return best


def operations(atoms: Atoms) -> int:
    """Return the number of symmetry operations of a cell, 0 where spglib finds none."""
    crystal = (atoms.cell.array.tolist(), atoms.get_scaled_positions().tolist(), atoms.numbers.tolist())
    found = spglib.get_symmetry(crystal, symprec=TOLERANCE)
    return 0 if found is None else len(found["rotations"])

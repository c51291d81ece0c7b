"""Other descriptions of the same crystal, and distorted ones: what an encoding has to be good at.

Every function takes and returns a batch of crystals with the same names. Sites are only added where the volume grows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ...crystals.batch import Crystals


def change_basis(crystals: Crystals, matrices: np.ndarray) -> Crystals:
    """Return the crystals in the cells ``M @ cell``.

    :param matrices: (B, 3, 3) integers of determinant ±1.
    """
    frac = np.einsum("ni,nij->nj", crystals.frac, np.linalg.inv(matrices)[crystals.owner])
    return Crystals(matrices @ crystals.cell, frac % 1.0, crystals.numbers, crystals.offsets, crystals.ids)


def random_origin(crystals: Crystals, rng: np.random.Generator) -> Crystals:
    """Return the crystals with their origin anywhere in the cell."""
    frac = crystals.frac + rng.random((len(crystals), 3))[crystals.owner]
    return Crystals(crystals.cell, frac % 1.0, crystals.numbers, crystals.offsets, crystals.ids)


def permuted_axes(crystals: Crystals, rng: np.random.Generator) -> Crystals:
    """Return the crystals with their lattice vectors in another order."""
    orders = rng.permuted(np.tile(np.arange(3), (len(crystals), 1)), axis=1)
    return change_basis(crystals, np.eye(3)[orders])


def sheared(crystals: Crystals, rng: np.random.Generator, steps: int = 2) -> Crystals:
    """Return the crystals in a cell in which lattice vectors were added to one another, ``steps`` times."""
    matrices = np.tile(np.eye(3), (len(crystals), 1, 1))
    for _ in range(steps):
        orders = rng.permuted(np.tile(np.arange(3), (len(crystals), 1)), axis=1)
        rows = np.arange(len(crystals))
        signs = rng.choice([-1.0, 1.0], len(crystals))[:, None]
        matrices[rows, orders[:, 0]] += signs * matrices[rows, orders[:, 1]]
    return change_basis(crystals, matrices)


def rotated(crystals: Crystals, rng: np.random.Generator) -> Crystals:
    """Return the crystals turned in space, by a random rotation each."""
    frames, triangle = np.linalg.qr(rng.normal(size=(len(crystals), 3, 3)))
    frames = frames * np.sign(np.diagonal(triangle, axis1=1, axis2=2))[:, None]
    frames = frames * np.sign(np.linalg.det(frames))[:, None, None]
    return Crystals(crystals.cell @ frames, crystals.frac, crystals.numbers, crystals.offsets, crystals.ids)


def triclinic(crystals: Crystals, rng: np.random.Generator, strain: float = 0.05) -> Crystals:
    """Return the crystals under a random strain of all six components, uniform up to ``strain``."""
    random = rng.uniform(-strain, strain, (len(crystals), 3, 3))
    cell = crystals.cell @ (np.eye(3) + (random + random.transpose(0, 2, 1)) / 2)
    return Crystals(cell, crystals.frac, crystals.numbers, crystals.offsets, crystals.ids)


def supercell(crystals: Crystals, repeats: tuple[int, int, int]) -> Crystals:
    """Return the crystals repeated along their lattice vectors."""
    shifts = np.stack(np.meshgrid(*[np.arange(n) for n in repeats], indexing="ij"), axis=-1).reshape(-1, 3)
    frac = ((crystals.frac[:, None] + shifts) / repeats).reshape(-1, 3)
    cell = crystals.cell * np.array(repeats)[:, None]
    numbers = np.repeat(crystals.numbers, len(shifts))
    return Crystals(cell, frac % 1.0, numbers, crystals.offsets * len(shifts), crystals.ids)


def primitive(crystals: Crystals, tolerance: float = 1e-3) -> Crystals:
    """Return the crystals in their smallest cell."""
    return _standard(crystals, True, tolerance)


def conventional(crystals: Crystals, tolerance: float = 1e-3) -> Crystals:
    """Return the crystals in the cell that shows their symmetry."""
    return _standard(crystals, False, tolerance)


def _standard(crystals: Crystals, to_primitive: bool, tolerance: float) -> Crystals:
    """Return standard cells as spglib finds them; a crystal whose symmetry it does not find stays as it is."""
    import spglib

    def change(index: int) -> list[np.ndarray]:
        given = (crystals.cell[index].tolist(), *(x.tolist() for x in crystals.sites(index)))
        found = spglib.standardize_cell(given, to_primitive=to_primitive, no_idealize=True, symprec=tolerance)
        return [np.asarray(x) for x in (given if found is None else found)]

    cells, fracs, numbers = zip(*map(change, range(len(crystals))), strict=True) if len(crystals) else ((), (), ())
    return Crystals.from_arrays(cells, fracs, numbers, crystals.ids)


def variants(rng: np.random.Generator) -> dict[str, Callable[[Crystals], Crystals]]:
    """Return all of the above under the names they have in tables."""
    return {
        "random origin": lambda c: random_origin(c, rng),
        "axes permuted": lambda c: permuted_axes(c, rng),
        "turned in space": lambda c: rotated(c, rng),
        "primitive cell": primitive,
        "conventional cell": conventional,
        "sheared cell": lambda c: sheared(random_origin(c, rng), rng),
        "sheared four times": lambda c: sheared(random_origin(c, rng), rng, 4),
        "triclinic, 5 % strain": lambda c: triclinic(random_origin(c, rng), rng),
        "supercell 2 x 1 x 1": lambda c: supercell(random_origin(c, rng), (2, 1, 1)),
    }

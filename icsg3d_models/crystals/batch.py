"""A batch of crystals as flat arrays, and its layout in HDF5.

Shapes: B crystals, N sites in all. Crystal ``b`` owns the sites ``offsets[b]:offsets[b + 1]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import h5py
    from pymatgen.core import Structure


class CrystalError(ValueError):
    """A crystal that cannot be used; the message names the crystal and the reason."""


@dataclass(frozen=True)
class Crystals:
    """A batch of ordered periodic crystals.

    :param cell: (B, 3, 3) float64, Å; the rows are the lattice vectors, so cartesian = frac @ cell.
    :param frac: (N, 3) float64, fractional coordinates wrapped to [0, 1).
    :param numbers: (N,) int64, atomic numbers.
    :param offsets: (B + 1,) int64, first site of each crystal; ``offsets[-1] == N``.
    :param ids: B names, unique within the batch.
    """

    cell: np.ndarray
    frac: np.ndarray
    numbers: np.ndarray
    offsets: np.ndarray
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def counts(self) -> np.ndarray:
        """(B,) number of sites of each crystal."""
        return np.diff(self.offsets)

    @property
    def owner(self) -> np.ndarray:
        """(N,) index of the crystal that each site belongs to."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def volumes(self) -> np.ndarray:
        """(B,) cell volumes in Å³."""
        return np.abs(np.linalg.det(self.cell))

    def sites(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return fractional coordinates (n, 3) and atomic numbers (n,) of one crystal."""
        span = slice(self.offsets[index], self.offsets[index + 1])
        return self.frac[span], self.numbers[span]

    def take(self, indices: Sequence[int] | np.ndarray) -> Crystals:
        """Return the chosen crystals, in the order given."""
        chosen = np.asarray(indices, dtype=np.int64)
        counts = self.counts[chosen]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        sites = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], counts)
        return Crystals(
            self.cell[chosen],
            self.frac[sites],
            self.numbers[sites],
            offsets,
            tuple(self.ids[i] for i in chosen),
        )

    def formulas(self) -> list[str]:
        """Return the reduced formula of each crystal (pymatgen's convention)."""
        from pymatgen.core import Composition, Element

        symbols = {int(z): Element.from_Z(int(z)).symbol for z in np.unique(self.numbers)}
        cache: dict[tuple[tuple[int, int], ...], str] = {}
        result = []
        for index in range(len(self)):
            unique, amounts = np.unique(self.sites(index)[1], return_counts=True)
            key = tuple(zip(unique.tolist(), amounts.tolist(), strict=True))
            if key not in cache:
                cache[key] = Composition({symbols[z]: n for z, n in key}).reduced_formula
            result.append(cache[key])
        return result

    def structures(self) -> Iterator[Structure]:
        """Yield every crystal as a pymatgen Structure."""
        from pymatgen.core import Lattice, Structure

        for index in range(len(self)):
            frac, numbers = self.sites(index)
            yield Structure(Lattice(self.cell[index]), numbers.tolist(), frac)

    @classmethod
    def from_arrays(
        cls,
        cells: Sequence[np.ndarray],
        fracs: Sequence[np.ndarray],
        numbers: Sequence[np.ndarray],
        ids: Sequence[str],
    ) -> Crystals:
        """Build a batch from one array per crystal: (3, 3), (n, 3) and (n,)."""
        counts = [len(z) for z in numbers]
        wrapped = np.concatenate([np.zeros((0, 3)), *fracs]).astype(np.float64) % 1.0
        wrapped[wrapped == 1.0] = 0.0  # what a tiny negative number wraps to
        return cls(
            np.asarray(cells, dtype=np.float64).reshape(-1, 3, 3),
            wrapped,
            np.concatenate([np.zeros(0), *numbers]).astype(np.int64),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            tuple(ids),
        )

    @classmethod
    def from_structures(cls, structures: Sequence[Structure], ids: Sequence[str] | None = None) -> Crystals:
        """Build a batch from pymatgen Structures; see :func:`check_structure` for what is refused."""
        names = tuple(ids) if ids is not None else tuple(f"crystal-{i}" for i in range(len(structures)))
        for structure, name in zip(structures, names, strict=True):
            check_structure(structure, name)
        return cls.from_arrays(
            [s.lattice.matrix for s in structures],
            [s.frac_coords for s in structures],
            [np.array([site.specie.Z for site in s]) for s in structures],
            names,
        )


def joined_crystals(batches: Sequence[Crystals]) -> Crystals:
    """Return several batches as one; the names must be unique over all of them."""
    sites = [batch.sites(index) for batch in batches for index in range(len(batch))]
    return Crystals.from_arrays(
        [cell for batch in batches for cell in batch.cell],
        [frac for frac, _ in sites],
        [numbers for _, numbers in sites],
        [name for batch in batches for name in batch.ids],
    )


def check_structure(structure: Structure, name: str) -> None:
    """Refuse a structure that has no single, ordered, three-dimensional crystal.

    :raises CrystalError: no sites, partial occupancy, a dummy species, or a singular cell.
    """
    if len(structure) == 0:
        raise CrystalError(f"{name}: no sites; a crystal needs at least one atom")
    if not structure.is_ordered:
        raise CrystalError(f"{name}: partial occupancy; give an ordered structure (every site one element)")
    unknown = sorted({str(site.specie) for site in structure if not 1 <= getattr(site.specie, "Z", 0) <= 118})
    if unknown:
        raise CrystalError(f"{name}: {', '.join(unknown)} is no chemical element")
    if not np.isfinite(structure.lattice.matrix).all() or not np.isfinite(structure.frac_coords).all():
        raise CrystalError(f"{name}: the cell or the coordinates hold NaN or infinity")
    if structure.volume < 1e-3:
        raise CrystalError(f"{name}: singular cell, volume {structure.volume:.3g} Å³")


def write_crystals(group: h5py.Group, crystals: Crystals) -> None:
    """Write a batch into an HDF5 group: cell, frac, numbers, offsets and ids, with units."""
    from typing import cast

    def put(name: str, value: np.ndarray, units: str, dimensions: str) -> None:
        dataset = group.create_dataset(name, data=value, compression="gzip" if value.size > 1000 else None)
        dataset.attrs["units"] = units
        dataset.attrs["dimensions"] = dimensions

    put("cell", crystals.cell, "angstrom", "crystal,vector,xyz")
    put("frac", crystals.frac, "fraction of the cell vectors", "site,vector")
    put("numbers", crystals.numbers.astype(np.int16), "atomic number", "site")
    put("offsets", crystals.offsets, "index of the first site", "crystal+1")
    names = np.array(cast(Sequence[str], crystals.ids), dtype=object)
    import h5py

    group.create_dataset("ids", data=names, dtype=h5py.string_dtype()).attrs["dimensions"] = "crystal"


def read_crystals(group: h5py.Group) -> Crystals:
    """Read a batch written by :func:`write_crystals`.

    :raises CrystalError: an array is missing or the lengths disagree.
    """
    missing = {"cell", "frac", "numbers", "offsets", "ids"} - set(group)
    if missing:
        raise CrystalError(f"{group.file.filename}{group.name}: no {', '.join(sorted(missing))} in the file")
    crystals = Crystals(
        group["cell"][()].astype(np.float64),
        group["frac"][()].astype(np.float64),
        group["numbers"][()].astype(np.int64),
        group["offsets"][()].astype(np.int64),
        tuple(group["ids"].asstr()[()]) if len(group["ids"]) else (),
    )
    where = f"{group.file.filename}{group.name}"
    n_sites, n_crystals = len(crystals.numbers), len(crystals.ids)
    if crystals.frac.shape != (n_sites, 3) or crystals.cell.shape != (n_crystals, 3, 3):
        raise CrystalError(f"{where}: lengths disagree; the file is damaged")
    ends = crystals.offsets
    if ends.shape != (n_crystals + 1,) or ends[0] != 0 or ends[-1] != n_sites or (np.diff(ends) < 0).any():
        raise CrystalError(f"{where}: the offsets do not deal {n_sites} sites to {n_crystals} crystals; it is damaged")
    frac = crystals.frac % 1.0  # files of other programs
    frac[frac == 1.0] = 0.0  # what a tiny negative number wraps to
    return replace(crystals, frac=frac)

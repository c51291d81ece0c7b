"""Where a crystal's moments start: which elements carry one, and which order its cell allows.

Collinear spins only. A ferromagnetic start gives all moments one sign; an antiferromagnetic one is the order of lowest
energy of an Ising model whose antiferromagnetic coupling falls off with the distance, among those without net moment.
It is a start: the relaxation keeps what is lower, and says what it ended in.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

NONMAGNETIC, FERROMAGNETIC, ANTIFERROMAGNETIC, GIVEN = "nonmagnetic", "ferromagnetic", "antiferromagnetic", "given"
ORDERS = (NONMAGNETIC, FERROMAGNETIC, ANTIFERROMAGNETIC, GIVEN)

CARRIERS = frozenset(
    {
        *("V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Mo", "Tc", "Ru", "Rh", "W", "Re", "Os", "Ir"),
        *("Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb"),
        *("U", "Np", "Pu", "Am", "Cm"),
    }
)
"""Elements whose ions keep open d or f shells in crystals; the others start without a moment."""

MAX_SITES = 12
"""Up to how many sites with a moment all orders are compared; a larger cell starts ferromagnetic only."""
RANGE = 1.5
"""Å; over which the coupling of the Ising model falls to 1/e beyond the nearest distance."""
SMALL, BALANCED = 0.05, 0.1
"""Bohr magnetons a site below which nothing is magnetic; share of the absolute magnetisation that cancels out."""


def carriers(structure: orm.StructureData) -> list[str]:
    """Return the kinds of a crystal whose element carries a moment."""
    return [kind.name for kind in structure.kinds if kind.symbol in CARRIERS]


def starting_order(structure: orm.StructureData) -> tuple[str, ...]:
    """Return the orders that a crystal is relaxed from: the non-magnetic one, or all that its cell allows."""
    if not carriers(structure):
        return (NONMAGNETIC,)
    return (FERROMAGNETIC,) if antiparallel(structure) is None else (FERROMAGNETIC, ANTIFERROMAGNETIC)


def antiparallel(structure: orm.StructureData) -> dict[int, int] | None:
    """Return site -> +1 or -1 of the antiferromagnetic start; None: the cell allows none.

    Kinds that tell sites of one element apart (Fe1, Fe2) are the order that somebody wanted: they are kept, each with
    one sign. Else every element has as many sites up as down.
    """
    sites = [i for i, site in enumerate(structure.sites) if structure.get_kind(site.kind_name).symbol in CARRIERS]
    if len(sites) < 2 or len(sites) > MAX_SITES:
        return None
    symbols = {i: structure.get_kind(structure.sites[i].kind_name).symbol for i in sites}
    kinds = {i: structure.sites[i].kind_name for i in sites}
    told_apart = len(set(kinds.values())) > len(set(symbols.values()))
    coupling = couplings(structure, sites)
    best: tuple[float, dict[int, int]] | None = None
    for count in range(1, len(sites)):
        for up in combinations(sites[1:], count - 1):
            signs = {i: 1 if i == sites[0] or i in up else -1 for i in sites}
            if told_apart and any(signs[i] != signs[j] for i in sites for j in sites if kinds[i] == kinds[j]):
                continue
            if any(sum(signs[i] for i in sites if symbols[i] == symbol) for symbol in set(symbols.values())):
                continue
            spins = np.array([signs[i] for i in sites])
            energy = float(spins @ coupling @ spins)
            if best is None or energy < best[0] - 1e-9:
                best = energy, signs
    return best[1] if best else None


def couplings(structure: orm.StructureData, sites: list[int]) -> np.ndarray:
    """Return the antiferromagnetic couplings between sites, (n, n), summed over periodic images.

    The nearest images make an exchange of exp(-(d - d0) / range), d0 the shortest distance between two of the sites.
    """
    crystal = structure.get_pymatgen()
    chosen = [crystal[i] for i in sites]
    nearest = min(crystal.get_distance(i, j) for i, j in combinations(sites, 2))
    reach = nearest + 3 * RANGE
    matrix = np.zeros((len(sites), len(sites)))
    for a, site in enumerate(chosen):
        for neighbour in crystal.get_sites_in_sphere(site.coords, reach):
            if neighbour.index in sites and neighbour.nn_distance > 1e-3:
                matrix[a, sites.index(neighbour.index)] += np.exp(-(neighbour.nn_distance - nearest) / RANGE)
    return matrix


@calcfunction
def tell_spins_apart(structure: orm.StructureData) -> orm.StructureData:
    """Return the crystal with kinds Fe1 (up) and Fe2 (down) in the place of Fe, for its antiferromagnetic start.

    A crystal whose kinds say already which sites differ is returned as it is.

    :raises ValueError: its cell allows no antiferromagnetic order.
    """
    signs = antiparallel(structure)
    if signs is None:
        raise ValueError("the cell has no two sublattices of equal size with a moment")
    if all(
        len({signs[i] for i, s in enumerate(structure.sites) if s.kind_name == k}) == 1 for k in carriers(structure)
    ):
        return structure.clone()
    made = orm.StructureData(cell=structure.cell, pbc=structure.pbc)
    for index, site in enumerate(structure.sites):
        kind = structure.get_kind(site.kind_name)
        name = f"{kind.symbol}{1 if signs[index] > 0 else 2}" if index in signs else kind.name
        made.append_atom(position=site.position, symbols=kind.symbol, name=name, mass=kind.mass)
    return made


def moments(structure: orm.StructureData, order: str, sizes: Mapping[str, float]) -> dict[str, float]:
    """Return kind -> starting moment (Bohr magnetons), of a crystal whose kinds tell the spins apart.

    :param sizes: element -> size of its moment.
    """
    signs = (antiparallel(structure) or {}) if order == ANTIFERROMAGNETIC else {}
    of_kind = {structure.sites[index].kind_name: sign for index, sign in signs.items()}
    magnetic = carriers(structure)
    return {
        kind.name: of_kind.get(kind.name, 1) * float(sizes[kind.symbol]) if kind.name in magnetic else 0.0
        for kind in structure.kinds
    }


def order_found(total: float | None, absolute: float | None, n_sites: int) -> str | None:
    """Return what a spin-polarised run ended in, by its magnetisations in Bohr magnetons a cell.

    :param n_sites: with a moment at the start.
    """
    if total is None or absolute is None:
        return None
    if absolute < SMALL * max(n_sites, 1):
        return NONMAGNETIC
    return ANTIFERROMAGNETIC if abs(total) < BALANCED * absolute else FERROMAGNETIC


def element_sizes() -> dict[str, Any]:
    """Return element -> size of its starting moment, from the protocols of aiida-quantumespresso."""
    from aiida_quantumespresso.workflows.protocols.utils import get_magnetization_parameters

    return {
        symbol: entry["magmom"] or 1.0
        for symbol, entry in get_magnetization_parameters().items()
        if isinstance(entry, dict)
    }

"""Where a crystal's moments start: which elements carry one, and which order its cell allows.

Collinear spins only. A ferromagnetic start gives all moments one sign; an antiferromagnetic one is the order of lowest
energy of an Ising model whose antiferromagnetic coupling falls off with the distance, among those without net moment.
It is a start: the relaxation keeps what is lower, and says what it ended in.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, product
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

from .symmetry import hubbard_by_kind, with_hubbard_terms

NONMAGNETIC, FERROMAGNETIC, ANTIFERROMAGNETIC, GIVEN = "nonmagnetic", "ferromagnetic", "antiferromagnetic", "given"
ORDERS = (NONMAGNETIC, FERROMAGNETIC, ANTIFERROMAGNETIC, GIVEN)

CARRIERS = frozenset(
    {
        *("V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Mo", "Tc", "Ru", "Rh", "W", "Re", "Os", "Ir"),
        *("Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb"),
        *("U", "Np", "Pu"),
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
    if hubbard_by_kind(structure) is None:  # terms between sites: the cell and its kinds stay as they are
        return (FERROMAGNETIC,)
    return (FERROMAGNETIC,) if antiparallel(structure) is None else (FERROMAGNETIC, ANTIFERROMAGNETIC)


def antiparallel(structure: orm.StructureData) -> dict[int, int] | None:
    """Return site -> +1 or -1 of the antiferromagnetic start; None: the cell allows none.

    Kinds that tell sites of one element apart (Fe1, Fe2) are the order that somebody wanted: they are kept, each with
    one sign. Every element has as many sites up as down.
    """
    sites = [i for i, site in enumerate(structure.sites) if structure.get_kind(site.kind_name).symbol in CARRIERS]
    kinds = [structure.sites[i].kind_name for i in sites]
    symbols = np.array([structure.get_kind(kind).symbol for kind in kinds])
    told_apart = len(set(kinds)) > len(set(symbols))
    names = sorted(set(kinds)) if told_apart else sites
    group = np.array([names.index(kind if told_apart else site) for kind, site in zip(kinds, sites, strict=True)])
    if not 2 <= len(names) <= MAX_SITES:
        return None
    coupling = couplings(structure, sites)
    best: tuple[float, Any] | None = None
    for rest in product((1, -1), repeat=len(names) - 1):
        spins = np.array((1, *rest))[group]
        if any(spins[symbols == symbol].sum() for symbol in set(symbols)):
            continue
        energy = float(spins @ coupling @ spins)
        if best is None or energy < best[0] - 1e-6:
            best = energy, spins
    return {site: int(spin) for site, spin in zip(sites, best[1], strict=True)} if best else None


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
                # Rounded: sites of generated crystals scatter, and what is equal by symmetry is to stay equal.
                matrix[a, sites.index(neighbour.index)] += np.exp(-round(neighbour.nn_distance - nearest, 1) / RANGE)
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
    terms = hubbard_by_kind(structure)
    if terms is None:
        raise ValueError("Hubbard terms between sites name sites of the cell; give the kinds of the order yourself")
    if not terms:
        return made
    split: dict[str, list[Any]] = {}
    for new, old in zip(made.sites, structure.sites, strict=True):
        if old.kind_name in terms:
            split[new.kind_name] = terms[old.kind_name]
    return with_hubbard_terms(made, structure, split)


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

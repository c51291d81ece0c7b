"""On-site Hubbard terms by element, as an input of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm
from aiida.engine import calcfunction

MANIFOLDS = frozenset(f"{n}{letter}" for n in "123456" for letter in "spdf")


def check_hubbard(node: orm.Dict | None, _: Any) -> str | None:
    """Return what is wrong with the terms: element -> manifold -> U (eV)."""
    from pymatgen.core import Element

    for symbol, terms in (node.get_dict() if node is not None else {}).items():
        if not Element.is_valid_symbol(symbol):
            return f"hubbard: {symbol!r} is no element; give element -> manifold -> U in eV, as {{'Fe': {{'3d': 4.0}}}}"
        if not isinstance(terms, Mapping) or not terms or not set(terms) <= MANIFOLDS:
            return f"hubbard.{symbol}: received {terms!r}; give manifold -> U in eV, as {{'3d': 4.0}}"
        wrong = [u for u in terms.values() if isinstance(u, bool) or not isinstance(u, (int, float)) or u < 0]
        if wrong:
            return f"hubbard.{symbol}: received U = {wrong[0]!r}; it must be a number of eV, 0 or more"
    return None


@calcfunction
def with_hubbard(structure: orm.StructureData, terms: orm.Dict) -> orm.StructureData:
    """Return the crystal with the on-site U (eV) of every element that the terms name.

    A crystal that brings its own terms keeps them.
    """
    from aiida_quantumespresso.data.hubbard_structure import HubbardStructureData

    if isinstance(structure, HubbardStructureData):
        return structure.clone()
    wanted = {symbol: value for symbol, value in terms.get_dict().items() if symbol in structure.get_symbols_set()}
    if not wanted:
        return structure.clone()
    dressed = HubbardStructureData.from_structure(structure)
    for kind in structure.kinds:
        for manifold, value in wanted.get(kind.symbol, {}).items():
            dressed.initialize_onsites_hubbard(kind.name, manifold, float(value), "U", use_kinds=True)
    return dressed

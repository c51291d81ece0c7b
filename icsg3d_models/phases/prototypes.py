"""Structures of a compound whose formula alone is known: AFLOW prototypes that its elements are put into.

The 288 prototypes come with pymatgen (Mehl et al., Comput. Mater. Sci. 136, S1 (2017),
doi:10.1016/j.commatsci.2017.01.017). Where the compound itself is among them its measured cell is taken; else the
volume is scaled by bond lengths (Chu et al., Comput. Mater. Sci. 146, 184 (2018)). Which of them is lowest is for a
potential to say.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import permutations
from typing import TYPE_CHECKING

from .distrusted import DISTRUSTED, REPAIRED

if TYPE_CHECKING:
    from pymatgen.core import Structure

MOST_SITES = 20
"""Sites of the primitive cell of a prototype above which it is left out: what DFT can be asked for."""


@dataclass(frozen=True)
class Prototype:
    """A crystal of the library.

    :param aflow: its AFLOW name; ``mineral``: what it is called, or the compound.
    """

    aflow: str
    mineral: str
    structure: Structure

    @property
    def space_group(self) -> int:
        """Number of the space group, the third part of the AFLOW name (AB_cF8_225_a_b)."""
        return int(self.aflow.split("_")[2])

    @property
    def key(self) -> tuple[str, str]:
        """AFLOW name and reduced formula."""
        return self.aflow, str(self.structure.composition.reduced_formula)


@dataclass(frozen=True)
class Decorated:
    """A compound in the structure of a prototype.

    :param exact: whether the library holds the compound itself, so that the cell is a measured one.
    """

    prototype: Prototype
    structure: Structure
    exact: bool


@cache
def library() -> tuple[Prototype, ...]:
    """Return the prototypes that can be believed, see :mod:`.distrusted`."""
    return tuple(one for one in whole_library() if one.key not in DISTRUSTED)


@cache
def whole_library() -> tuple[Prototype, ...]:
    """Return all prototypes, some of them put right."""
    from pymatgen.analysis.prototypes import AFLOW_PROTOTYPE_LIBRARY

    found = []
    for entry in AFLOW_PROTOTYPE_LIBRARY:
        tags, structure = entry["tags"], entry["snl"].structure
        mineral = tags.get("mineral") or structure.composition.reduced_formula
        one = Prototype(tags["aflow"], str(mineral), structure)
        found.append(replace(one, structure=REPAIRED[one.key]()) if one.key in REPAIRED else one)
    return tuple(found)


def structures_of(formula: str, most_sites: int = MOST_SITES, measured: bool = False) -> list[Decorated]:
    """Return a compound in every prototype of its anonymous formula, the exact ones first.

    Elements of equal amount are put in each other's places too; arrangements that are one crystal are given once.

    :param formula: such as ``MgTiO3``.
    :param most_sites: leave prototypes with more sites in the primitive cell out.
    :param measured: only the compound itself, as far as the library holds it.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher
    from pymatgen.core import Composition

    wanted = Composition(formula).reduced_composition
    amounts = {str(element): amount for element, amount in wanted.get_el_amt_dict().items()}
    matcher = StructureMatcher()
    found: list[Decorated] = []
    fitting = [
        prototype
        for prototype in library()
        if len(prototype.structure) <= most_sites
        and prototype.structure.composition.anonymized_formula == wanted.anonymized_formula
    ]
    # The compound itself first, then the higher symmetry: of two that are the same crystal but for a distortion (rock
    # salt and TlF) the later one is left out.
    fitting.sort(key=lambda one: (one.structure.composition.reduced_composition != wanted, -one.space_group))
    for prototype in fitting:
        parent = prototype.structure
        exact = parent.composition.reduced_composition == wanted
        if measured and not exact:
            break
        for structure in [parent.copy()] if exact else _decorations(parent, amounts):
            if not any(
                matcher.fit(structure, other.structure) for other in found if len(other.structure) == len(parent)
            ):
                found.append(Decorated(prototype, structure, exact))
    return sorted(found, key=lambda one: (not one.exact, len(one.structure)))


def _decorations(parent: Structure, amounts: dict[str, float]) -> list[Structure]:
    """Return the crystals that come of putting elements into the places of a prototype."""
    from pymatgen.analysis.structure_prediction.volume_predictor import DLSVolumePredictor
    from pymatgen.core import Element

    places = {str(e): n for e, n in parent.composition.reduced_composition.get_el_amt_dict().items()}
    found = []
    for order in permutations(amounts):
        swap = dict(zip(places, order, strict=True))
        if any(places[old] != amounts[new] for old, new in swap.items()):
            continue
        structure = parent.copy()
        structure.replace_species({Element(old): Element(new) for old, new in swap.items()})
        structure.scale_lattice(DLSVolumePredictor().predict(structure))
        found.append(structure)
    return found

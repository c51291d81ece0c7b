"""Pseudopotential families."""

from __future__ import annotations

from ...dft.pseudos import FamilyError, choose_family
from .finding import Finding, ok, wrong


def look_at_pseudos() -> Finding:
    """Return the family that a run would take."""
    what = "pseudopotentials"
    try:
        family = choose_family(install=False)
    except FamilyError as exception:
        return wrong(
            what, str(exception).partition(";")[0], "aiida-icsg3d setup gets some; or aiida-pseudo install sssp"
        )
    elements = sorted(family.elements)
    few = f": {', '.join(elements)}" if len(elements) < 20 else ""
    return ok(what, f"{family.label}, {len(elements)} elements{few}")

"""The second reader: pymatgen's, asked where ours is not what the file states of itself."""

from __future__ import annotations

import warnings

import numpy as np

from ...crystals.batch import CrystalError, check_structure
from ..crystal import Crystal
from .blocks import Block


def second_reading(block: Block) -> tuple[Crystal | None, str]:
    """Return what pymatgen makes of a block, and why nothing where it is nothing.

    Its warnings are not lost: a reading that came with one is believed only where the file proves it.
    """
    from pymatgen.io.cif import CifParser

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            (structure,) = CifParser.from_str(block.text, occupancy_tolerance=1.0).parse_structures(primitive=False)
            check_structure(structure, "the second reader's crystal")
        except CrystalError as exception:
            return None, str(exception)
        except Exception as exception:  # the parser raises whatever it stumbles over
            return None, " ".join(f"{type(exception).__name__}: {exception}".split())[:120]
    said = "; ".join(dict.fromkeys(" ".join(str(w.message).split())[:80] for w in caught))
    numbers = np.array([site.specie.Z for site in structure])
    return Crystal(structure.lattice.matrix, structure.frac_coords % 1.0, numbers), said

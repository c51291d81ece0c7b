"""Space groups of a batch of crystals, by spglib."""

from __future__ import annotations

import os

import spglib

from ..crystals import Crystals

os.environ.setdefault("SPGLIB_WARNING", "OFF")  # generated crystals make it talk about every attempt
SYMPREC = 0.1  # Å; generated sites are off by a few hundredths


def space_group(crystals: Crystals, index: int) -> tuple[str, int]:
    """Return international symbol and number of one crystal, ("", 0) where spglib finds none."""
    frac, numbers = crystals.sites(index)
    found = spglib.get_spacegroup((crystals.cell[index].tolist(), frac.tolist(), numbers.tolist()), symprec=SYMPREC)
    if found is None:
        return "", 0
    symbol, number = found.split()
    return symbol, int(number.strip("()"))

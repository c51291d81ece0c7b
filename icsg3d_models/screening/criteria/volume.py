"""Has a crystal as much room as crystals have: its volume per atom within a window.

Real crystals, 4,000 at most of each set: Perov-5 7.2 to 36 Å³, Carbon-24 5.4 to 9.0, AFLOW's perovskites 7.0 to 52, a
mix of MP-20, MPTS-52 and WBM 6.0 to 896 with 99.5 % below 52. The default, 4 to 80, passes 99.8 % of the mix and all of
the others; what it rejects of the mix is metals of Rb and Cs, ZrI4, and cells that are mostly empty.
"""

from __future__ import annotations

import numpy as np

from ..column import Column
from ..criterion import Batch, Criterion, Finding

VOLUME_PER_ATOM = Column("volume_per_atom", "number", "Å³", "volume of the cell divided by its number of atoms")


def judge(batch: Batch) -> Finding:
    """Compare the volume per atom with the window of the settings."""
    least, most = batch.settings.volume_per_atom
    volumes = batch.valid.volumes / batch.valid.counts
    inside = (volumes >= least) & (volumes <= most)
    words = [None if ok else f"{volume:.3g} Å³ per atom, not between {least:g} and {most:g}"
             for ok, volume in zip(inside, volumes, strict=True)]  # fmt: skip
    passed = np.array(batch.spread(inside.tolist(), False))
    return Finding(passed, batch.spread(words), {VOLUME_PER_ATOM.name: batch.spread(volumes.tolist())})


VOLUME = Criterion("volume", "volume", (VOLUME_PER_ATOM,), judge)

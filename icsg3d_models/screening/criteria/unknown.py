"""Is a compound of this formula not known: looked up in a list of formulas, such as a database has.

Another structure of a known formula does not pass; whether it is a new polymorph is for who compares structures.
"""

from __future__ import annotations

import numpy as np

from ..column import Column
from ..criterion import Batch, Criterion, Finding

KNOWN = Column("known_formula", "truth", "", "the list of known compounds holds the reduced formula")


def no_list(batch: Batch) -> str | None:
    """Return what to give so that there is a list to look in."""
    if batch.sources.known is not None:
        return None
    return (
        "there is no list of known compounds; give `known_formulas` a text file with one formula a line, or take "
        "`unknown` out of `require`"
    )


def judge(batch: Batch) -> Finding:
    """Look every formula up."""
    known = batch.sources.known
    assert known is not None
    found = [bool(formula) and known.holds(formula) for formula in batch.formulas]
    words = [f"{f} is a known compound ({known.name})" if is_known else None
             for f, is_known in zip(batch.formulas, found, strict=True)]  # fmt: skip
    return Finding(~np.array(found, dtype=bool), words, {KNOWN.name: found})


UNKNOWN = Criterion("unknown", "unknown", (KNOWN,), judge, no_list)

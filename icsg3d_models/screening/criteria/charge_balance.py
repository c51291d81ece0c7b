"""Can the charges of a composition balance, as ICSG3D has it: pymatgen guesses oxidation states that add up to zero."""

from __future__ import annotations

import numpy as np

from ..column import Column
from ..criterion import Batch, Criterion, Finding

BALANCED = Column("charge_balanced", "truth", "", "common oxidation states that add up to zero (pymatgen)")
SMALL = 200  # formulas; so many are done before another process has started
REASON = "no common oxidation states add up to zero"


def balanced(formula: str) -> bool:
    """Tell whether some oxidation states of the elements, as pymatgen lists the common ones, add up to zero."""
    from pymatgen.core import Composition

    return bool(Composition(formula).oxi_state_guesses())


def only_where_named(batch: Batch) -> str | None:
    """Return why it is not judged: large formulas take seconds."""
    return None if CHARGE_BALANCE.name in batch.settings.require else "it is judged only where it is required"


def judge(batch: Batch) -> Finding:
    """Test every composition."""
    different = sorted(set(batch.formulas) - {""})
    verdicts = batch.workers.map(balanced, different, chunk=16, least=SMALL)
    found = dict(zip(different, verdicts, strict=True))
    passed = np.array([found.get(formula, False) for formula in batch.formulas])
    return Finding(passed, [None if ok else REASON for ok in passed], {BALANCED.name: passed.tolist()})


CHARGE_BALANCE = Criterion("charge_balance", "charge_balanced", (BALANCED,), judge, only_where_named)

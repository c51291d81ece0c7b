"""A dataset and new results become a new dataset: new crystals, and new values of crystals that it has.

Values of one fidelity (see fidelity.py) go into columns of their own, so that no energy is taken for one of another
functional. A crystal that the dataset holds already, by StructureMatcher with MatterGen's tolerances, is not added
again: its row gets the value. New crystals are trained on, except where their composition is held back.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Structure

from ..comparison.matching import ANGLE_TOL, LTOL, STOL, primitive_structure
from ..crystals.batch import Crystals, joined_crystals
from .datasets import Dataset, DatasetError
from .fidelity import Fidelity

TRAIN = 0  # index of the part


@dataclass(frozen=True)
class Extension:
    """What became of each result.

    :param dataset: the new one.
    :param added: names of the crystals that were not there.
    :param updated: name of a result -> name of the row that holds its crystal and has got its values.
    :param outdone: name of a result -> name of the same crystal with a lower energy, which stands.
    """

    dataset: Dataset
    added: list[str] = field(default_factory=list)
    updated: dict[str, str] = field(default_factory=dict)
    outdone: dict[str, str] = field(default_factory=dict)


def extended(
    dataset: Dataset,
    crystals: Crystals,
    values: Mapping[str, np.ndarray],
    fidelity: Fidelity,
    lowest: str = "formation_energy_per_atom",
    units: Mapping[str, str] | None = None,
) -> Extension:
    """Return the dataset with results of one fidelity.

    :param crystals: B relaxed crystals.
    :param values: quantity -> (B,), NaN where not known.
    :param lowest: of several results for one crystal that with the lowest value of this quantity is taken.
    :param units: quantity -> unit; eV/atom where not given.
    :raises DatasetError: nothing to add, a value of ``lowest`` that is not known, or a name that another crystal has.
    :raises icsg3d_models.data.fidelity.FidelityError: a column holds values of other settings.
    """
    _check(dataset, crystals, values, lowest)
    columns = {quantity: fidelity.column(quantity) for quantity in values}
    fidelities = {**dataset.fidelities, **_joined_fidelities(dataset, fidelity, list(columns.values()))}
    held, rows = dataset.properties.get(columns[lowest]), Rows(dataset.crystals, crystals)
    place: dict[int, int] = {}  # row of the old or new crystals -> result
    added, updated, outdone = [], {}, {}
    for index in np.argsort(values[lowest], kind="stable").tolist():
        name, row = crystals.ids[index], rows.find(index)
        if row in place:
            outdone[name] = crystals.ids[place[row]]
        elif row < len(dataset) and held is not None and held[row] <= values[lowest][index]:
            outdone[name] = dataset.crystals.ids[row]
        else:
            place[row] = index
            if row < len(dataset):
                updated[name] = dataset.crystals.ids[row]
            else:
                added.append(index)
    taken = {name for name in dataset.crystals.ids if name in {crystals.ids[index] for index in added}}
    if taken:
        raise DatasetError(f"{dataset.name}: {', '.join(sorted(taken))} is the name of another crystal; rename it")
    new = crystals.take(sorted(added))
    properties = {name: np.append(column, np.full(len(new), np.nan)) for name, column in dataset.properties.items()}
    of_new = {index: len(dataset) + count for count, index in enumerate(sorted(added))}
    for quantity, column in columns.items():
        target = properties.setdefault(column, np.full(len(dataset) + len(new), np.nan))
        for row, index in place.items():
            target[row if row < len(dataset) else of_new[index]] = values[quantity][index]
    whole = Dataset(
        joined_crystals([dataset.crystals, new]),
        properties,
        np.append(dataset.split, parts_of(dataset, new)).astype(np.uint8),
        {**dataset.units, **{columns[quantity]: (units or {}).get(quantity, "eV/atom") for quantity in columns}},
        dataset.name,
        dataset.citation,
        fidelities,
    )
    return Extension(whole, list(new.ids), updated, outdone)


def parts_of(dataset: Dataset, new: Crystals) -> np.ndarray:
    """Return the part of the split of new crystals, (B,).

    They are trained on, but for those of a composition that is only held back: they stay with it.
    """
    part: dict[str, int] = {}
    for formula, index in zip(dataset.crystals.formulas(), dataset.split.tolist(), strict=True):
        part[formula] = min(index, part.get(formula, index))  # a composition that is trained on is nowhere held back
    return np.array([part.get(formula, TRAIN) for formula in new.formulas()], dtype=np.uint8)


class Rows:
    """Finds the row of a crystal: one of the dataset, or one that an earlier result got.

    :param old: crystals of the dataset, whose rows count from 0.
    :param new: the results; one that is nowhere gets the next row.
    """

    def __init__(self, old: Crystals, new: Crystals) -> None:
        self.batches, self.n_old, self.next = (old, new), len(old), len(old)
        self.matcher = StructureMatcher(ltol=LTOL, stol=STOL, angle_tol=ANGLE_TOL)
        self.formulas = new.formulas()
        self.of_formula: dict[str, list[int]] = defaultdict(list)
        for row, formula in enumerate(old.formulas()):
            self.of_formula[formula].append(row)
        self.crystal: dict[int, tuple[int, int]] = {}  # row of a result -> batch and index
        self.reduced: dict[tuple[int, int], Structure] = {}

    def find(self, index: int) -> int:
        """Return the row of a result."""
        candidates = self.of_formula[self.formulas[index]]
        mine = self._structure(1, index)
        for row in candidates:
            other = self._structure(*self.crystal.get(row, (0, row)))
            if self.matcher.fit(mine, other, skip_structure_reduction=True):
                return row
        row, self.next = self.next, self.next + 1
        self.crystal[row] = (1, index)
        candidates.append(row)
        return row

    def _structure(self, batch: int, index: int) -> Structure:
        """Return a reduced primitive cell, computed once."""
        if (batch, index) not in self.reduced:
            self.reduced[batch, index] = primitive_structure(self.batches[batch], index)
        return self.reduced[batch, index]


def _check(dataset: Dataset, crystals: Crystals, values: Mapping[str, np.ndarray], lowest: str) -> None:
    """Refuse results that say nothing.

    :raises DatasetError: with what is missing.
    """
    if len(crystals) == 0:
        raise DatasetError(f"{dataset.name}: no result to extend it with")
    if lowest not in values:
        raise DatasetError(f"{dataset.name}: no values of {lowest}, by which the best of equal crystals is taken")
    if unknown := [crystals.ids[i] for i in np.flatnonzero(~np.isfinite(values[lowest]))]:
        raise DatasetError(f"{dataset.name}: {lowest} of {', '.join(unknown)} is not known; leave these crystals out")


def _joined_fidelities(dataset: Dataset, fidelity: Fidelity, columns: list[str]) -> dict[str, Fidelity]:
    """Return the fidelity of each column after the results have come.

    :raises DatasetError: a column of this name whose fidelity the dataset does not know.
    """
    if unknown := sorted(set(columns) & set(dataset.properties) - set(dataset.fidelities)):
        raise DatasetError(f"{dataset.name}: how {', '.join(unknown)} was obtained is not known; rename the property")
    known = dataset.fidelities
    return {name: known[name].joined(fidelity, name) if name in known else fidelity for name in columns}

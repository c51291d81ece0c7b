"""What a criterion of the screening is, and what it is given to judge by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..crystals.batch import Crystals
from ..crystals.validity import structure_problems
from ..workers import Workers
from .column import Column

if TYPE_CHECKING:
    from ..settings import ScreenSettings
    from .sources import Sources


@dataclass(frozen=True)
class Finding:
    """What a criterion says of B crystals.

    :param passed: (B,) bool.
    :param reasons: B times why it is not passed, in words; None where it is, or where another criterion says it.
    :param cells: column -> B values of the table, None for an empty cell.
    """

    passed: np.ndarray
    reasons: list[str | None]
    cells: dict[str, list[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Criterion:
    """A test that candidates pass or not.

    :param name: as in the setting `require`.
    :param stage: of the funnel, whose count falls by those who fail it.
    :param columns: what it adds to the table.
    :param judge: the test, of a whole batch.
    :param lacking: what has to be given so that it can be judged, None where it can.
    :param always: required whether `require` names it or not.
    """

    name: str
    stage: str
    columns: tuple[Column, ...]
    judge: Callable[[Batch], Finding]
    lacking: Callable[[Batch], str | None] = lambda batch: None
    always: bool = False


@dataclass(frozen=True)
class Batch:
    """The crystals under test, valid or not, and what all criteria share.

    :param crystals: B crystals.
    :param formulas: B reduced formulas, empty for a crystal without sites or with one that is no element.
    :param settings: of the stage.
    :param sources: what crystals are compared with.
    :param progress: called with the number of crystals done and the name of the step.
    :param workers: processes that share the work.
    """

    crystals: Crystals
    formulas: list[str]
    settings: ScreenSettings
    sources: Sources
    progress: Callable[[int, str], None] = lambda done, step: None
    workers: Workers = field(default_factory=Workers)

    def __len__(self) -> int:
        return len(self.crystals)

    @cached_property
    def problems(self) -> list[str | None]:
        """Why a structure is not valid, None where it is."""
        return structure_problems(self.crystals)

    @cached_property
    def sound(self) -> np.ndarray:
        """(S,) indices of the crystals with valid structures; no other is compared, described or predicted."""
        return np.flatnonzero([problem is None for problem in self.problems])

    @cached_property
    def valid(self) -> Crystals:
        """The S crystals with valid structures."""
        return self.crystals.take(self.sound)

    @cached_property
    def valid_formulas(self) -> list[str]:
        """Their S formulas."""
        return [self.formulas[i] for i in self.sound]

    def spread(self, values: list[Any], missing: Any = None) -> list[Any]:
        """Return S values of the valid structures as B values of all crystals."""
        whole = [missing] * len(self)
        for index, value in zip(self.sound, values, strict=True):
            whole[index] = value
        return whole

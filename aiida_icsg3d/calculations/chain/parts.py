"""The stages of a chain: which inputs of theirs it takes, and under which names their files lie in its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from icsg3d_models.settings.chain.joints import JOINTS

from ..base import StageCalculation, spec_names
from ..files import InputFile
from ..rebuild import RebuildCalculation
from ..sample import SampleCalculation
from ..screen import ScreenCalculation
from ..segment import SegmentCalculation

PARTS: dict[str, type[StageCalculation]] = {
    "sample": SampleCalculation,
    "segment": SegmentCalculation,
    "rebuild": RebuildCalculation,
    "screen": ScreenCalculation,
}
"""Stage -> its own CalcJob, in the order in which a chain runs them."""
LAST_WITHOUT_SCREENING = "rebuild"


def rows_of(stage: str) -> tuple[InputFile, ...]:
    """Return the input files of a stage within a chain, without those that an earlier one writes beside them.

    Two stages may have a file of one name, such as their base crystals: each gets the name of its stage.
    """
    rows = (row for row in PARTS[stage].files if (stage, row.setting) not in JOINTS)
    return tuple(replace(row, name=f"{stage}_{row.name}", path=row.path or row.name) for row in rows)


def ports_of(stage: str) -> list[str]:
    """Return the inputs of a stage that a chain takes: not the folders of earlier stages."""
    handed_on = {row.port for row in PARTS[stage].files if (stage, row.setting) in JOINTS}
    return [name for name in spec_names(PARTS[stage]) if name not in handed_on]


def given_parts(inputs: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the stages that a chain runs, with their inputs; the screening may be left out."""
    for stage in PARTS:
        if stage in inputs:
            yield stage, inputs[stage]


def settings_of(stage: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a stage with the names of its files.

    What is not given is left out where the program takes nothing by default, as in :class:`.ScreenCalculation`.
    """
    settings = inputs["settings"].get_dict() if "settings" in inputs else {}
    fields = PARTS[stage].settings_model().model_fields
    files: dict[str, Any] = {}
    for row in rows_of(stage):
        files[row.setting] = files.get(row.setting) or row.value(inputs)
    return settings | {n: file for n, file in files.items() if file is not None or fields[n].default is not None}

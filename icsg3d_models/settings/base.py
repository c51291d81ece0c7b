"""What the settings of all stages share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..strict import Positive, Strict


class StageSettings(Strict):
    """What every stage takes."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of every random number of the stage."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where tensors live; `auto` takes a GPU where there is one."""
    threads: Positive | None = None
    """CPU threads of torch; default: what the machine or OMP_NUM_THREADS says."""

"""What the settings of all stages share, and the options of all networks."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ..strict import Positive, Strict


class StageSettings(Strict):
    """What every stage takes.

    :cvar outputs: the settings that name the files that the stage writes.
    :cvar output_folders: those that name folders.
    """

    outputs: ClassVar[tuple[str, ...]] = ()
    output_folders: ClassVar[tuple[str, ...]] = ()

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of every random number of the stage."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where tensors live; `auto` takes a GPU where there is one."""
    threads: Positive | None = None
    """CPU threads of torch; null: OMP_NUM_THREADS, or as many cores as the scheduler, the container or the machine
    grants."""


class NetworkOptions(Strict):
    """Options of one kind of network.

    :cvar derived: parts of the network's configuration that follow from the data or from the network before it.
    """

    derived: ClassVar[tuple[str, ...]] = ()

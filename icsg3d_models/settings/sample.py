"""Settings of the stage ``sample``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ..conditions import OF_SPACE
from ..conditions.target import target_name
from ..strict import Fraction, Positive
from .conditions import ConditionSettings
from .seeds.presets import PresetSettings


class SampleSettings(ConditionSettings, PresetSettings):
    """Draw latents and decode them into fields."""

    stage = "sample"
    outputs = ("fields",)

    mode: Literal["prior", "base", "interpolate", "reconstruct"] = "prior"
    """`prior`: new crystals; `base`: around base crystals; `interpolate`: on the line between two base crystals;
    `reconstruct`: every base crystal once, encoded and decoded, in their order."""
    n_samples: Positive = 64
    """How many; mode `reconstruct` takes as many as there are base crystals."""
    vae: str = "vae.safetensors"
    prior: str | None = "prior.safetensors"
    """Fitted latent prior (mode `prior`), which takes the conditions that it was trained with; null draws from
    N(0, 1), as ICSG3D did."""
    base: str | None = None
    """Crystal file or dataset file (HDF5) of base crystals (all modes but `prior`)."""
    base_part: Literal["train", "validation", "test"] | None = None
    """Part of the base crystals to take, where `base` is a dataset file; null: all."""
    base_value: float | None = None
    """Value of the property that a conditional VAE (`icsg3d-2020`) is told of every base crystal; null: that of the
    dataset file."""
    base_explained: Fraction = 0.75
    """Share of its occupancy field that the model must give back of a base crystal to sample around it, or from it to
    another; one of a kind that it never saw comes back as something else. 0: all are taken."""
    register_base: bool = True
    """Put base crystals into the setting that the model understands best; false takes them as they are."""
    spacing: Annotated[float, Field(gt=0)] | None = None
    """Å, from point to point of the fields of base crystals, for a VAE whose grids follow the cell; null: 0.8 of what
    the VAE was trained with."""
    targets: dict[str, float] = {}
    """Property values to aim at; the prior must have been trained with these targets."""
    unaimed: Annotated[int, Field(ge=0)] = 0
    """The first so many samples are drawn without the `targets`, to stand beside those that aim at them."""
    guidance: Annotated[float, Field(ge=0)] = 1.0
    """Strength of the condition; 1 samples the conditional distribution, more exaggerates it."""
    restarts: Annotated[int, Field(ge=0)] | None = None
    """Rounds in which a prior for crystals of any shape throws a sample back into noise and carries it on again. Sites
    and their number get better, compositions unlike those of training get lost; each round takes twice the time of
    none. Null: 4 for crystals of one element, none for others."""
    symmetric: bool | None = None
    """Make crystals with exactly the space group and the contents of the known crystals that they are drawn like; null:
    where the prior keeps these, as `wide` does; false: with whatever symmetry comes (mode `prior`)."""
    spread: Annotated[float, Field(gt=0)] = 0.5
    """Width around a base crystal, in standard deviations of the training latents."""
    batch_size: Positive = 256
    fields: str = "fields.h5"
    """The field file to write."""

    @property
    def asked(self) -> dict[str, Any]:
        """All that is asked for, of crystals and of their properties, name of a condition -> value."""
        return super().asked | {target_name(name): value for name, value in self.targets.items()}

    @model_validator(mode="after")
    def _conditions_need_the_prior(self) -> SampleSettings:
        beyond = [name for name in self.asked if name not in OF_SPACE]
        if self.mode != "prior" and beyond:
            raise ValueError(f"{', '.join(beyond)}: can be asked for in mode 'prior', not in mode {self.mode!r}")
        return self

    @model_validator(mode="after")
    def _unaimed_beside_aimed(self) -> SampleSettings:
        if self.unaimed and not self.targets:
            raise ValueError(f"`unaimed` {self.unaimed}: there are no `targets` to leave out")
        if self.unaimed > self.n_samples:
            raise ValueError(f"`unaimed` {self.unaimed} is more than `n_samples` {self.n_samples}")
        return self

    @model_validator(mode="after")
    def _base_given(self) -> SampleSettings:
        if self.mode != "prior" and self.base is None:
            raise ValueError(f"mode {self.mode!r} needs `base`, a file of base crystals")
        if self.base_part is not None and self.base is None:
            raise ValueError("`base_part` needs `base`, a dataset file to take the part of")
        if self.spacing is not None and self.mode == "prior":
            raise ValueError("`spacing` is of the fields of base crystals; a prior has that of its training")
        return self

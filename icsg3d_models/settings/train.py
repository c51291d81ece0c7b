"""Settings of the stage ``train``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from ..strict import Positive, Strict
from .base import NetworkOptions
from .network_options import kinds_of, read_options
from .seeds.presets import PresetSettings


class Optimiser(Strict):
    """Optimisation shared by all networks."""

    max_epochs: Positive = 100
    """Passes over the training part."""
    min_steps: Positive | None = None
    """Steps at least, in more passes where the training part is small: what is learned goes by steps."""
    max_steps: Positive | None = None
    """Steps at most, whatever the number of passes."""
    batch_size: Positive = 16
    """Crystals a step."""
    algorithm: Literal["adamw", "sgd"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 1.5e-3
    """The highest."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Of the learning rate: a short warm-up and a cosine, or the same from the first step to the last."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-3
    beta2: Annotated[float, Field(gt=0, lt=1)] = 0.98
    """Decay of the mean of squared gradients (AdamW)."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of SGD; the decay of the mean of gradients of AdamW."""
    gradient_clip: Annotated[float, Field(gt=0)] = 5.0
    """Largest norm of the gradient; a longer one is shortened."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Decay of the moving average of the weights, which is what is validated and saved."""
    validate_every: Positive = 1
    """Epochs between two validations."""
    patience: Positive | None = None
    """Stop after so many validations without improvement."""

    def steps(self, per_epoch: int) -> int:
        """Return the steps in all: ``max_epochs``, but within ``min_steps`` (in whole epochs) and ``max_steps``.

        :param per_epoch: batches of one pass over the training part.
        """
        total = self.max_epochs * per_epoch
        if self.min_steps is not None and total < self.min_steps:
            total = -(-self.min_steps // per_epoch) * per_epoch
        return total if self.max_steps is None else min(total, self.max_steps)

    @model_validator(mode="after")
    def _steps_agree(self) -> Optimiser:
        if self.min_steps is not None and self.max_steps is not None and self.min_steps > self.max_steps:
            raise ValueError(f"`min_steps` {self.min_steps} is more than `max_steps` {self.max_steps}")
        return self


class Emphasis(Strict):
    """Training crystals that are seen more often than others: those that a generator is to make more of."""

    property: str
    """Of the dataset; crystals of which it is not known are seen as often as without."""
    at_least: float | None = None
    """In its unit; null: no lower bound."""
    at_most: float | None = None
    """In its unit; null: no upper bound."""
    times: Positive = 10
    """Times an epoch."""


class TrainSettings(PresetSettings):
    """Train one network."""

    stage = "train"
    outputs = ("output",)
    output_folders = ("checkpoint",)

    network: Literal["unet", "vae", "prior", "cgcnn", "voxelnet"]
    """`unet` segments fields, `vae` needs a trained unet, `prior` needs a trained vae, `cgcnn` and
    `voxelnet` predict properties."""
    dataset: str = "dataset.h5"
    """Dataset file of `icsg3d prepare`."""
    unet: str | None = None
    """Model file of the U-Net (for `vae`; for `prior`, that the trained set is tried at the end)."""
    vae: str | None = None
    """Model file of the VAE (for `prior`)."""
    output: str = "model.safetensors"
    """The model file to write: the best weights by validation loss."""
    checkpoint: str = "checkpoint"
    """Folder of the checkpoints that are written."""
    resume_from: str | None = None
    """Folder of a checkpoint to go on from; may be the one that is written."""
    start_from: str | None = None
    """Model file of the same network whose weights are the first ones, with its elements, conditions, targets and the
    numbers that standardise them (fine-tuning). A checkpoint of `resume_from` goes before it."""
    grow: bool = False
    """Let the model of `start_from` learn elements of the dataset, `conditions` and `targets` (prior) that it does not
    know; a new element starts as the one most like it. Of `unet`, `vae` and the `prior` of a `spacing`."""
    targets_from: dict[str, str] = {}
    """Target of the model `start_from` -> property of the dataset that the fine-tuned model predicts in its place
    (`cgcnn`, `voxelnet`); its predictions are first shifted by the mean difference."""
    emphasis: Emphasis | None = None
    """Crystals to see more often; null: all alike. The last weights are then the result, not those with the lowest loss
    of the validation part, in which all crystals count alike."""
    optimiser: Optimiser = Optimiser()
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    """Of products and convolutions: `float32` as torch does it by default, `tf32` on NVIDIA GPUs, `bfloat16` by
    autocast. Weights are kept in float32."""
    compile: bool = False
    """Compile the network by torch.compile: minutes at the start, faster steps; needs a C++ compiler."""
    deadline_seconds: Annotated[float, Field(gt=0)] | None = None
    """Stop cleanly, with a checkpoint and status `walltime`, this long after the start."""
    trial_samples: Annotated[int, Field(ge=0)] = 16
    """Crystals of the dataset to encode and rebuild, and samples to draw, after the training of a `prior` whose `unet`
    is given too: the outcome says which network needs more. 0: none."""
    targets: list[str] = []
    """Properties to predict (`cgcnn`, `voxelnet`) or to condition on (`prior`)."""
    conditions: list[str] | None = None
    """What a prior can be asked for, beside `targets`, by the names of the settings of `icsg3d sample`; null: elements,
    and upon a VAE of a `spacing` all there is."""
    options: SerializeAsAny[NetworkOptions] = Field(
        default_factory=lambda data: kinds_of(data["network"], data.get("preset"))[0]()
    )
    """Options of the network; what there is depends on `network`."""

    @field_validator("options", mode="before")
    @classmethod
    def _of_the_network(cls, value: Any, info: ValidationInfo) -> Any:
        network, preset = info.data.get("network"), info.data.get("preset")
        return read_options(network, value, None, preset) if isinstance(value, dict) and network is not None else value

    @model_validator(mode="after")
    def _conditions_of_a_prior(self) -> TrainSettings:
        if self.conditions is not None and self.network != "prior":
            raise ValueError(f"`conditions` are what a prior is told of, not the network {self.network!r}")
        return self

    @model_validator(mode="after")
    def _something_to_grow(self) -> TrainSettings:
        if self.grow and self.start_from is None:
            raise ValueError("`grow` adds to a model; give that as `start_from`")
        return self

    @model_validator(mode="after")
    def _targets_from_a_model(self) -> TrainSettings:
        if not self.targets_from:
            return self
        if self.network not in ("cgcnn", "voxelnet"):
            raise ValueError(
                f"`targets_from` is of models that predict properties, not of the network {self.network!r}"
            )
        if self.start_from is None:
            raise ValueError("`targets_from` names targets of a model; give that as `start_from`")
        if len(set(self.targets_from.values())) < len(self.targets_from):
            raise ValueError(f"`targets_from`: {self.targets_from}; two targets cannot become the same property")
        return self

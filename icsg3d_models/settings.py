"""Typed settings of every subcommand: the one contract between AiiDA, the command line and the stages.

No torch, no aiida. Unknown keys raise, so that a typo does not cost a night on a GPU. Paths are relative
to the directory the stage runs in; their defaults are the names a CalcJob links its inputs under.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from .formulas import check_anonymous, check_composition, check_elements
from .wish_settings import WishSettings

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class Strict(BaseModel):
    """Base of all settings: unknown keys raise, values are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class StageSettings(Strict):
    """What every stage takes."""

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of every random number of the stage."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where tensors live; `auto` takes a GPU where there is one."""
    threads: Positive | None = None
    """CPU threads of torch; default: what the machine or OMP_NUM_THREADS says."""


class Split(Strict):
    """Shares of the crystals in each part."""

    train: Fraction = 0.9
    validation: Fraction = 0.05
    test: Fraction = 0.05
    by: Literal["composition", "crystal"] = "composition"
    """`composition`: all crystals of one composition go to one part, so that none is known from another part;
    `crystal`: each on its own, for data of one composition."""

    @model_validator(mode="after")
    def _adds_up(self) -> Split:
        total = self.train + self.validation + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares of the split add up to {total:g}; they must add up to 1")
        return self


class PrepareSettings(StageSettings):
    """Build a dataset file from a CSV of CIFs, a folder of CIFs, or any file that ASE reads."""

    source: str | Annotated[list[str], Field(min_length=1)]
    """A .csv with a column of CIFs, a folder of .cif files, a .zip of .cif files, or an extxyz file. A list of
    dataset files is joined to one: their crystals keep their parts and properties, and `properties`, `units` and
    `split` have no effect."""
    dataset: str = "dataset.h5"
    """The dataset file to write."""
    name: str = "dataset"
    """Short name of the data, kept in the file and in model cards."""
    citation: str = ""
    """What to cite for the data."""
    properties: dict[str, str] = {}
    """Property name in the dataset -> column or key in the source; NaN and missing values are kept as missing."""
    units: dict[str, str] = {}
    """Property name -> unit."""
    required: list[str] = []
    """Properties without which a crystal is left out (and named)."""
    cif_column: str = "cif"
    """CSV column that holds the CIF."""
    id_column: str = "material_id"
    """CSV column, or extxyz key, that names the crystal."""
    split: Split = Split()


class Optimiser(Strict):
    """Optimisation shared by all networks."""

    max_epochs: Positive = 100
    """Passes over the training part."""
    batch_size: Positive = 16
    learning_rate: Annotated[float, Field(gt=0)] = 1.5e-3
    """Peak of a cosine schedule with a short warm-up (AdamW)."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-3
    gradient_clip: Annotated[float, Field(gt=0)] = 5.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.99
    """Decay of the moving average of the weights, which is what is validated and saved."""
    validate_every: Positive = 1
    """Epochs between two validations."""
    patience: Positive | None = None
    """Stop after so many validations without improvement."""


class TrainSettings(StageSettings):
    """Train one network."""

    network: Literal["unet", "vae", "prior", "cgcnn", "voxelnet"]
    """`unet` segments fields, `vae` needs a trained unet, `prior` needs a trained vae, `cgcnn` and
    `voxelnet` predict properties."""
    dataset: str = "dataset.h5"
    unet: str | None = None
    """Model file of the U-Net (for `vae`)."""
    vae: str | None = None
    """Model file of the VAE (for `prior`)."""
    output: str = "model.safetensors"
    """The model file to write: the best weights by validation loss."""
    checkpoint: str = "checkpoint"
    """Folder of the checkpoints that are written."""
    resume_from: str | None = None
    """Folder of a checkpoint to go on from; may be the one that is written."""
    optimiser: Optimiser = Optimiser()
    deadline_seconds: Annotated[float, Field(gt=0)] | None = None
    """Stop cleanly, with a checkpoint and status `walltime`, this long after the start."""
    targets: list[str] = []
    """Properties to predict (`cgcnn`, `voxelnet`) or to condition on (`prior`)."""
    options: dict[str, int | float | str | bool | list[int]] = {}
    """Options of the network; its configuration class in networks/ documents them and refuses unknown ones."""


class SampleSettings(WishSettings, StageSettings):
    """Draw latents and decode them into fields."""

    mode: Literal["prior", "base", "interpolate", "reconstruct"] = "prior"
    """`prior`: new crystals; `base`: around base crystals; `interpolate`: on the line between two base crystals;
    `reconstruct`: every base crystal once, encoded and decoded, in their order."""
    n_samples: Positive = 64
    """How many; mode `reconstruct` takes as many as there are base crystals."""
    vae: str = "vae.safetensors"
    prior: str | None = "prior.safetensors"
    """Fitted latent prior (mode `prior`); null draws from N(0, 1), as ICSG3D did."""
    base: str | None = None
    """Crystal file or dataset file (HDF5) of base crystals (all modes but `prior`)."""
    base_part: Literal["train", "validation", "test"] | None = None
    """Part of the base crystals to take, where `base` is a dataset file; null: all."""
    register_base: bool = True
    """Put base crystals into the setting that the model understands best; false takes them as they are."""
    spacing: Annotated[float, Field(gt=0)] | None = None
    """Å, from point to point of the fields of base crystals, for a VAE for crystals of any shape; null: 0.8 of what
    the VAE was trained with."""
    targets: dict[str, float] = {}
    """Property values to aim at; the prior must have been trained with these targets."""
    guidance: Annotated[float, Field(ge=0)] = 1.0
    """Strength of the condition; 1 samples the conditional distribution, more exaggerates it."""
    restarts: Annotated[int, Field(ge=0)] | None = None
    """Rounds in which a prior for crystals of any shape throws a sample back into noise and carries it on again. Sites
    and their number get better, compositions unlike those of training get lost; each round takes twice the time of
    none. Null: 4 for crystals of one element, none for others."""
    spread: Annotated[float, Field(gt=0)] = 0.5
    """Width around a base crystal, in standard deviations of the training latents."""
    batch_size: Positive = 256
    fields: str = "fields.h5"
    """The field file to write."""

    @model_validator(mode="after")
    def _wishes_need_the_prior(self) -> SampleSettings:
        if self.mode != "prior" and self.shape_wishes:
            raise ValueError(f"{', '.join(self.shape_wishes)}: what mode 'prior' can aim at, not mode {self.mode!r}")
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


class SegmentSettings(StageSettings):
    """Segment fields into regions, one an atom, and name the species of every voxel."""

    unet: str = "unet.safetensors"
    fields: str = "fields.h5"
    segments: str = "segments.h5"
    """The segment file to write."""
    elements: list[str] | None = None
    """Only these elements may be named; null: all that the model knows."""
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.35
    """Occupancy (1 at the centre of an atom) above which a voxel belongs to an atom."""
    batch_size: Positive = 32

    _elements = field_validator("elements")(check_elements)


class RebuildSettings(StageSettings):
    """Turn fields and their segments into crystals with sub-voxel sites."""

    fields: str = "fields.h5"
    segments: str = "segments.h5"
    crystals: str = "crystals.h5"
    """The crystal file to write."""
    max_sites: Positive = 200
    min_distance: Annotated[float, Field(gt=0)] = 0.5
    """Å; two sites closer than this are reported and the sample is not rebuilt."""
    symmetry_tolerance: Annotated[float, Field(gt=0)] | None = None
    """Å; idealise to the symmetry found within this tolerance, in the primitive cell; null changes nothing."""
    batch_size: Positive = 256


class ScreenSettings(StageSettings):
    """Predict properties, test validity, uniqueness and novelty, and rank."""

    crystals: str = "crystals.h5"
    predictors: list[str] = ["cgcnn.safetensors"]
    """Property models; several for the same property are averaged and their spread is the uncertainty."""
    reference: str | None = None
    """What novelty is judged against: a training-set fingerprint or a dataset file; null: novelty is not judged."""
    elements: list[str] | None = None
    """Only these elements may occur; null: any."""
    composition: str | None = None
    """Only crystals of this composition, in any multiple of the formula; null: any."""
    anonymous_formula: str | None = None
    """Only crystals of this kind of formula, such as `ABC3`; null: any."""
    rank_by: str | None = "formation_energy_per_atom"
    """Predicted property to rank by; null: candidates are taken in the order in which they were made."""
    descending: bool = False
    top: Positive = 10
    """How many candidates to select; fewer are selected, and it is said, where fewer pass."""
    require: list[Literal["structure", "composition", "unique", "novel"]] = [
        "structure",
        "composition",
        "unique",
        "novel",
    ]
    """Tests that a candidate must pass to be selected."""
    table: str = "screening.csv"
    """The table to write, one row a crystal."""

    _elements = field_validator("elements")(check_elements)
    _composition = field_validator("composition")(check_composition)
    _anonymous = field_validator("anonymous_formula")(check_anonymous)


class EvaluateSettings(WishSettings, StageSettings):
    """Score crystals by the published metrics, beside what the reference set itself scores."""

    mode: Literal["reconstruction", "generation"] = "generation"
    """`reconstruction`: each crystal against its true one; `generation`: the batch against the set."""
    paired_by: Literal["id", "order"] = "id"
    """Reconstruction: `id`: the true crystal has the same id; `order`: s000012 is the true crystal 12 of the part,
    counted from 0, which is how `icsg3d sample` numbers in mode `reconstruct`."""
    crystals: str = "crystals.h5"
    """What to score: a crystal file."""
    reference: str = "dataset.h5"
    """The true crystals: a dataset file or a crystal file."""
    part: Literal["train", "validation", "test", "all"] = "test"
    """Part of the reference, where it is a dataset file."""
    training: str | None = None
    """Known crystals, for novelty: a dataset file (its training part) or a crystal file; null: of `reference`."""
    samples: Positive | None = None
    """Samples asked for, so that those not rebuilt count as failures; null: as many as there are crystals."""
    cutoffs: Literal["perov_5", "carbon_24", "mp_20"] | tuple[float, float] = "perov_5"
    """Published cut-offs of COV, or two numbers: distance of structure and of composition prints."""
    fingerprint_gate: bool = True
    """Reconstruction: as published, what has no fingerprint is not valid; false saves that test, 60 ms a crystal."""
    property_samples: Positive = 1000
    """Valid samples, drawn at random, that enter the Wasserstein distances."""
    novelty_samples: Positive = 1000
    """Samples, drawn at random, that are compared for uniqueness and novelty."""
    predictors: list[str] = []
    """Property models, averaged, that the generator has not seen; empty: no property is judged."""
    predicted_property: str = "formation_energy_per_atom"
    """The property to take from the predictors."""
    target: float | None = None
    """Value of the property that was asked for. What else was: `elements`, `composition`, `anonymous_formula`,
    `n_atoms` and `crystal_system`, as the crystals were sampled with."""
    unconditioned: str | None = None
    """Crystal file of samples of which nothing was asked; how well they fit what was asked stands beside."""
    stability: str | None = None
    """CSV with the column `id` and the column named next; null: S.U.N. is not judged."""
    stable_column: str = "stable"
    """Column of true and false; a crystal without a row counts as not stable."""
    cache: str | None = "fingerprints.h5"
    """File of structure fingerprints, read and added to; null: none."""
    evaluation: str = "evaluation.json"
    """All figures and what they depend on."""
    table: str = "evaluation.md"
    """The same as a table."""
    details: str = "evaluation.csv"
    """One row a crystal."""

    @model_validator(mode="after")
    def _fits_together(self) -> EvaluateSettings:
        if self.paired_by == "order" and self.mode != "reconstruction":
            raise ValueError("`paired_by` is for mode 'reconstruction'; new crystals have no true ones")
        if self.target is not None and not self.predictors:
            raise ValueError("`target` needs `predictors`, property models that say what was reached")
        if self.made and self.mode != "generation":
            raise ValueError(f"{', '.join(self.made)}: asked of new crystals, not in mode {self.mode!r}")
        if self.unconditioned is not None and self.target is None and not self.made:
            raise ValueError("`unconditioned` is compared with what was asked for; give a `target` or a wish")
        return self


STAGES: dict[str, type[StageSettings]] = {
    "prepare": PrepareSettings,
    "train": TrainSettings,
    "sample": SampleSettings,
    "segment": SegmentSettings,
    "rebuild": RebuildSettings,
    "screen": ScreenSettings,
    "evaluate": EvaluateSettings,
}

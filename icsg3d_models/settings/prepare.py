"""Settings of the stage ``prepare``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ..strict import Fraction, Positive, Strict
from .base import StageSettings


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
    """Build a dataset file from crystals of any source: CIF, POSCAR, CSV of CIFs, JSON, extxyz, ASE."""

    outputs = ("dataset",)

    source: str | Annotated[list[str], Field(min_length=1)]
    """A .csv with a column of CIFs; a .cif or .mcif; a folder or .zip of CIFs, POSCARs and JSON, with the properties in
    properties.csv; an .extxyz; a .json of pymatgen; a .db of ASE; any file that ASE reads; each also as .gz; or the
    base URL of an OPTIMADE provider, such as https://optimade.materialsproject.org. A list of dataset files is joined
    to one: their crystals keep their parts and properties, and `split` has no effect."""
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
    filter: str = ""
    """OPTIMADE: which structures, such as `elements HAS ALL "Ti","O" AND nsites<=20`."""
    limit: Positive | None = None
    """OPTIMADE: at most so many structures."""
    split: Split = Split()

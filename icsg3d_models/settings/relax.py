"""Settings of the stage ``relax``."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from ..strict import Positive, Strict
from .base import StageSettings

SHIPPED = ("7net-0", "chgnet")
"""Potentials whose weights come with their packages."""
CLASS_NAME = re.compile(r"ase:[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def check_potential(value: str | None) -> str | None:
    """Return the name of a potential; refuse what is neither shipped nor the name of a class."""
    if value is None or value in SHIPPED or CLASS_NAME.fullmatch(value):
        return value
    raise ValueError(
        f"{value!r}: no potential of that name; accepted are {', '.join(SHIPPED)}, or `ase:package.module.Class` "
        "for the class of an ASE calculator that is installed, like ase:mace.calculators.MACECalculator"
    )


class Potential(Strict):
    """One interatomic potential."""

    name: str = "7net-0"
    """`7net-0` (sevenn), `chgnet`, or `ase:package.module.Class`: an ASE calculator of an installed package."""
    arguments: dict[str, bool | int | float | str] = {}
    """Keyword arguments of an `ase:` calculator, such as the path of its model file."""
    scale: str | None = None
    """What an `ase:` calculator's energies are comparable with: `mp` (Materials Project's GGA and GGA+U as calculated;
    the MP2020 corrections are added), `MP2020` (corrections held already), or a name of your own, which the
    references have to bear too. Null: not known; no formation energies."""

    _name = field_validator("name")(check_potential)

    @model_validator(mode="after")
    def _options_are_used(self) -> Potential:
        """Refuse options that the shipped potentials do not take."""
        given = [name for name in ("arguments", "scale") if getattr(self, name)]
        if self.name in SHIPPED and given:
            raise ValueError(f"{self.name} takes no {' and no '.join(given)}: they belong to an `ase:` calculator")
        return self


class PhononSettings(Strict):
    """Phonons of the relaxed crystals, by the potential."""

    mode: Literal["off", "gamma", "supercell"] = "off"
    """`gamma`: modes of the cell itself; `supercell`: also those that fit into a supercell."""
    supercell: tuple[Positive, Positive, Positive] = (2, 2, 2)
    """Multiples of the relaxed cell along its vectors (`supercell` only)."""
    displacement: Annotated[float, Field(gt=0, le=0.2)] = 0.03
    """Å, by which sites are moved to get the forces."""
    threshold: Annotated[float, Field(gt=0)] = 0.3
    """THz; a mode counts as imaginary below minus this. Noise of the forces makes lower ones."""
    follow: bool = True
    """Follow the most imaginary mode once to the lower structure, which becomes the relaxed crystal."""


class RelaxSettings(StageSettings):
    """Relax crystals with a machine-learned potential and estimate their energies above the hull."""

    outputs = ("relaxed", "table", "journal")

    crystals: str = "crystals.h5"
    only: list[str] | None = None
    """Ids of the crystals to relax; null: all."""
    potential: Potential = Potential()
    second: Potential | None = None
    """A second potential; the difference of the two formation energies is the uncertainty."""
    optimiser: Literal["FIRE", "LBFGS"] = "FIRE"
    """FIRE goes downhill; LBFGS is several times faster, but goes to the nearest flat point, which may be a saddle."""
    fmax: Annotated[float, Field(gt=0)] = 0.02
    """eV/Å; converged where no force, and no derivative by the cell in these units, is larger."""
    max_steps: Positive = 500
    relax_cell: bool = True
    keep_symmetry: bool = False
    """Allow only moves that keep the space group of the generated crystal."""
    symmetry_tolerance: Annotated[float, Field(gt=0)] = 0.1
    """Å, for the space groups before and after."""
    max_volume_change: Annotated[float, Field(gt=1)] = 3.0
    """A crystal whose volume grows or shrinks by more than this factor is given up as blown up."""
    hull: bool = True
    """Estimate formation energy and energy above hull."""
    references: str | None = None
    """Competing phases: a CSV or JSON file (docs/relaxation.md); null: the table that comes with the package."""
    references_label: str | None = None
    """What the energies of the file are comparable with, where the file itself does not say."""
    stable_within: Annotated[float, Field(ge=0)] = 0.1
    """eV/atom above the hull up to which a crystal counts as stable, in the column `stable`."""
    phonons: PhononSettings = PhononSettings()
    deadline_seconds: Annotated[float, Field(gt=0)] | None = None
    """Stop cleanly between two steps, with status `walltime`, this long after the start; a rerun goes on."""
    resume_from: str | None = None
    """A `relax.jsonl` of an earlier run of the same settings to go on from; one in the folder is always used."""
    relaxed: str = "relaxed.h5"
    """The crystal file to write."""
    table: str = "relax.csv"
    """The table to write, one row a crystal."""
    journal: str = "relax.jsonl"
    """One line a crystal, written as soon as it is done."""

    @model_validator(mode="after")
    def _choices_agree(self) -> RelaxSettings:
        """Refuse references and a second potential that nothing would use, and a way down that symmetry bars."""
        if not self.hull and (self.references is not None or self.second is not None):
            raise ValueError("`references` or `second` is given, but without `hull` there are no formation energies")
        if self.keep_symmetry and self.phonons.mode != "off" and self.phonons.follow:
            raise ValueError("`keep_symmetry` bars the way down along a mode; set `phonons.follow` to false")
        return self

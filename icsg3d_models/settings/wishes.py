"""What can be asked of a crystal: settings of those who make crystals and of those who judge them."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ..crystals.formulas import amounts_of, check_anonymous, check_composition, check_elements


class WishSettings(BaseModel):
    """What is asked for; null asks for nothing. All but ``elements`` needs a prior for crystals of any shape."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    elements: list[str] | None = None
    """Only these elements; null: all that the models know."""
    composition: str | None = None
    """Formula of one cell, such as `PbTiO3` or `C8`; made by a prior for crystals of any shape."""
    anonymous_formula: str | None = None
    """Such as `ABC3`, whatever the elements are; made by a prior for crystals of any shape."""
    n_atoms: Annotated[int, Field(ge=1)] | None = None
    """Atoms in the cell; null: as many as `composition` has, or any number."""
    crystal_system: (
        Literal["triclinic", "monoclinic", "orthorhombic", "tetragonal", "trigonal", "hexagonal", "cubic"] | None
    ) = None
    """Of the space group; made by a prior for crystals of any shape."""

    _elements = field_validator("elements")(check_elements)
    _composition = field_validator("composition")(check_composition)
    _anonymous = field_validator("anonymous_formula")(check_anonymous)

    @property
    def shape_wishes(self) -> list[str]:
        """Names of the wishes that only a prior for crystals of any shape takes, as far as they are made."""
        names = ("composition", "anonymous_formula", "n_atoms", "crystal_system")
        return [name for name in names if getattr(self, name) is not None]

    @property
    def made(self) -> dict[str, list[str] | str | int]:
        """All wishes that are made, by name."""
        names = ("elements", *self.shape_wishes)
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @model_validator(mode="after")
    def _wishes_agree(self) -> WishSettings:
        if self.composition is None:
            return self
        amounts = amounts_of(self.composition)
        if self.anonymous_formula is not None:
            raise ValueError("`composition` says more than `anonymous_formula`; give one of the two")
        if self.elements is not None and (missing := sorted(set(amounts) - set(self.elements))):
            raise ValueError(f"`composition` holds {', '.join(missing)}, which `elements` does not allow")
        unit = math.gcd(*(int(amount) for amount in amounts.values()))
        smallest = int(sum(amounts.values())) // unit
        if self.n_atoms is not None and self.n_atoms % smallest:
            raise ValueError(
                f"`n_atoms` {self.n_atoms}: cells of {self.composition} hold a multiple of {smallest} atoms"
            )
        return self

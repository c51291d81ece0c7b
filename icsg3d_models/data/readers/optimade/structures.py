"""A structure of OPTIMADE becomes a crystal, or is refused with the reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....crystals.batch import CrystalError
from ....crystals.elements import NUMBER
from ...cif.evidence import amounts_stated
from ...crystal import Crystal, Refused

FIELDS = (
    "lattice_vectors",
    "cartesian_site_positions",
    "species",
    "species_at_sites",
    "structure_features",
    "nperiodic_dimensions",
    "nsites",
    "chemical_formula_reduced",
)


@dataclass(frozen=True)
class OptimadeEntry:
    """The attributes of one entry of ``/structures``."""

    attributes: dict[str, Any]

    def __call__(self) -> list[Crystal | Refused]:
        try:
            return [crystal_of(self.attributes)]
        except CrystalError:
            raise
        except (TypeError, ValueError, KeyError, AttributeError) as exception:
            raise CrystalError(f"not as OPTIMADE asks for ({type(exception).__name__}: {exception})"[:200]) from None


def crystal_of(attributes: dict[str, Any]) -> Crystal:
    """Return the crystal of a structure's attributes.

    :raises CrystalError: disordered, not periodic in three directions, incomplete, or not what its formula says.
    """
    if features := attributes.get("structure_features"):
        raise CrystalError(f"{', '.join(features)}: no ordered structure with all its sites")
    if attributes.get("nperiodic_dimensions") not in (None, 3):
        raise CrystalError("not periodic in three directions")
    missing = [name for name in FIELDS[:2] + FIELDS[3:4] if attributes.get(name) is None]
    if missing:
        raise CrystalError(f"the provider gives no {', '.join(missing)}")
    cell = np.array(attributes["lattice_vectors"], dtype=float)
    positions = np.array(attributes["cartesian_site_positions"], dtype=float).reshape(-1, 3)
    if cell.shape != (3, 3) or not np.isfinite(cell).all() or not np.isfinite(positions).all():
        raise CrystalError("the cell or the coordinates hold NaN, null or infinity")
    if abs(np.linalg.det(cell)) < 1e-3:
        raise CrystalError(f"singular cell, volume {abs(np.linalg.det(cell)):.3g} Å³")
    names = list(attributes["species_at_sites"])
    if not len(positions) == len(names) == (attributes.get("nsites") or len(names)):
        raise CrystalError(
            f"{len(positions)} positions, {len(names)} species, nsites {attributes.get('nsites')}: cut off"
        )
    symbols = {name: _symbol(name, attributes.get("species")) for name in dict.fromkeys(names)}
    _check_formula(attributes.get("chemical_formula_reduced") or "", [symbols[name] for name in names])
    numbers = np.array([NUMBER[symbols[name]] for name in names])
    return Crystal(cell, positions @ np.linalg.inv(cell) % 1.0, numbers)


def _symbol(name: str, species: list[dict[str, Any]] | None) -> str:
    """Return the one element of a species.

    :raises CrystalError: several, a vacancy, or something attached.
    """
    described = next((s for s in species or () if s.get("name") == name), None)
    if described is None:
        if name not in NUMBER:
            raise CrystalError(f"species {name} is not described")
        return name
    symbols = described["chemical_symbols"]
    shares = described.get("concentration") or [1.0] * len(symbols)
    if len(symbols) != 1 or abs(sum(shares) - 1.0) > 1e-3:
        amounts = ", ".join(f"{s} {c:g}" for s, c in zip(symbols, shares, strict=False))
        raise CrystalError(f"partial occupancy ({name}: {amounts}); give an ordered structure")
    if described.get("attached"):
        raise CrystalError(f"species {name} has atoms attached that are not sites")
    if symbols[0] not in NUMBER:
        raise CrystalError(f"{symbols[0]} of species {name} is no chemical element")
    return symbols[0]


def _check_formula(stated: str, symbols: list[str]) -> None:
    """Refuse sites that do not add up to the reduced formula.

    :raises CrystalError: they do not.
    """
    amounts, counts = amounts_stated(stated), Counter(symbols)
    total = sum(amounts.values())
    if amounts and {s: n * total for s, n in counts.items()} != {s: n * len(symbols) for s, n in amounts.items()}:
        listed = " ".join(f"{symbol}{n}" for symbol, n in counts.items())
        raise CrystalError(f"the sites add up to {listed}, but the provider states {stated}")

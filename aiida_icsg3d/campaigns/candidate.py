"""One candidate of a run as plain data: what was screened, what was predicted, what DFT said."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from icsg3d_models.crystals.formulas import chemical_formula

PREDICTED = "predicted_"


@dataclass(frozen=True)
class Candidate:
    """One screened crystal.

    :param id: name of the sample within the run.
    :param row: its row of the screening table, numbers and booleans converted.
    :param uuid: UUID of the StructureData, None where the crystal is not in the graph.
    :param relax: what the relaxation said (status, energies, lattice ...), None where there was none.
    :param verdict: what the hull of the run says of it, None where none was asked.
    :param prerelax: how a potential left it before DFT, None where none was asked.
    """

    id: str
    row: dict[str, Any]
    uuid: str | None = None
    relax: dict[str, Any] | None = None
    verdict: dict[str, Any] | None = None
    prerelax: dict[str, Any] | None = None

    @property
    def formula(self) -> str:
        """Reduced formula, as chemists write it."""
        return chemical_formula(str(self.row.get("formula") or "?"))

    @property
    def relaxed_well(self) -> bool:
        """Whether DFT relaxed it without complaint."""
        return bool(self.relax) and not self.failed and (self.relax or {}).get("energy_eV") is not None

    @property
    def failed(self) -> bool:
        """Whether DFT was tried and did not end well."""
        relax = self.relax or {}
        return relax.get("status") == "failed" or bool(relax.get("exit_status"))

    def value(self, key: str) -> float | None:
        """Return a number: a column of the table, a predicted property, or a value of the relaxation."""
        for source, name in ((self.row, key), (self.row, PREDICTED + key), (self.relax or {}, key)):
            value = source.get(name)
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                return float(value)
        return None

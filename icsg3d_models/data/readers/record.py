"""What a source holds: records, each one or more crystals that are not parsed yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ...crystals.batch import CrystalError
from ..cif import crystals_of_cif
from ..crystal import Crystal, Refused


@dataclass(frozen=True)
class Request:
    """What is asked of a source.

    :param columns: property -> column or key in the source.
    :param id_asked: the user named ``id_column``, so it has to be there.
    :param filter: of OPTIMADE.
    :param limit: read at most so many crystals from an OPTIMADE provider.
    """

    columns: dict[str, str] = field(default_factory=dict)
    cif_column: str = "cif"
    id_column: str = "material_id"
    id_asked: bool = False
    filter: str = ""
    limit: int | None = None


@dataclass(frozen=True)
class Record:
    """One entry of a source, not parsed yet.

    :param id: its name in the source.
    :param read: returns its crystals and what of it is refused; raises CrystalError where that is all of it.
    :param values: property -> text or number as found.
    """

    id: str
    read: Callable[[], list[Crystal | Refused]]
    values: dict[str, Any] = field(default_factory=dict)


@dataclass
class Found:
    """The records of a source, in its order.

    :param notes: what the user should know: rows without a crystal, files that were passed over.
    :param units: property -> unit, where the source states them.
    :param digest: SHA-256 of the content, where the source is no file.
    """

    records: list[Record]
    notes: list[str] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    digest: str = ""


@dataclass(frozen=True)
class CifText:
    """A CIF that is parsed when called; picklable, so that a process pool can do it."""

    text: str

    def __call__(self) -> list[Crystal | Refused]:
        return crystals_of_cif(self.text)


@dataclass(frozen=True)
class Unreadable:
    """A record that could not even be opened."""

    reason: str

    def __call__(self) -> list[Crystal | Refused]:
        raise CrystalError(self.reason)

"""Energies of elements and competing phases, as they are asked for: checked, then a builder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiida.engine import ProcessBuilder

from ..setup.codes import find_code
from .base_crystals import read_base
from .elements import check_symbols
from .method import Method


@dataclass(frozen=True)
class References:
    """What the energies are of, and how they are computed.

    :param elements: of the hull.
    :param formulas: compounds that the hull should hold.
    :param structures: files with competing phases of your own.
    :param rank: name of the potential by which the structure of a compound that is not known is found among the
        prototypes of its kind; None: such a compound is missing.
    :param code: code of icsg3d, for the engine potential and the ranking; ``pw_code``: that of pw.x.
    :param engine: as of :class:`.method.Method`, and so are ``spin``, ``electronic_type``, ``hubbard`` and
        ``overrides``, of which only ``validation`` counts here.
    """

    elements: Sequence[str]
    formulas: Sequence[str] = ()
    structures: Sequence[Path] = ()
    code: str = "icsg3d@localhost"
    pw_code: str = "pw@localhost"
    protocol: str = "fast"
    pseudo_family: str | None = None
    most_sites: int | None = None
    rank: str | None = None
    engine: str | None = None
    spin: str | None = None
    electronic_type: str | None = None
    hubbard: Mapping[str, Mapping[str, float]] | Sequence[str] = ()
    overrides: Path | Mapping[str, Any] | None = None
    method: Method = field(init=False)

    def __post_init__(self) -> None:
        """Refuse what cannot be computed whatever is there.

        :raises ValueError: as said by :class:`.method.Method`, or no chemical symbol.
        """
        check_symbols(self.elements)
        method = Method(self.engine, self.spin, self.electronic_type, self.hubbard, self.overrides, self.protocol)
        object.__setattr__(self, "method", method)
        method.check_elements(self.elements)

    def builder(self, compute: bool = True) -> ProcessBuilder:
        """Return the builder of the ReferencesWorkChain.

        :param compute: False: what the profile lacks is only named.
        :raises ValueError: a code, family or file that is missing, or a file that cannot be read.
        """
        from ..workflows.stability.references import ReferencesWorkChain

        if self.method.is_potential:
            code = find_code(self.code, "icsg3d.relax", "icsg3d")
        else:
            code = find_code(self.pw_code, "quantumespresso.pw", "pw.x")
        named = {name.removeprefix("base_"): structure for name, structure in read_base(self.structures).items()}
        return ReferencesWorkChain.get_builder_from_protocol(
            code, list(self.elements), list(self.formulas), {f"given_{name}": node for name, node in named.items()},
            ranking_code=find_code(self.code, "icsg3d.relax", "icsg3d") if self.rank else None,
            ranking={"potential": {"name": self.rank}} if self.rank else None,
            compute=compute, most_sites=self.most_sites, protocol=self.protocol, pseudo_family=self.pseudo_family,
            overrides=self.method.validation,
        )  # fmt: skip

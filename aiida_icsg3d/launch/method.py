"""How the energies of a run are computed: engine, spin, occupations, Hubbard terms, overrides of the protocols."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from icsg3d_models.settings.relax import Potential

from .elements import check_symbols
from .overrides import flat, joined, read_overrides

POTENTIAL = "potential"
TERM = re.compile(r"(?P<element>[A-Z][a-z]?)-(?P<manifold>[1-7][spdf])=(?P<value>[0-9.eE+-]+)")


def hubbard_terms(words: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return element -> manifold -> on-site U (eV) of words such as ``Fe-3d=5.3``.

    :raises ValueError: one is written otherwise, or a manifold is there twice.
    """
    terms: dict[str, dict[str, float]] = {}
    for word in words:
        found = TERM.fullmatch(word)
        try:
            value = float(found["value"]) if found else None
        except ValueError:
            value = None
        if found is None or value is None:
            raise ValueError(f"--hubbard {word}: write ELEMENT-MANIFOLD=U with U in eV, for example Fe-3d=5.3")
        check_symbols([found["element"]])
        if found["manifold"] in terms.get(found["element"], {}):
            raise ValueError(f"--hubbard {found['element']}-{found['manifold']} is given twice")
        terms.setdefault(found["element"], {})[found["manifold"]] = value
    return terms


@dataclass(frozen=True)
class Method:
    """How energies are computed; what is None is as the protocol, or the file, says.

    :param engine: ``quantum_espresso`` or ``potential``.
    :param spin: ``auto``, ``none`` or ``collinear``.
    :param electronic_type: ``metal`` or ``insulator``.
    :param hubbard: element -> manifold -> on-site U (eV), or words such as ``Fe-3d=5.3``.
    :param overrides: a YAML file in the layout of the protocol ``discover``, or such a mapping.
    """

    engine: str | None = None
    spin: str | None = None
    electronic_type: str | None = None
    hubbard: Mapping[str, Mapping[str, float]] | Sequence[str] = ()
    overrides: Path | Mapping[str, Any] | None = None
    protocol: str = "fast"
    terms: dict[str, dict[str, float]] = field(init=False, default_factory=dict)
    content: dict[str, Any] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Read and check.

        :raises ValueError: names the option, or file and key, and what is accepted.
        """
        given = self.hubbard
        terms = {k: dict(v) for k, v in given.items()} if isinstance(given, Mapping) else hubbard_terms(given)
        object.__setattr__(self, "terms", terms)
        object.__setattr__(self, "content", read_overrides(self.overrides, self.protocol))
        below = self.content.get("validation", {})
        for option, key, value in (("--engine", "engine", self.engine), ("--spin", "spin_type", self.spin),
                                   ("--electronic-type", "electronic_type", self.electronic_type),
                                   ("--hubbard", "hubbard", self.terms or None)):  # fmt: skip
            if value is not None and key in below:
                raise ValueError(
                    f"{option} {'' if isinstance(value, dict) else value + ' '}and validation.{key} of "
                    f"{self.overrides} are both given; leave one out"
                )
        if self.name == POTENTIAL:
            wrong = {"--spin": self.spin, "--electronic-type": self.electronic_type, "--hubbard": self.terms}
            if said := [option for option, value in wrong.items() if value]:
                raise ValueError(f"{', '.join(said)} says how pw.x computes; the engine {POTENTIAL} has no such choice")
        self.check()

    @property
    def name(self) -> str:
        """The engine."""
        return str(self.engine or self.content.get("validation", {}).get("engine") or "quantum_espresso")

    @property
    def is_potential(self) -> bool:
        """Whether no pw.x is needed."""
        return self.name == POTENTIAL

    @property
    def validation(self) -> dict[str, Any]:
        """Overrides of the protocol ``validate``."""
        chosen = {"engine": self.engine, "spin_type": self.spin, "electronic_type": self.electronic_type,
                  "hubbard": self.terms or None}  # fmt: skip
        return joined(self.content.get("validation", {}), {k: v for k, v in chosen.items() if v is not None})

    @property
    def merged(self) -> dict[str, Any]:
        """The protocol ``validate`` with all that was chosen."""
        from ..workflows.protocols import load_protocol

        return load_protocol("validate", self.protocol, self.validation)

    @property
    def discovery(self) -> dict[str, Any]:
        """Overrides of the protocol ``discover``."""
        return joined(self.content, {"validation": self.validation} if self.validation else {})

    def check(self) -> None:
        """Refuse values that the engine does not take.

        :raises ValueError: names what is accepted.
        """
        from aiida.orm import Dict

        from ..dft.engines import engine_class
        from ..dft.quantum_espresso.pw_engine import ELECTRONIC_TYPES, SPIN_TYPES
        from ..dft.quantum_espresso.pw_hubbard import check_hubbard

        merged = self.merged
        engine_class(merged["engine"])
        for key, accepted in (("spin_type", SPIN_TYPES), ("electronic_type", ELECTRONIC_TYPES)):
            if merged[key] not in accepted:
                raise ValueError(f"{key}: received {merged[key]!r}; accepted are {', '.join(accepted)}")
        if problem := check_hubbard(Dict(merged["hubbard"] or {}), None):
            raise ValueError(problem)

    def check_elements(self, elements: Sequence[str]) -> None:
        """Refuse Hubbard terms of elements that are not in the run, which would be left out without a word.

        :raises ValueError: names the elements of the run.
        """
        if lost := sorted(set(self.merged["hubbard"] or {}) - set(elements)):
            raise ValueError(f"Hubbard terms for {', '.join(lost)}; the elements of the run are {', '.join(elements)}")

    def describe(self) -> str:
        """Return what is chosen, in one or two lines."""
        merged = self.merged
        if self.is_potential:
            potential = Potential.model_validate(merged["potential"]["settings"].get("potential", {}))
            said = f"the potential {potential.name}, no DFT"
        else:
            terms = ", ".join(f"U {element}-{manifold} {value:g} eV" for element, part in
                              (merged["hubbard"] or {}).items() for manifold, value in part.items())  # fmt: skip
            said = f"{merged['engine']}, spin {merged['spin_type']}, {merged['electronic_type']} occupations"
            said += f", {terms}" if terms else ", no Hubbard terms"
        lines = [f"energies: {said}"]
        if changed := [f"{key} {value}" for key, value in flat(self.content)]:
            source = self.overrides if isinstance(self.overrides, Path) else "what was given"
            lines.append(f"by {source}: " + "; ".join(changed))
        return "\n".join(lines)

"""The list of engines."""

from __future__ import annotations

from .engine import Engine
from .potential import PotentialEngine
from .quantum_espresso import QuantumEspresso

ENGINES: dict[str, type[Engine]] = {engine.name: engine for engine in (QuantumEspresso, PotentialEngine)}
"""Value of the input ``engine`` -> class. A new engine is named here."""


def engine_class(name: str) -> type[Engine]:
    """Return the class of an engine.

    :raises ValueError: there is none of that name.
    """
    if name not in ENGINES:
        raise ValueError(f"engine {name!r} is not known; there are {', '.join(ENGINES)}")
    return ENGINES[name]

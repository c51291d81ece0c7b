"""What an engine cannot do: nothing at all, or one crystal."""

from __future__ import annotations


class EngineError(ValueError):
    """The engine cannot be used at all; the message says what to do. ``label``: the exit code that says so."""

    def __init__(self, message: str, label: str) -> None:
        super().__init__(message)
        self.label = label


class CrystalError(ValueError):
    """One crystal that the engine cannot take; the others go on."""

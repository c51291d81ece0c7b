"""Commands `aiida-icsg3d` and `verdi data icsg3d`."""

from __future__ import annotations

from .root import cmd_root

__all__ = ("cmd_root",)

"""Pseudopotential families: find an installed one, download SSSP, or make one from what Debian ships."""

from .families import FamilyError, choose_family, load_family

__all__ = ("FamilyError", "choose_family", "load_family")

"""CIF: every block read right, or refused with the reason.

gemmi parses the text and knows the groups, their settings, Hall symbols and origins; the sites are expanded here. What
comes out is held against what the file states of itself: formula, Z, density, volume, all ways in which it declares
its symmetry. Where these contradict each other, the one reading that the file proves is taken, or none.
"""

from .parse import crystals_of_cif, parse_cif

__all__ = ("crystals_of_cif", "parse_cif")

"""Chemical symbols, atomic numbers and the fixed code that carries an element in a field."""

from __future__ import annotations

import math

# Order of the periodic table; index 0 is "no atom" so that SYMBOLS[z] is the element z.
SYMBOLS: tuple[str, ...] = (
    "", "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl", "Ar",
    "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As", "Se", "Br", "Kr",
    "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe",
    "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu",
    "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn",
    "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr",
    "Rf", "Db", "Sg", "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og",
)  # fmt: skip
NUMBER: dict[str, int] = {symbol: z for z, symbol in enumerate(SYMBOLS) if z}
MAX_Z = len(SYMBOLS) - 1


def position(z: int) -> tuple[int, int]:
    """Return (period 1-7, column 1-32) in the long form of the periodic table."""
    if not 1 <= z <= MAX_Z:
        raise ValueError(f"atomic number {z}: accepted are 1 to {MAX_Z}")
    noble = (0, 2, 10, 18, 36, 54, 86, 118)
    period = next(p for p in range(1, 8) if z <= noble[p])
    step, length = z - noble[period - 1], noble[period] - noble[period - 1]
    # The s block fills columns 1-2 from the left, everything after it is aligned to the right.
    return period, step if step <= (1 if period == 1 else 2) else 32 - (length - step)


def code_table(group_harmonics: int = 6, period_harmonics: int = 2) -> list[list[float]]:
    """Return a fixed code of every element, row z, of 2 (group_harmonics + period_harmonics) numbers.

    Sines and cosines of the column (period 32) and of the period (period 8) of the long periodic table: every pair
    of elements is well apart, elements of one group share most of the code, and nothing has to be learned or
    shipped. Row 0 (no atom) is zero; all others have norm 1.
    """
    rows = [[0.0] * (2 * (group_harmonics + period_harmonics))]
    for z in range(1, MAX_Z + 1):
        period, column = position(z)
        angles = [2 * math.pi * k * column / 32 for k in range(1, group_harmonics + 1)]
        angles += [2 * math.pi * k * period / 8 for k in range(1, period_harmonics + 1)]
        row = [f(a) for a in angles for f in (math.cos, math.sin)]
        norm = math.sqrt(sum(x * x for x in row))
        rows.append([x / norm for x in row])
    return rows

"""The chemical space of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches

from icsg3d_models.crystals.elements import NUMBER


def check_symbols(symbols: Sequence[str]) -> None:
    """Refuse what is no element, and name the symbols that are close to it.

    :raises ValueError: something is no chemical symbol.
    """
    for symbol in symbols:
        if symbol not in NUMBER:
            close = [known for known in NUMBER if known.lower() == symbol.lower()]
            close = close or get_close_matches(symbol, NUMBER, n=4, cutoff=0.6)
            hint = f"close to it are {', '.join(close)}" if close else "write them like Pb, Ti, O"
            raise ValueError(f"{symbol!r} is no chemical symbol; {hint}")


def choose_elements(
    wanted: Sequence[str], available: Mapping[str, set[str]], say: Callable[[str], None] = print
) -> list[str]:
    """Return the elements that everything knows, and say which are left out.

    :param available: who knows -> which elements.
    :raises ValueError: no chemical symbol, or none is left.
    """
    check_symbols(wanted)
    kept = [symbol for symbol in dict.fromkeys(wanted) if all(symbol in known for known in available.values())]
    for who, known in available.items():
        if missing := [symbol for symbol in wanted if symbol not in known]:
            say(f"{', '.join(missing)} left out: {who} lacks {'it' if len(missing) == 1 else 'them'}")
    if not kept:
        everybody = "; ".join(f"{who}: {', '.join(sorted(symbols))}" for who, symbols in available.items())
        raise ValueError(f"none of the elements {', '.join(wanted)} can be used ({everybody})")
    return kept

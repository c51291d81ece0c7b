"""Space groups by name: every spelling that is in use, and which settings a name may mean.

The settings are those of gemmi's table (564 with unusual cells), the full symbols those of spglib.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import spglib

Operation = tuple[tuple[tuple[int, int, int], ...], tuple[int, int, int]]
"""Rotation (3, 3) and translation in 24ths of the cell vectors, 0 to 23."""
Operations = frozenset[Operation]

IDENTITY: Operation = (((1, 0, 0), (0, 1, 0), (0, 0, 1)), (0, 0, 0))
_SUFFIX = re.compile(
    r"^(?P<name>.+?)\s*(?::\s*|\(?\borigin(?:\s*choice)?\s*[:=]?\s*|\s+(?=[szhrSZHR12]\s*$))(?P<ext>[-\w]+)\s*\)?$",
    re.IGNORECASE,
)
_OLD_CUBIC = (*range(200, 207), *range(221, 231))  # written without the bar before 1935 and long after


@dataclass(frozen=True)
class Setting:
    """One setting of a space group.

    :param choice: origin `1` or `2`, axes `H` or `R`, or the code of axes and cell (`b1`, `-cba`), lower case.
    """

    name: str
    number: int
    choice: str
    unique: str
    hall: str

    @property
    def operations(self) -> Operations:
        """All operations, centring included."""
        return operations_of_hall(self.hall)


@lru_cache(maxsize=1024)
def operations_of_hall(symbol: str) -> Operations:
    """Return the operations of a Hall symbol.

    :raises ValueError: not a Hall symbol.
    """
    try:
        return frozenset(as_operation(op) for op in gemmi.symops_from_hall(symbol))
    except RuntimeError as exception:
        raise ValueError(str(exception)) from None


def as_operation(op: gemmi.Op) -> Operation:
    """Return an operation of gemmi in integers."""
    rotation = tuple(tuple(v // gemmi.Op.DEN for v in row) for row in op.rot)
    return rotation, tuple(v % gemmi.Op.DEN for v in op.tran)  # type: ignore[return-value]


@lru_cache(maxsize=1)
def _settings() -> tuple[Setting, ...]:
    """Return the settings of gemmi's table."""
    found = []
    for group in gemmi.spacegroup_table():
        extension = group.ext.strip("\0 ").lower()
        qualifier = group.qualifier
        unique = qualifier.lstrip("-")[:1] if group.crystal_system_str() == "monoclinic" else ""
        found.append(Setting(group.xhm(), group.number, extension or qualifier, unique, group.hall))
    return tuple(found)


@lru_cache(maxsize=1)
def _listed() -> frozenset[Operations]:
    """Return the operations of the 530 settings of the International Tables."""
    kinds = [spglib.get_spacegroup_type(hall) for hall in range(1, 531)]
    return frozenset(operations_of_hall(kind.hall_symbol) for kind in kinds if kind is not None)


@lru_cache(maxsize=1)
def _by_name() -> dict[str, tuple[Setting, ...]]:
    """Return spelling -> settings."""
    names: dict[str, dict[Setting, None]] = defaultdict(dict)

    def add(spelling: str, setting: Setting) -> None:
        words = spelling.lower().replace("_", "")
        for key in (words, words.replace(" ", "")):
            names[key][setting] = None
            if setting.number in _OLD_CUBIC:
                names[key.replace("-", "")][setting] = None

    by_operations: dict[Operations, list[Setting]] = defaultdict(list)
    for setting in _settings():
        by_operations[setting.operations].append(setting)
        symbol = setting.name.split(":")[0]
        add(symbol, setting)
        if setting.unique:
            add(" ".join(word for word in symbol.split() if word != "1"), setting)
    for hall in range(1, 531):
        kind = spglib.get_spacegroup_type(hall)
        assert kind is not None
        for setting in by_operations[operations_of_hall(kind.hall_symbol)]:
            add(kind.international_full, setting)
    for name in [n for n in names if n.startswith("r") and " " not in n]:
        # the Protein Data Bank writes H for R on hexagonal axes
        names["h" + name[1:]] = {s: None for s in names[name] if s.choice == "h"}
    # e glides: A b m 2 is A e m 2, and so on
    for old, new in (("c m c a", "c m c e"), ("c m m a", "c m m e"), ("c c c a", "c c c e"), ("a b m 2", "a e m 2"),
                     ("a b a 2", "a e a 2")):  # fmt: skip
        for name, other in ((old, new), (old.replace(" ", ""), new.replace(" ", ""))):
            names[other] = {**names[other], **names[name]}
    return {name: tuple(found) for name, found in names.items()}


@lru_cache(maxsize=4096)
def settings_named(spelling: str, choice: str | None = None) -> tuple[Setting, ...]:
    """Return the settings that a Hermann-Mauguin symbol may mean: none where it is not understood.

    :param choice: origin, axes or cell, where the file states it apart from the symbol.
    """
    plain = _plain(spelling)
    for name, stated in _readings(plain):
        found = list(_lookup(name))
        if not found:
            continue
        wanted = stated or (choice.lower() if choice else None)
        return tuple(_chosen(found, wanted) if wanted else found)
    return ()


def settings_numbered(number: int, choice: str | None = None) -> list[Setting]:
    """Return the settings of a number of the International Tables; cells that they do not list take a name."""
    found = [setting for setting in _settings() if setting.number == number and setting.operations in _listed()]
    return _chosen(found, choice.lower()) if choice and found else found


def _plain(spelling: str) -> str:
    """Return a symbol without mark-up: `Fm<i>\\overline{3}</i>m`, `P2(1)/c` and `P 2_1/c` are plain afterwards."""
    text = unicodedata.normalize("NFKC", re.sub(r"</?\w+>", "", spelling))
    text = re.sub(r"\\(?:bar|overline)\s*\{?\s*(\d)\s*\}?", r"-\1", text)
    text = text.translate({0x2212: "-", 0x2013: "-", 0x2010: "-", 0x00A0: " "})
    text = re.sub(r"(\d)[\u0304\u0305]", r"-\1", text)
    text = re.sub(r"(?<=\d)\((\d)\)", r"\1", text)
    return " ".join(re.sub(r"[_$~^{}]", "", text).split()).lower()


def _readings(plain: str) -> list[tuple[str, str | None]]:
    """Return (symbol, choice) in the order of trying."""
    readings: list[tuple[str, str | None]] = [(plain, None)]
    if found := _SUFFIX.match(plain):
        readings.append((found["name"].strip(), {"s": "1", "z": "2"}.get(found["ext"], found["ext"])))
    joined = plain.replace(" ", "")
    if joined[-1:] in ("h", "r", "s", "z") and len(joined) > 2:
        readings.append((joined[:-1], {"s": "1", "z": "2"}.get(joined[-1], joined[-1])))
    return readings


def _lookup(name: str) -> tuple[Setting, ...]:
    """Return the settings of a spelling, also with the bar behind its axis (`F M 3-M`)."""
    table = _by_name()
    joined = name.replace(" ", "")
    for key in (name, joined, re.sub(r"(\d)-", r"-\1", joined)):
        if key in table:
            return table[key]
    return ()


def _chosen(found: list[Setting], choice: str) -> list[Setting]:
    """Return the settings with this choice of origin, axes or cell; a group without any choice has only `1`."""
    if fitting := [setting for setting in found if setting.choice == choice]:
        return fitting
    numbers = {setting.number for setting in found}
    others = [setting for setting in _settings() if setting.number in numbers and setting.choice == choice]
    if others:
        return others
    single = len(found) == 1 and found[0].choice in ("", "b1", "h")
    return found if single and choice in ("1", "s", "abc", found[0].choice) else []

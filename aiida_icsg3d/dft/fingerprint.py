"""Which energies may meet in one number: the settings that an energy was computed with, as plain data and a hash.

Two parts. ``common`` holds for all elements: program, functional, cut-offs, occupations, k-points, the treatment of
spin. ``elements`` holds for each element of the crystal: pseudopotential (md5), Hubbard terms. Energies of PbO and TiO2
may meet where their common parts are equal and they agree on oxygen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


class SettingsDifferError(ValueError):
    """Energies of different settings were to be mixed; the message names what differs."""


@dataclass(frozen=True)
class Settings:
    """Settings of one energy.

    :param common: setting -> value, JSON only.
    :param elements: symbol -> setting -> value, of the elements of the crystal.
    """

    common: Mapping[str, Any]
    elements: Mapping[str, Mapping[str, Any]]

    @property
    def hash(self) -> str:
        """Hexadecimal digest of the common part: what a query for energies looks for first."""
        return digest(self.common)

    @property
    def method(self) -> str:
        """The functional, or the name of the potential: what stands beside an energy."""
        return str(self.common.get("functional") or self.common.get("name") or "method not stated")

    def as_dict(self) -> dict[str, Any]:
        """Return ``hash``, ``common`` and ``elements``, to be stored."""
        return {
            "hash": self.hash,
            "common": dict(self.common),
            "elements": {k: dict(v) for k, v in self.elements.items()},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Settings:
        """Return the settings that :meth:`as_dict` gave."""
        return cls(dict(content["common"]), {k: dict(v) for k, v in content["elements"].items()})

    def differences(self, other: Settings) -> list[str]:
        """Return in words what differs, empty where the energies may meet."""
        found = _differences(self.common, other.common, "")
        for symbol in sorted(set(self.elements) & set(other.elements)):
            found += _differences(self.elements[symbol], other.elements[symbol], f"{symbol} ")
        return found


def check_same(settings: Mapping[str, Settings]) -> None:
    """Refuse to let energies of different settings meet.

    :param settings: name of the energy -> its settings.
    :raises SettingsDifferError: two differ.
    """
    names = list(settings)
    for index, name in enumerate(names):
        for other in names[:index]:
            if found := settings[other].differences(settings[name]):
                raise SettingsDifferError(
                    f"the energies of {other} and {name} have different settings and cannot be compared: "
                    f"{'; '.join(found)}. Compute both with one protocol and one family of pseudopotentials"
                )


def digest(content: Any) -> str:
    """Return sixteen hexadecimal digits of the SHA-256 of a JSON value; 1 and 1.0 are the same number."""
    return hashlib.sha256(json.dumps(_plain(content), sort_keys=True).encode()).hexdigest()[:16]


def _plain(value: Any) -> Any:
    """Return a value with all numbers as float, rounded to 12 digits, and sequences as lists."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, Iterable):
        return [_plain(item) for item in value]
    return float(f"{float(value):.12g}")


def _differences(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str) -> list[str]:
    return [
        f"{prefix}{key}: {one.get(key)!r} and {other.get(key)!r}"
        for key in sorted(set(one) | set(other))
        if _plain(one.get(key)) != _plain(other.get(key))
    ]

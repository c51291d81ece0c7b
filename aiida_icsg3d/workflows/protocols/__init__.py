"""Protocols: YAML files with defaults and named sets of inputs, and the strict merging of overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from importlib.resources import files
from typing import Any

import yaml


def load_protocol(name: str, protocol: str | None = None, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the inputs of a protocol with overrides merged in.

    :param name: of the YAML file: ``train``, ``generate``, ``screen`` or ``discover``.
    :param protocol: ``fast``, ``balanced`` or ``stringent``; None: the default of the file.
    :raises ValueError: an unknown protocol, or an override key that the protocol does not have.
    """
    content = read_protocols(name)
    protocol = protocol or content["default_protocol"]
    if protocol not in content["protocols"]:
        raise ValueError(f"protocol {protocol!r} of {name}: there are {', '.join(content['protocols'])}")
    chosen = dict(content["protocols"][protocol])
    chosen.pop("description")
    opened = tuple(content["open"])
    return merge(merge(content["defaults"], chosen, name, opened), overrides or {}, name, opened)


def describe_protocols(name: str) -> dict[str, str]:
    """Return protocol -> description."""
    return {key: value["description"] for key, value in read_protocols(name)["protocols"].items()}


def read_protocols(name: str) -> dict[str, Any]:
    """Return the content of a protocol file."""
    content: dict[str, Any] = yaml.safe_load((files(__package__) / f"{name}.yaml").read_text(encoding="utf-8"))
    return content


def merge(
    inputs: Mapping[str, Any], overrides: Mapping[str, Any], path: str, opened: Sequence[str], is_open: bool = False
) -> dict[str, Any]:
    """Return ``inputs`` with ``overrides`` merged in, level by level.

    :param path: where in the protocol this is, for messages.
    :param opened: names of the mappings whose keys are not checked here but by who takes them: the settings of
        a stage, AiiDA's options, another protocol.
    :raises ValueError: a key that ``inputs`` does not have, or a mapping where a value is, or the reverse.
    """
    merged = deepcopy(dict(inputs))
    for key, value in overrides.items():
        here = f"{path}.{key}"
        if key not in merged and not is_open:
            file = f"workflows/protocols/{path.partition('.')[0]}.yaml"
            raise ValueError(f"override {here}: no such key; there are {', '.join(merged)} ({file})")
        known = merged.get(key)
        if isinstance(known, Mapping) and isinstance(value, Mapping):
            merged[key] = merge(known, value, here, opened, is_open or key in opened)
        elif isinstance(known, Mapping) and not is_open:
            raise ValueError(f"override {here}: a mapping is needed there, received {value!r}")
        elif isinstance(value, Mapping) and key in merged and not is_open:
            raise ValueError(f"override {here}: a single value is needed there, received {dict(value)!r}")
        else:
            merged[key] = deepcopy(value)
    return merged

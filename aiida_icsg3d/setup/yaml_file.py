"""YAML that a person wrote."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from icsg3d_models.settings.problems import nearest


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the content of a YAML file, a mapping.

    :raises ValueError: the file is not there, is no YAML (with the line), or holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: no text in UTF-8; a YAML file is needed") from None
    except yaml.YAMLError as exception:
        mark = getattr(exception, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark is not None else ""
        raise ValueError(f"{path}{line}: not valid YAML: {getattr(exception, 'problem', exception)}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ValueError(f"{path}: received a {type(content).__name__}; a mapping `key: value` is needed")
    return content


def unknown_key(name: object, accepted: Collection[str]) -> str:
    """Return a message about a key that there is not, with the closest ones that there are."""
    return f"key {name!r} is not known{nearest(str(name), accepted)}; accepted are {', '.join(accepted)}"

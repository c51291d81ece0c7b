"""Parser of the stage ``evaluate``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from aiida.orm import Dict, SinglefileData

from ..values import storable
from .base import StageParser

EVALUATION = "evaluation.json"
FILES = {"table": "evaluation.md", "details": "evaluation.csv"}
FORMAT_VERSION = 1


class EvaluateParser(StageParser):
    """Attach the figures, as a node that can be queried and as tables."""

    def attach_outputs(self, results: dict[str, Any]) -> None:
        """Attach ``evaluation``, ``table`` and ``details``."""
        self.out("evaluation", Dict(storable(self.read_output(EVALUATION, read_evaluation))))
        for label, name in FILES.items():
            self.out(label, self.read_output(name, lambda path: SinglefileData(path, filename=path.name)))


def read_evaluation(path: Path) -> dict[str, Any]:
    """Return the content of evaluation.json.

    :raises ValueError: no JSON object, a newer version, or without figures and conditions.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise ValueError(f"a JSON object is needed, found {type(content).__name__}")
    version = content.get("format_version")
    if not isinstance(version, int) or version > FORMAT_VERSION:
        raise ValueError(f"format version {version}, this release reads up to {FORMAT_VERSION}; upgrade aiida-icsg3d")
    if missing := sorted({"figures", "conditions"} - set(content)):
        raise ValueError(f"no {', '.join(missing)}; it has {', '.join(content)}")
    return content

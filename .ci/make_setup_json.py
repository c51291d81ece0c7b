"""Write setup.json from pyproject.toml: metadata and entry points as the AiiDA plugin registry reads them.

python .ci/make_setup_json.py
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def setup_json(project: dict[str, Any]) -> dict[str, Any]:
    """Return the content of setup.json.

    :param project: the table ``project`` of pyproject.toml.
    """
    groups = {"console_scripts": project["scripts"], **project["entry-points"]}
    return {
        "name": project["name"],
        "version": project["version"],
        "description": project["description"],
        "author": ", ".join(author["name"] for author in project["authors"]),
        "license": project["license"],
        "url": project["urls"]["Source"],
        "project_urls": project["urls"],
        "keywords": project["keywords"],
        "classifiers": project["classifiers"],
        "python_requires": project["requires-python"],
        "install_requires": project["dependencies"],
        "extras_require": project["optional-dependencies"],
        "entry_points": {
            group: [f"{name} = {target}" for name, target in sorted(entries.items())]
            for group, entries in sorted(groups.items())
        },
    }


def render(root: Path = ROOT) -> str:
    """Return the text of setup.json for the pyproject.toml of a checkout."""
    with open(root / "pyproject.toml", "rb") as stream:
        project = tomllib.load(stream)["project"]
    return json.dumps(setup_json(project), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    (ROOT / "setup.json").write_text(render(), encoding="utf-8")

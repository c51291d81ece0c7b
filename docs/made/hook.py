"""Hook of MkDocs: adds the made pages, fills them into the navigation, and turns equations into MathML."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parents[1]))
from made import command_pages, list_pages, mathml, process_pages, settings_pages

SECTIONS = {
    "Settings of the stages": "reference/settings/",
    "CalcJobs": "reference/calcjobs/",
    "WorkChains": "reference/workchains/",
    "Shipped models": "reference/models/",
}
"""Title in the navigation -> where its pages are; a new stage or process needs no line there."""


def made() -> dict[str, str]:
    """Return path -> Markdown of all made pages."""
    pages: dict[str, str] = {}
    for module in (settings_pages, process_pages, command_pages, list_pages):
        pages |= module.pages()
    return pages


def on_config(config: Any) -> Any:
    """Fill the sections of the reference into the navigation."""
    config.extra["made"] = pages = made()
    for entry in config.nav:
        for title, listed in entry.items():
            if title == "Reference":
                listed += [{section: sorted(path for path in pages if path.startswith(folder))}
                           for section, folder in SECTIONS.items()]  # fmt: skip
    return config


def on_files(files: Files, config: Any) -> Files:
    """Add the made pages."""
    for path, text in config.extra["made"].items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_content(html: str, **_: Any) -> str:
    """Draw the equations of a page."""
    return mathml.drawn(html)

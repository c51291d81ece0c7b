"""The site builds without a warning, its links lead somewhere, and what it says to type is accepted."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import click
import pytest
import yaml
from pydantic import BaseModel

from aiida_icsg3d.cli import cmd_root
from aiida_icsg3d.launch.overrides import read_overrides
from icsg3d_models.cli.arguments import parse
from icsg3d_models.settings import STAGES

ROOT = Path(__file__).parents[1]
WRITTEN = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"^(?:    )?((?:aiida-)?icsg3d [^\n]+?)(?:\s+#.*)?$", re.MULTILINE)


class Page(HTMLParser):
    """What a page links to, what it loads, and its anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.anchors: set[str] = set()
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors.add(found.get("id", ""))
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in ("img", "script", "iframe") and "src" in found:
            self.loaded.append(found["src"])
        if tag == "link" and found.get("rel") in ("stylesheet", "preload", "preconnect", "icon"):
            self.loaded.append(found["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Page]:
    """Return path -> page of the site, built as it is published."""
    folder = tmp_path_factory.mktemp("site")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        capture_output=True, text=True, cwd=ROOT, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return {path: Page(path) for path in sorted(folder.rglob("*.html")) if path.name != "404.html"}


def test_every_link_leads_somewhere(site: dict[Path, Page]) -> None:
    lost = []
    for path, page in site.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or not (parts.path or parts.fragment):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchor = unquote(parts.fragment)
            if not target.exists():
                lost.append(f"{path.name}: {link}")
            elif anchor and target in site and anchor not in site[target].anchors and anchor != "__search":
                lost.append(f"{path.name}: {link}, no such anchor")
    assert not lost


def test_nothing_is_loaded_from_another_host(site: dict[Path, Page]) -> None:
    far = {(path.name, source) for path, page in site.items() for source in page.loaded if urlsplit(source).netloc}
    assert not far


def test_equations_are_drawn(site: dict[Path, Page]) -> None:
    science = next(page.text for path, page in site.items() if path.name == "science.html")
    assert science.count("<math") > 40
    assert "arithmatex" not in science
    assert not re.search(r"\\(frac|sum|mathcal)", science)


def leaves(model: type[BaseModel]) -> Iterator[str]:
    """Yield the names of all settings, of groups too, without what the pages are made with."""
    for name, field in model.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{name}.{inner}" for inner in leaves(field.annotation))


def test_the_reference_is_whole(site: dict[Path, Page]) -> None:
    pages = {path.relative_to(next(iter(site)).parents[0]).as_posix(): page.text for path, page in site.items()
             if "reference" in path.parts}  # fmt: skip
    of = {re.sub(r".*reference/", "", name): text for name, text in pages.items()}
    for stage, model in STAGES.items():
        text = of[f"settings/{stage}.html"]
        assert not [name for name in leaves(model) if f"<code>{name}</code>" not in text], stage
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for folder, group in (("calcjobs", "aiida.calculations"), ("workchains", "aiida.workflows")):
        section = project.partition(f'[project.entry-points."{group}"]')[2].partition("\n[")[0]
        names = re.findall(r'"icsg3d\.(\w+)" =', section)
        assert names
        for name in names:
            assert f"{folder}/{name}.html" in of
            assert "Exit codes" in of[f"{folder}/{name}.html"]
    for name in cmd_root.list_commands(click.Context(cmd_root)):
        assert f"aiida-icsg3d {name}" in of["cli/aiida-icsg3d.html"]


def test_what_is_filled_in_is_shown(site: dict[Path, Page]) -> None:
    """Markdown took `{message}` at the end of a cell for an attribute, and showed nothing."""
    codes = next(page.text for path, page in site.items() if path.name == "exit_codes.html")
    assert "an output file cannot be used: <code>{message}</code>" in codes


def commands() -> list[tuple[str, str]]:
    """Return page and command of everything that the documents say to type."""
    found = []
    for path in WRITTEN:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        found += [(path.name, command) for command in COMMAND.findall(text)]
    return found


@pytest.mark.parametrize(("page", "command"), commands())
def test_what_is_said_to_type_is_accepted(page: str, command: str) -> None:
    """Options that there are, each with as many values as it takes; nothing is run."""
    program, *words = shlex.split(re.split(r"\s[>|]\s", command.replace("$(", "("))[0])
    if program == "icsg3d":
        if words[0] in STAGES and "--help" not in words:
            parse(words)
        return
    node: Any = cmd_root
    context = click.Context(cmd_root, info_name=program)
    while isinstance(node, click.Group) and words:
        if words[0].startswith("-"):
            return  # options of the whole command
        name = words.pop(0)
        inner = node.get_command(context, name)
        assert inner is not None, f"{page}: there is no {name} in {command}"
        node, context = inner, click.Context(inner, info_name=name, parent=context)
    if isinstance(node, click.Group):
        return
    node.make_parser(context).parse_args(args=list(words))


def test_the_files_that_are_shown_are_taken() -> None:
    shown = [(path, block) for path in WRITTEN for kind, block in FENCE.findall(path.read_text(encoding="utf-8"))
             if kind == "yaml" and "validation:" in block]  # fmt: skip
    assert len(shown) >= 2
    for _, block in shown:
        read_overrides(yaml.safe_load(block), "fast")


def test_python_that_is_shown_compiles() -> None:
    blocks = [block for path in WRITTEN for kind, block in FENCE.findall(path.read_text(encoding="utf-8"))
              if kind == "python"]  # fmt: skip
    assert len(blocks) > 2
    for block in blocks:
        compile(block, "shown", "exec")

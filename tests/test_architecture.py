"""The house: imports run down only, no circles, no crowded folder, and the page that shows it is true."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = {
    "icsg3d_models": (
        ("strict", "results", "granted", "workers"),
        ("crystals",),
        ("conditions", "comparison", "fields", "phases"),
        ("settings",),
        ("data", "devices"),
        ("networks", "stability"),
        ("generation", "properties", "relaxation"),
        ("prediction", "screening", "training"),
        ("evaluation", "endings"),
        ("chain",),
        ("cli",),
    ),
    "aiida_icsg3d": (
        ("values", "schedulers"),
        ("data",),
        ("calculations", "monitors", "runner_mark"),
        ("parsers",),
        ("dft",),
        ("workflows",),
        ("campaigns",),
        ("report", "setup"),
        ("foreground",),
        ("launch",),
        ("cli",),
    ),
}
"""Folders and files of each package, from the ground floor up; those of one floor do not know each other."""
MOST_FILES = 13  # beside the folder's own __init__.py
MOST_LINES = 350


def modules(package: str) -> dict[str, Path]:
    """Return name -> file of every module of a package."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(package: str) -> dict[str, set[str]]:
    """Return module -> modules of the package that it imports, at whatever place in the file."""
    files = modules(package)
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        graph[name] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom):
                continue
            base = here[: len(here) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                target = f"{module}.{alias.name}" if f"{module}.{alias.name}" in files else module
                if target in files and target != name:
                    graph[name].add(target)
    return graph


def room(module: str) -> str:
    """Return the folder or file at the top level of the package."""
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("package", list(FLOORS))
def test_imports_run_down(package: str) -> None:
    floor = {name: level for level, names in enumerate(FLOORS[package]) for name in names}
    graph = imports(package)
    unplaced = {room(module) for module in graph if room(module)} - set(floor)
    assert not unplaced, f"which floor do they belong to: {unplaced}"
    up = [
        f"{module} -> {target}"
        for module, targets in graph.items()
        for target in sorted(targets)
        if room(module) and room(target) and room(module) != room(target) and floor[room(target)] >= floor[room(module)]
    ]
    assert not up


@pytest.mark.parametrize("package", list(FLOORS))
def test_no_circles(package: str) -> None:
    graph, done = imports(package), set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, f"a circle: {' -> '.join([*path[path.index(module) :], module])}"
        if module in done:
            return
        for target in graph[module]:
            visit(target, (*path, module))
        done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("package", list(FLOORS))
def test_no_folder_is_crowded_and_no_file_long(package: str) -> None:
    files = modules(package).values()
    count = Counter(path.parent.relative_to(ROOT).as_posix() for path in files if path.name != "__init__.py")
    assert {folder: n for folder, n in count.items() if n > MOST_FILES} == {}
    long = {path.name: n for path in files if (n := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES}
    assert long == {}


def test_the_science_does_not_know_aiida() -> None:
    for path in modules("icsg3d_models").values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not [name for name in names if name.split(".")[0] in ("aiida", "aiida_icsg3d")], path


def test_the_page_names_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    missing = [name for floors in FLOORS.values() for floor in floors for name in floor if f"`{name}" not in page]
    assert not missing

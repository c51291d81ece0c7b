"""The archive of runs that a paper needs: results with all that they come from, and a page that says what is in it."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from icsg3d_models.crystals.formulas import chemical_formula

from ..campaigns.campaign import Campaign, read_campaign
from ..campaigns.candidate import Candidate
from ..campaigns.graph import is_stage

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

NAMES = {
    "process.calculation.calcjob.": "jobs",
    "process.calculation.calcfunction.": "small calculations",
    "process.workflow.": "workflows",
    "data.core.structure.": "crystals",
    "data.icsg3d.model.": "trained models",
    "data.icsg3d.dataset.": "datasets",
    "data.pseudo.": "pseudopotentials",
    "data.core.folder.": "folders of retrieved files",
    "data.core.remote.": "folders on computers, as paths",
}
"""Beginning of a node type -> what such nodes are called; all others are settings, tables and numbers."""
OTHERS = "settings, tables, numbers"
PATHS_SHOWN = 20


@dataclass(frozen=True)
class Contents:
    """What an archive of some runs holds.

    :param runs: the runs, as their WorkChains.
    :param counts: name of a kind of nodes -> how many.
    :param n_bytes: of the files of all nodes, each content once; the archive is compressed, and smaller.
    :param left: ``computer:path`` of the folders whose files stay where they are.
    """

    runs: tuple[ProcessNode, ...]
    counts: dict[str, int]
    n_bytes: int
    left: tuple[str, ...]

    @property
    def text(self) -> str:
        """What is inside and what is not, in a few lines."""
        lines = [f"{count:>8} {name}" for name, count in self.counts.items()]
        lines.append(f"{sum(self.counts.values())} nodes, {in_words(self.n_bytes)} of files before compression")
        lines.append(f"not inside: the files of {len(self.left)} folders on computers (fields, checkpoints, scratch)")
        return "\n".join(lines)


def look_at(runs: Sequence[ProcessNode]) -> Contents:
    """Return what an archive of some runs would hold: they, all that they called, made and were made of.

    :raises ValueError: one of them, or of what they called, has not ended: what it makes would be missing.
    """
    from aiida.orm import Node, ProcessNode, QueryBuilder, RemoteData
    from aiida.tools.graph.graph_traversers import get_nodes_export

    for node in runs:
        if not node.is_terminated:
            raise ValueError(
                f"run {node.pk} still runs; archive it when it has ended (`aiida-icsg3d status {node.pk}`)"
            )
    pks = sorted(get_nodes_export([node.pk or 0 for node in runs])["nodes"])
    processes = QueryBuilder().append(ProcessNode, filters={"id": {"in": pks}}).all(flat=True)
    if unended := [f"{one.process_label}<{one.pk}>" for one in processes if not one.is_sealed]:
        raise ValueError(f"{', '.join(unended)} has not ended, or was cut off: `verdi process kill` ends it")
    counts: Counter[str] = Counter()
    contents: set[str] = set()
    query = QueryBuilder().append(Node, filters={"id": {"in": pks}}, project=["node_type", "repository_metadata"])
    for node_type, files in query.iterall():
        counts[next((name for start, name in NAMES.items() if node_type.startswith(start)), OTHERS)] += 1
        contents |= set(hashes(files or {}))
    repository = runs[0].backend.get_repository()
    size = 0
    for _, stream in repository.iter_object_streams(sorted(contents)):
        size += stream.seek(0, os.SEEK_END)
    remote = QueryBuilder().append(RemoteData, filters={"id": {"in": pks}})
    left = sorted(f"{node.computer.label if node.computer else '?'}:{node.get_remote_path()}" for node in
                  remote.all(flat=True))  # fmt: skip
    in_order = {name: counts[name] for name in (*NAMES.values(), OTHERS) if counts[name]}
    return Contents(tuple(runs), in_order, size, tuple(left))


def hashes(files: dict[str, object]) -> list[str]:
    """Return the keys of all contents of a node's files, as the repository knows them."""
    found = [files["k"]] if isinstance(files.get("k"), str) else []
    inner = files.get("o")
    for one in inner.values() if isinstance(inner, dict) else ():
        found += hashes(one)
    return [str(key) for key in found]


def write_archive(contents: Contents, path: Path) -> tuple[Path, Path]:
    """Write the archive and, beside it, the page that says what is inside; return both.

    :raises ValueError: one of the files is there already, or its folder is not.
    """
    from aiida.tools.archive import create_archive

    readme = path.with_suffix(".README.md")
    if there := [str(one) for one in (path, readme) if one.exists()]:
        raise ValueError(f"{', '.join(there)} is there already; name another file with --output")
    if not path.parent.is_dir():
        raise ValueError(f"{path.parent}: no such folder")
    part = path.with_name(f".{path.name}.part")  # a run that is stopped leaves nothing that looks whole
    try:
        with quiet():
            create_archive(contents.runs, filename=part, include_comments=False, overwrite=True)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    readme.write_text(page(contents, path, digest), encoding="utf-8")
    return path, readme


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what AiiDA says of an archive, forty lines of rules and counts, to itself."""
    logger = logging.getLogger("aiida.export")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def page(contents: Contents, path: Path, digest: str) -> str:
    """Return the page beside an archive."""
    lines = [
        f"# {path.name}",
        "",
        f"Made by aiida-icsg3d {version('aiida-icsg3d')} with aiida-core {version('aiida-core')}; "
        f"{in_words(path.stat().st_size)}, SHA-256 `{digest}`.",
        "",
        "## Look inside",
        "",
        "    pip install aiida-icsg3d",
        "    verdi presto --use-zeromq",
        f"    verdi archive import {path.name}",
    ]
    lines += [f"    aiida-icsg3d candidates list {node.uuid}" for node in contents.runs if is_stage(node, "discover")]
    lines += ["    aiida-icsg3d candidates lineage UUID", "", "## Runs", ""]
    for node in contents.runs:
        lines += words_of(node)
    lines += ["", "## What is inside", "", "| | nodes |", "|---|---|"]
    lines += [f"| {name} | {count} |" for name, count in contents.counts.items()]
    lines += ["", f"{in_words(contents.n_bytes)} of files before compression.", "", "## What is not", ""]
    lines += [
        "Fields, segments, checkpoints and whatever else stayed where it was computed; the archive has the paths. The "
        "models and the seeds inside make them again.",
        "",
        *(f"- `{place}`" for place in contents.left[:PATHS_SHOWN]),
    ]
    if len(contents.left) > PATHS_SHOWN:
        lines.append(f"- and {len(contents.left) - PATHS_SHOWN} more")
    return "\n".join(lines) + "\n"


def words_of(node: ProcessNode) -> list[str]:
    """Return what a run is and found, as lines of the page."""
    ended = "" if node.is_finished_ok else f", ended with {node.exit_status}: {node.exit_message or 'no message'}"
    named = f", {node.label}" if node.label else ""
    lines = [f"- {node.process_label} `{node.uuid}`{named}, {node.ctime:%Y-%m-%d}{ended}"]
    if not is_stage(node, "discover"):
        return lines
    campaign = read_campaign(node)
    lines.append("  - " + ", ".join(f"{name} {count}" for name, count in campaign.funnel.items()))
    return lines + [f"  - {line_of(campaign, candidate)}" for candidate in campaign.selected]


def line_of(campaign: Campaign, candidate: Candidate) -> str:
    """Return one selected candidate: formula, generated crystal, relaxed crystal."""
    relaxed = campaign.relaxed.get(candidate.id)
    after = f", relaxed `{relaxed.uuid}`" if relaxed is not None else ""
    return f"{chemical_formula(candidate.formula)} ({candidate.id}): generated `{candidate.uuid}`{after}"


def in_words(n_bytes: float) -> str:
    """Return a size in the unit that suits it."""
    for unit in ("B", "kB", "MB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "B" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} GB"

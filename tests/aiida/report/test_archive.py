"""The archive of a run: what is said before, what is refused, and that another profile can work with it."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from aiida.orm import Node, ProcessNode, QueryBuilder, load_node
from aiida.tools.archive import import_archive
from click.testing import CliRunner, Result

from aiida_icsg3d.campaigns.campaign import read_campaign
from aiida_icsg3d.campaigns.lineage import lineage
from aiida_icsg3d.cli import cmd_root
from aiida_icsg3d.report.archive import in_words
from tests.aiida.discovery_graph import Discovery, build_discovery


@pytest.fixture
def run(aiida_profile_clean: Any, tmp_path: Path) -> Discovery:
    """Return a run that ended, as all that it called did."""
    found = build_discovery(tmp_path)
    for process in QueryBuilder().append(ProcessNode).all(flat=True):
        if not process.is_sealed:
            process.set_process_state("finished")
            process.set_exit_status(0)
            process.seal()
    return found


def command(*words: Any) -> Result:
    """Run a command."""
    return CliRunner().invoke(cmd_root, list(map(str, words)))


def test_in_another_profile(run: Discovery, tmp_path: Path, aiida_profile: Any) -> None:
    path = tmp_path / "paper.aiida"
    dry = command("archive", run.workchain.pk, "--dry-run", "-o", path)
    assert dry.exit_code == 0, dry.output
    assert not path.exists()
    result = command("archive", run.workchain.pk, "-o", path)
    assert result.exit_code == 0, result.output
    assert result.output.startswith(dry.output)
    before = {c.id: (c.row, c.uuid) for c in read_campaign(run.workchain).candidates}
    uuid = run.workchain.uuid
    relaxed = run.relaxed["s000002"].uuid
    steps = {(step.stage, step.node.uuid) for step in lineage(run.relaxed["s000002"])}

    aiida_profile.reset_storage()
    assert QueryBuilder().append(Node).count() == 0
    import_archive(path, create_group=False)
    told = re.search(r"(\d+) nodes", dry.output)
    assert told is not None
    assert QueryBuilder().append(Node).count() == int(told[1])
    assert {c.id: (c.row, c.uuid) for c in read_campaign(load_node(uuid)).candidates} == before
    assert {(step.stage, step.node.uuid) for step in lineage(load_node(relaxed))} == steps
    listed = command("candidates", "list", uuid)
    assert "PbTiO3" in listed.output
    assert "dataset" in command("candidates", "lineage", relaxed).output

    readme = (tmp_path / "paper.README.md").read_text()
    assert hashlib.sha256(path.read_bytes()).hexdigest() in readme
    assert f"aiida-icsg3d candidates list {uuid}" in readme
    assert f"relaxed `{relaxed}`" in readme
    assert "sampled 8, rebuilt 4" in readme
    assert "- `here:" in readme  # where the fields are


def test_nothing_is_written_over(run: Discovery, tmp_path: Path) -> None:
    (tmp_path / "paper.README.md").write_text("mine")
    result = command("archive", run.workchain.pk, "-o", tmp_path / "paper.aiida")
    assert result.exit_code != 0
    assert "paper.README.md is there already; name another file with --output" in result.output
    assert [path.name for path in tmp_path.glob("paper*")] == ["paper.README.md"]
    result = command("archive", run.workchain.pk, "-o", tmp_path / "no" / "paper.aiida")
    assert "no such folder" in result.output


def test_a_run_that_still_runs(aiida_profile_clean: Any, tmp_path: Path) -> None:
    run = build_discovery(tmp_path, summary=False)
    result = command("archive", run.workchain.pk, "-o", tmp_path / "paper.aiida")
    assert f"run {run.workchain.pk} still runs" in result.output
    assert not (tmp_path / "paper.aiida").exists()


def test_something_below_it_still_runs(aiida_profile_clean: Any, tmp_path: Path) -> None:
    run = build_discovery(tmp_path)
    result = command("archive", run.workchain.pk, "--dry-run")
    assert result.exit_code != 0
    assert "has not ended, or was cut off" in result.output


def test_sizes() -> None:
    assert [in_words(n) for n in (0, 999, 1500, 2.5e6, 3e9)] == ["0 B", "999 B", "1.5 kB", "2.5 MB", "3.0 GB"]

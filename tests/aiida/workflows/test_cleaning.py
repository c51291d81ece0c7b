"""Cleaning of the remote folders of what a WorkChain called."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiida.common.links import LinkType
from aiida.orm import CalcJobNode, RemoteData, WorkChainNode

from aiida_icsg3d.workflows.cleaning import clean_called


def test_folders_are_emptied(localhost: Any, tmp_path: Path) -> None:
    parent = WorkChainNode().store()
    folders = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "fields.h5").write_bytes(b"fields")
        job = CalcJobNode(computer=localhost, process_type="aiida.calculations:icsg3d.sample")
        job.base.links.add_incoming(parent, link_type=LinkType.CALL_CALC, link_label=name)
        job.store()
        folder = RemoteData(computer=localhost, remote_path=str(tmp_path / name))
        folder.base.links.add_incoming(job, link_type=LinkType.CREATE, link_label="remote_folder")
        folders.append(folder.store())
    said: list[str] = []
    process: Any = SimpleNamespace(node=parent, report=said.append)
    clean_called(process)
    assert all(folder.is_cleaned for folder in folders)
    assert list(tmp_path.rglob("fields.h5")) == []
    assert said[0].startswith("cleaned the remote folders of ")

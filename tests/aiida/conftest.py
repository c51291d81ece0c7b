"""Fixtures of the AiiDA tests: made-up nodes, a fake program, and processes that are built but not run."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiida.common import AttributeDict
from aiida.common.folders import SandboxFolder
from aiida.common.links import LinkType
from aiida.engine import ProcessBuilder
from aiida.engine.utils import instantiate_process
from aiida.manage.manager import get_manager
from aiida.orm import CalcJobNode, Computer, FolderData, InstalledCode, Node, RemoteData
from aiida.plugins import CalculationFactory, ParserFactory

from aiida_icsg3d.data import CrystalDatasetData, TrainedModelData
from tests.aiida import made_up

HERE = Path(__file__).parent


@pytest.fixture
def dataset(tmp_path: Path) -> CrystalDatasetData:
    """Return a stored dataset of eight perovskites."""
    return CrystalDatasetData(made_up.write_dataset(tmp_path / "dataset.h5")).store()


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., TrainedModelData]:
    """Return a factory of stored models of any network."""

    def build(network: str, seed: int = 0, **config: Any) -> TrainedModelData:
        path = made_up.write_model(tmp_path / f"{network}{seed}.safetensors", network, seed, **config)
        return TrainedModelData(path).store()

    return build


@pytest.fixture
def localhost(aiida_localhost: Computer) -> Computer:
    """Return a computer without waiting times."""
    aiida_localhost.configure(safe_interval=0)
    aiida_localhost.set_minimum_job_poll_interval(0)
    return aiida_localhost


@pytest.fixture
def fake_code(localhost: Computer, tmp_path: Path) -> Callable[..., InstalledCode]:
    """Return a factory of codes that run the fake program; keywords: stage -> plan or list of plans."""

    def build(**plans: Any) -> InstalledCode:
        folder = tmp_path / "fake"
        folder.mkdir(exist_ok=True)
        plan = folder / "plan.json"
        plan.write_text(json.dumps({k: v if isinstance(v, list) else [v] for k, v in plans.items()}))
        script = folder / "icsg3d"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{HERE / "fake_icsg3d.py"}" "{plan}" "$@"\n')
        script.chmod(0o755)
        return InstalledCode(computer=localhost, filepath_executable=str(script), label=f"fake-{tmp_path.name}").store()

    return build


@pytest.fixture
def remote(localhost: Computer, tmp_path: Path) -> Callable[..., RemoteData]:
    """Return a factory of stored remote folders."""

    def build(computer: Computer | None = None) -> RemoteData:
        return RemoteData(computer=computer or localhost, remote_path=str(tmp_path)).store()

    return build


@pytest.fixture
def prepared() -> Callable[..., tuple[Any, dict[str, Any]]]:
    """Return a function that prepares a CalcJob for submission: (CalcInfo, content of settings.json)."""

    def prepare(entry_point: str, inputs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        runner = get_manager().get_runner()
        process = instantiate_process(runner, CalculationFactory(entry_point), **inputs)
        with SandboxFolder() as folder:
            info = process.prepare_for_submission(folder)
            files = {name: Path(folder.get_abs_path(name)).read_bytes() for name in folder.get_content_list()}
        info.files = files
        return info, json.loads(files["settings.json"])

    return prepare


@pytest.fixture
def parsed(localhost: Computer, tmp_path: Path) -> Callable[..., tuple[dict[str, Node], CalcJobNode]]:
    """Return a function that parses a folder as the retrieved files of a stage."""

    def parse(stage: str, folder: Path, scheduler: tuple[int, str] | None = None) -> Any:
        node = CalcJobNode(computer=localhost, process_type=f"aiida.calculations:icsg3d.{stage}")
        node.set_option("resources", {"num_machines": 1, "num_mpiprocs_per_machine": 1})
        if scheduler is not None:
            node.set_exit_status(scheduler[0])
            node.set_exit_message(scheduler[1])
        node.store()
        retrieved = FolderData(tree=str(folder))
        retrieved.base.links.add_incoming(node, link_type=LinkType.CREATE, link_label="retrieved")
        retrieved.store()
        return ParserFactory(f"icsg3d.{stage}").parse_from_node(node, store_provenance=False)

    return parse


@pytest.fixture
def workchain() -> Callable[..., Any]:
    """Return a function that builds a WorkChain process without running it."""

    def build(process: Any, inputs: Any) -> Any:
        runner = get_manager().get_runner()
        if isinstance(inputs, ProcessBuilder):
            return instantiate_process(runner, inputs)
        return instantiate_process(runner, process, **AttributeDict(inputs))

    return build

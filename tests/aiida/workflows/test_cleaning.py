"""Cleaning of the remote folders of what a WorkChain called."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.manage.caching import enable_caching
from aiida.orm import CalcJobNode, RemoteData, WorkChainNode

from aiida_icsg3d.campaigns.campaign import read_campaign
from aiida_icsg3d.workflows.cleaning import clean_called
from aiida_icsg3d.workflows.discover import DiscoverWorkChain
from aiida_icsg3d.workflows.generate import GenerateWorkChain


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


def jobs_of(node: Any) -> dict[str, CalcJobNode]:
    """Return the jobs of a run by their process label, of several tries the last."""
    jobs = sorted((job for job in node.called_descendants if isinstance(job, CalcJobNode)), key=lambda job: job.pk)
    return {str(job.process_label): job for job in jobs}


def test_a_second_run_after_a_cleaned_one(fake_code: Any, model: Any) -> None:
    """What was cleaned is computed again, not taken from the cache; the run ends well."""
    builder = GenerateWorkChain.get_builder_from_protocol(
        fake_code(), model("vae"), model("unet"), model("prior"), n_samples=4, protocol="fast",
        overrides={"clean_workdir": True},
    )  # fmt: skip
    with enable_caching():
        first, second = (run_get_node(builder)[1] for _ in range(2))
    assert [node.exit_status for node in (first, second)] == [0, 0], second.exit_message
    assert all(job.outputs.remote_folder.is_cleaned for job in jobs_of(first).values())
    assert not any(job.base.caching.is_created_from_cache for job in jobs_of(second).values())


def test_the_folders_of_another_run_are_left_alone(fake_code: Any, model: Any, dataset: Any) -> None:
    """A run whose job comes from the cache cleans nothing of the run that computed it."""
    models = {"vae": model("vae"), "unet": model("unet"), "prior": model("prior"), "predictors": {"a": model("cgcnn")}}
    code, nodes = fake_code(), []
    for clean in (False, True):
        builder = DiscoverWorkChain.get_builder_from_protocol(
            {"icsg3d": code}, models=models, reference=dataset, n_relaxations=0, prerelax=False, n_samples=4,
            elements=["Sr", "Ti", "O"], one_job=True, overrides={"clean_workdir": clean},
        )  # fmt: skip
        with enable_caching():
            nodes.append(run_get_node(builder)[1])
    first, second = (jobs_of(node)["ChainCalculation"] for node in nodes)
    assert second.base.caching.get_cache_source() == first.uuid
    assert (Path(first.outputs.remote_folder.get_remote_path()) / "fields.h5").exists()
    assert [len(read_campaign(node).candidates) for node in nodes] == [4, 4]

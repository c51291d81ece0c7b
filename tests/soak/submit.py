"""Run by `verdi run` in a profile of its own: submit a run to the daemon, wait for it, and write what became of it.

``submit.py REQUEST ANSWER``: JSON files. REQUEST: ``code`` (label of the code), or ``program`` (its path, for a code
that is made here) and ``scratch``; ``models`` (a folder where made-up models are written), ``n_samples``, ``one_job``,
``options``, ``patience`` (seconds). ANSWER: exit status and message, jobs by process label, crystals, candidates,
seconds of the run and of its programs.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.engine import submit

from aiida_icsg3d.campaigns.campaign import read_campaign
from aiida_icsg3d.data import CrystalDatasetData, TrainedModelData
from aiida_icsg3d.workflows.discover import DiscoverWorkChain
from tests.aiida import made_up


def code_of(request: dict[str, Any]) -> orm.AbstractCode:
    """Return the code, made on this machine where the request names a program."""
    if "program" not in request:
        return orm.load_code(request["code"])
    computer = orm.Computer("here", "localhost", transport_type="core.local", scheduler_type="core.direct",
                            workdir=request["scratch"]).store()  # fmt: skip
    computer.configure(safe_interval=0, use_login_shell=False)
    computer.set_minimum_job_poll_interval(1)
    return orm.InstalledCode(computer=computer, filepath_executable=request["program"], label="icsg3d").store()


def main() -> None:
    """Submit, wait, write."""
    request = json.loads(Path(sys.argv[1]).read_text())
    code, folder = code_of(request), Path(request["models"])
    folder.mkdir()
    models: dict[str, Any] = {
        name: TrainedModelData(made_up.write_model(folder / f"{name}.safetensors", name)).store()
        for name in ("vae", "unet", "prior", "cgcnn")
    }
    models["predictors"] = {"a": models.pop("cgcnn")}
    builder = DiscoverWorkChain.get_builder_from_protocol(
        {"icsg3d": code}, models=models, n_relaxations=0, prerelax=False, n_samples=request["n_samples"],
        reference=CrystalDatasetData(made_up.write_dataset(folder / "dataset.h5")), elements=["Sr", "Ti", "O"],
        one_job=request["one_job"], options={"icsg3d": request.get("options", {})},
    )  # fmt: skip
    started = time.monotonic()
    node = submit(builder)
    while not node.is_terminated:
        time.sleep(0.5)
        if time.monotonic() - started > request.get("patience", 500):
            raise SystemExit(f"not ended in time: {node.process_state}; {node.process_status}")
    seconds = time.monotonic() - started
    jobs = [job for job in node.called_descendants if isinstance(job, orm.CalcJobNode)]
    campaign = read_campaign(node)
    answer = {
        "exit_status": node.exit_status,
        "exit_message": node.exit_message,
        "jobs": sorted(job.process_label for job in jobs),
        "schedulers": sorted({job.computer.scheduler_type for job in jobs}),
        "transports": sorted({job.computer.transport_type for job in jobs}),
        "crystals": orm.QueryBuilder().append(orm.StructureData).count(),
        "selected": [candidate.id for candidate in campaign.selected],
        "seconds": seconds,
        "program_seconds": sum(job.outputs.results.get_dict()["wall_time_seconds"] for job in jobs),
    }
    Path(sys.argv[2]).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()

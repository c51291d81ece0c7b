"""Stands in for the program `icsg3d`: checks settings and links as it does, then writes what a plan says.

Called as ``fake_icsg3d.py PLAN STAGE SETTINGS``; PLAN is a JSON file: stage -> list of arguments of
:func:`made_up.write_stage`, one a call; the last one is used again. Before these come the accidents: ``kill`` (the
program dies without a word), ``says`` (lines on standard error, and no results), ``sleeps`` (seconds,
or the same by the first crystal), ``most`` (memory runs out above this batch), ``purge`` and
``purge_linked`` (files that vanish: of this stage at its end, of an earlier one meanwhile). ``real``: the program
itself runs the stage. A chain goes by the plans of its stages.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import h5py
from made_up import write_stage

from icsg3d_models.cli import main as program
from icsg3d_models.cli import read_settings
from icsg3d_models.crystals.batch import read_crystals
from icsg3d_models.results import Report, results_of_stage
from icsg3d_models.settings.chain.joints import JOINTS

NEEDED = {
    "prepare": ["source"], "train": ["dataset", "unet", "vae", "start_from", "resume_from"],
    "sample": ["vae", "prior", "base"],
    "segment": ["unet", "fields"], "rebuild": ["fields", "segments"], "screen": ["crystals", "predictors", "reference"],
    "relax": ["crystals", "references", "resume_from"], "predict": ["vae", "unet", "prior"],
    "evaluate": ["crystals", "reference", "training", "predictors", "stability", "unconditioned"],
}  # fmt: skip


def main() -> None:
    """Run one stage."""
    plan_file, stage, settings_file = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    settings: Any = read_settings(stage, settings_file)
    if stage == "chain":
        chain(plan_file, settings)
        return
    check_links(stage, settings)
    plan = next_plan(plan_file, stage, settings)
    if plan.pop("real", False):
        raise SystemExit(program([stage, str(settings_file)]))
    purged = plan.pop("purge", [])
    run_stage(stage, settings, plan)
    for name in purged:
        Path(name).unlink()


def check_links(stage: str, settings: Any, made: tuple[str, ...] = ()) -> None:
    """Check that all is there that the settings name.

    :param made: what an earlier stage of a chain makes.
    """
    for name in NEEDED[stage]:
        given = None if name in made else getattr(settings, name)
        for path in given if isinstance(given, list) else [given]:
            if path is not None and not Path(path).exists():
                if Path(path).is_symlink():  # its target was purged
                    Report(stage, Path.cwd()).write("input_missing", f"{path}: no such file")
                    raise SystemExit(1)
                raise SystemExit(f"{name}: {path} is not linked")


def next_plan(plan_file: Path, stage: str, settings: Any) -> dict[str, Any]:
    """Return the plan of this call of a stage, and count it."""
    plans = json.loads(plan_file.read_text()).get(stage, [{}])
    calls = plan_file.with_name(f"{stage}.calls")
    done = int(calls.read_text()) if calls.exists() else 0
    calls.write_text(str(done + 1))
    return {"seed": settings.seed, **plans[min(done, len(plans) - 1)]}


def run_stage(stage: str, settings: Any, plan: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Write what the plan says, after its accidents; return the results."""
    if stage == "train":
        plan["network"] = settings.network
        (Path.cwd() / "checkpoint").mkdir()
        (Path.cwd() / "checkpoint" / "last.pt").write_bytes(b"state")
    if stage == "sample":
        plan.setdefault("count", settings.n_samples)
    if stage == "relax" and plan.pop("given", False):
        with h5py.File(settings.crystals) as file:
            plan["ids"] = list(read_crystals(file["crystals"]).ids)
    accident(plan, settings)
    return write_stage(Path.cwd(), stage, **plan, **more)


def chain(plan_file: Path, settings: Any) -> None:
    """Run the stages of a chain by their plans, and keep what an earlier try has done."""
    if next_plan(plan_file, "chain", settings).get("real", False):
        raise SystemExit(program(["chain", "settings.json"]))
    report = Report("chain", Path.cwd(), seed=settings.seed)
    report.tables["stages"] = {}
    for stage, part in settings.stages:
        check_links(stage, part, tuple(setting for name, setting in JOINTS if name == stage))
        earlier = Path(settings.resume_from or "nowhere")
        file = results_of_stage(stage)
        if (earlier / file).exists() and json.loads((earlier / file).read_text())["status"] == "completed":
            for name in (file, *(getattr(part, output) for output in part.outputs)):
                shutil.copyfile(earlier / name, name)
            report.tables["stages"][stage] = {"kept": True}
            continue
        content = run_stage(stage, part, next_plan(plan_file, stage, part), file=file)
        report.tables["stages"][stage] = {"kept": False}
        report.counts.update(content["counts"])
        if content["status"] != "completed":
            report.write(content["status"], f"{stage}: {content['message']}")
            raise SystemExit(1)
    report.write("completed")


def accident(plan: dict[str, Any], settings: Any) -> None:
    """Let happen what the plan says, and take it out of the plan."""
    if plan.pop("kill", False):
        os.kill(os.getpid(), signal.SIGKILL)
    if (words := plan.pop("says", None)) is not None:
        print(words, file=sys.stderr)
        raise SystemExit(1)
    seconds = plan.pop("sleeps", 0)
    if isinstance(seconds, dict):
        seconds = seconds.get(plan["ids"][0], 0)
    time.sleep(seconds)
    if (linked := plan.pop("purge_linked", None)) is not None:
        target = Path(getattr(settings, linked)).resolve()
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    size = getattr(settings, "batch_size", settings.threads or 99)
    if size > plan.pop("most", size):
        plan.update(status="out_of_memory", message=f"memory ran out at {size}")


if __name__ == "__main__":
    main()

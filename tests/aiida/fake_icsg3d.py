"""Stands in for the program `icsg3d`: checks settings and links as it does, then writes what a plan says.

Called as ``fake_icsg3d.py PLAN STAGE SETTINGS``; PLAN is a JSON file: stage -> list of arguments of
:func:`made_up.write_stage`, one a call; the last one is used again. Before these come the accidents: ``kill`` (the
program dies without a word), ``says`` (lines on standard error, and no results), ``sleeps`` (seconds,
or the same by the first crystal), ``most`` (memory runs out above this batch), ``purge`` and
``purge_linked`` (files that vanish: of this stage at its end, of an earlier one meanwhile). ``real``: the program
itself runs the stage.
"""

from __future__ import annotations

import json
import os
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
from icsg3d_models.results import Report

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
    settings = read_settings(stage, settings_file)
    for name in NEEDED[stage]:
        given = getattr(settings, name)
        for path in given if isinstance(given, list) else [given]:
            if path is not None and not Path(path).exists():
                if Path(path).is_symlink():  # its target was purged
                    Report(stage, Path.cwd()).write("input_missing", f"{path}: no such file")
                    raise SystemExit(1)
                raise SystemExit(f"{name}: {path} is not linked")
    plans = json.loads(plan_file.read_text()).get(stage, [{}])
    calls = plan_file.with_name(f"{stage}.calls")
    done = int(calls.read_text()) if calls.exists() else 0
    calls.write_text(str(done + 1))
    plan = {"seed": settings.seed, **plans[min(done, len(plans) - 1)]}
    if plan.pop("real", False):
        raise SystemExit(program([stage, str(settings_file)]))
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
    purged = plan.pop("purge", [])
    write_stage(Path.cwd(), stage, **plan)
    for name in purged:
        Path(name).unlink()


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
        Path(getattr(settings, linked)).resolve().unlink()
    size = getattr(settings, "batch_size", settings.threads or 99)
    if size > plan.pop("most", size):
        plan.update(status="out_of_memory", message=f"memory ran out at {size}")


if __name__ == "__main__":
    main()

"""The stage ``train``: one network from a dataset file to a model file with its card."""

from __future__ import annotations

import importlib
from operator import attrgetter
from typing import Any

import torch

from ..data.datasets import PARTS, Dataset, read_dataset
from ..data.outlook import outlook
from ..devices import select_device
from ..networks.model_file import PREDICTORS, ModelFileError, ModelHeader, file_hash, read_header, save_model
from ..properties.chemistry import from_card, of_crystals
from ..results import Report, StageError, versions
from ..settings import TrainSettings
from .loop import State, Trainer
from .loop.parallel import team
from .start import told_of_start
from .targets import check_targets
from .task import Task
from .trial import run_trial

# network -> what makes its task
TASKS = {
    "unet": "icsg3d_models.training.tasks.unet_task:UNetTask.build",
    "vae": "icsg3d_models.training.tasks.vae_task:VAETask.build",
    "prior": "icsg3d_models.training.tasks.prior_task:prior_task",
    "cgcnn": "icsg3d_models.training.tasks.cgcnn_task:CGCNNTask.build",
    "voxelnet": "icsg3d_models.training.tasks.voxelnet_task:VoxelNetTask.build",
}
_SEEDS = "icsg3d_models.training.tasks.seeds"
# system of a seed paper -> network -> what makes its task, where that is its own
SEED_TASKS = {
    "icsg3d-2020": {
        "unet": f"{_SEEDS}.icsg3d_unet_task:ICSG3DUNetTask.build",
        "vae": f"{_SEEDS}.icsg3d_vae_task:ICSG3DVAETask.build",
        "cgcnn": f"{_SEEDS}.icsg3d_cgcnn_task:ICSG3DCGCNNTask.build",
    },
    "hoffmann-2019": {
        "unet": f"{_SEEDS}.hoffmann_tasks:HoffmannUNetTask.build",
        "vae": f"{_SEEDS}.hoffmann_tasks:HoffmannVAETask.build",
    },
}


def run(settings: TrainSettings, report: Report) -> None:
    """Train, and write the model file, its card, metrics.csv and the checkpoint.

    The model file is written from the best weights also where the deadline or a signal ends the training.
    """
    device = select_device(settings, report)
    dataset = read_dataset(report.directory / settings.dataset)
    digest = dataset.content_hash()
    report.inputs["dataset"] = digest
    given = (("unet", settings.unet), ("vae", settings.vae), ("start_from", settings.start_from))
    models = {name: report.directory / path for name, path in given if path is not None}
    report.inputs.update({name: file_hash(path) for name, path in models.items()})
    if settings.network not in PREDICTORS:
        check_targets(settings.targets, dataset, validated=False)
    if settings.start_from is None:
        for text in outlook(dataset, [name for name in settings.targets if name in dataset.properties]):
            report.warn(text)
    torch.manual_seed(settings.seed)
    tasks = {**TASKS, **SEED_TASKS.get(settings.preset or "", {})}
    module, _, name = tasks[settings.network].partition(":")
    task: Task[Any] = attrgetter(name)(importlib.import_module(module))(
        settings.model_copy(update={k: str(v) for k, v in models.items()}), dataset, device
    )
    report.leave_out(settings.dataset, len(dataset), task.left_out)
    if settings.emphasis is not None:
        report.counts["emphasised"] = task.emphasise(settings.emphasis, dataset)
    parameters = sum(p.numel() for p in task.module.parameters())
    report.counts.update({part: int((dataset.split == i).sum()) for i, part in enumerate(PARTS)}, parameters=parameters)
    if settings.start_from is not None:
        told = told_of_start(models["start_from"], report.inputs["start_from"])
        for name in task.config.get("targets", []):
            if name not in dataset.properties:  # of a prior
                report.warn(f"the dataset has no {name}: the prior is told nothing of it, and may forget what it knows")
        report.tables["fine_tuned_from"] = {**told, **task.fitted(), "validation": task.validate(task.module)}
    with team(device) as all_of_us:
        report.silent = not all_of_us.leads
        report.counts.update({"processes": all_of_us.size} if all_of_us.size > 1 else {})
        trainer = Trainer(task, settings, report, device, all_of_us)
        try:
            state = trainer.run()
        except StageError:
            if trainer.state.best and all_of_us.leads:
                _finish(task, trainer.state, settings, report, dataset)
            raise
    if not all_of_us.leads:
        return
    card = _finish(task, state, settings, report, dataset)
    report.note = _worse_than_before(card)
    if settings.network == "prior" and settings.unet is not None and settings.trial_samples:
        try:
            trial = run_trial(settings, report, dataset, device)
        except (StageError, ModelFileError, RuntimeError, MemoryError) as exception:  # the model is worth keeping
            report.note = _joined(report.note, f"trained, but the set could not be tried: {exception}")
            return
        report.tables["trial"] = trial.table()
        report.note = _joined(report.note, trial.words())
        _write(task, state, settings, report, {**card, "trial": trial.table()})


def _finish(task: Task[Any], state: State, settings: TrainSettings, report: Report, dataset: Dataset) -> dict[str, Any]:
    """Test the best weights, write them with their card and return the card."""
    task.module.load_state_dict(state.best)
    task.module.eval()
    test = task.test(task.module)
    best = next(row for row in state.history if row["step"] == state.best_step)
    report.scalars.update({f"test_{k}": v for k, v in test.items()}, **{f"validation_{k}": v for k, v in best.items()})
    report.counts.update(steps=state.step)
    card: dict[str, Any] = {
        "data": {
            "name": dataset.name,
            "content_hash": report.inputs["dataset"],
            "citation": dataset.citation,
            "fidelities": {
                name: dataset.fidelities[name].as_dict()
                for name in task.config.get("targets", [])
                if name in dataset.fidelities
            },
        },
        "inputs": dict(report.inputs),
        "split": {part: report.counts[part] for part in PARTS},
        # of the options what was given: all of them are in the configuration
        "settings": {**settings.model_dump(), "options": settings.options.model_dump(exclude_unset=True)},
        "seed": settings.seed,
        "parameters": report.counts["parameters"],
        "steps": state.step,
        "validation": best,
        "test": test,
        "seconds": state.history[-1]["seconds"],
        "device": report.device,
        "versions": versions(),
    }
    if "fine_tuned_from" in report.tables:
        card["fine_tuned_from"] = report.tables["fine_tuned_from"]
    if task.kind in PREDICTORS:  # by it predictions of what is unlike the training are flagged
        chemistry = of_crystals(dataset.crystals.take(dataset.part("train")))
        if settings.start_from is not None:
            before = from_card(read_header(report.directory / settings.start_from).card)
            chemistry = chemistry if before is None else chemistry.joined(before)
        card["chemistry"] = chemistry.stored()
    _write(task, state, settings, report, card)
    task.save_extras(report.directory)
    return card


def _worse_than_before(card: dict[str, Any]) -> str:
    """Return a warning where a model that was fine-tuned does worse on the validation part than the one before."""
    before = card.get("fine_tuned_from", {}).get("validation", {}).get("loss")
    after = card["validation"]["loss"]
    if before is None or after <= before or card["settings"]["emphasis"] is not None:
        return ""
    return (
        f"fine-tuned, but the loss of the validation rose from {before:.4g} to {after:.4g}: the data of the training "
        "part differ from those held back, or `optimiser.learning_rate` is too high"
    )


def _joined(*notes: str) -> str:
    """Return what there is of some notes as one."""
    return "; ".join(note for note in notes if note)


def _write(task: Task[Any], state: State, settings: TrainSettings, report: Report, card: dict[str, Any]) -> None:
    """Write the model file."""
    header = ModelHeader(task.kind, task.config, card, type(task.module).__name__)
    digest = save_model(report.directory / settings.output, header, state.best)
    report.tables["model"] = {"file": settings.output, "sha256": digest, "network": task.kind}

"""What a run is going to do: how many jobs, where, how long by earlier ones, and what it stores."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from aiida.orm import AbstractCode

from icsg3d_models.crystals.elements import SYMBOLS
from icsg3d_models.data.outlook import outlook
from icsg3d_models.settings import Optimiser

from ..campaigns.running.durations import Kind, earlier_seconds, earlier_seconds_per_step
from ..campaigns.running.snapshot import PHONONS
from ..data.importing import read_beforehand
from ..dft.potential import PotentialEngine
from ..foreground.progress import duration
from ..workflows.protocols import load_protocol
from ..workflows.train_all import NETWORKS

if TYPE_CHECKING:
    from icsg3d_models.data.datasets import Dataset

    from .generation import Generation, Resolved
    from .training import Training

STAGES = {"sample": "SampleCalculation", "segment": "SegmentCalculation", "rebuild": "RebuildCalculation",
          "screen": "ScreenCalculation"}  # fmt: skip
ONE_JOB = "ChainCalculation"
RELAXATION, VERDICT = "PwRelaxWorkChain", "VerdictWorkChain"
JOB_OF_POTENTIAL = "RelaxCalculation"


@dataclass(frozen=True)
class Step:
    """Processes of one kind.

    :param words: what they do, for a person.
    :param label: process label.
    :param count: how many.
    :param where: label of the computer.
    :param seconds: what earlier ones of this kind and size took, the newest first.
    :param at_once: how many run side by side.
    :param unknown: what is said of the time where there are no earlier ones.
    """

    words: str
    label: str
    count: int
    where: str
    seconds: tuple[float, ...] = ()
    at_once: int = 1
    unknown: str = "no earlier run"

    @property
    def expected(self) -> float | None:
        """Seconds for all of them by the median of the earlier ones, None where there are none."""
        return -(-self.count // self.at_once) * median(self.seconds) if self.seconds else None

    @property
    def time(self) -> str:
        """The expected time in words."""
        if self.expected is None:
            return self.unknown
        runs = f"{len(self.seconds)} earlier" if len(self.seconds) > 1 else "one earlier"
        return f"about {duration(self.expected)} (by {runs})"


@dataclass(frozen=True)
class Plan:
    """What a run is going to do.

    :param steps: in their order.
    :param stored: what will be in the profile afterwards.
    :param method: how energies are computed; empty where none are.
    :param notes: what may go wrong, a sentence each.
    """

    steps: tuple[Step, ...]
    stored: str
    method: str = ""
    notes: tuple[str, ...] = ()

    @property
    def planned(self) -> dict[str, int]:
        """Process label -> how many of them."""
        planned: dict[str, int] = {}
        for step in self.steps:
            planned[step.label] = planned.get(step.label, 0) + step.count
        return planned

    @property
    def expected(self) -> dict[str, float | None]:
        """Process label -> seconds by earlier runs, None where one of the kind has never run."""
        expected: dict[str, float | None] = {}
        for step in self.steps:
            before = expected.get(step.label, 0.0)
            known = before is not None and step.expected is not None
            expected[step.label] = (before or 0.0) + (step.expected or 0.0) if known else None
        return expected

    @property
    def text(self) -> str:
        """The plan as a table, its sum, and what is stored."""
        from tabulate import tabulate

        rows = [[step.count, step.words, step.where, step.time] for step in self.steps]
        table = tabulate(rows, headers=["jobs", "what", "where", "how long"], disable_numparse=True,
                         colalign=("right", "left", "left", "left"))  # fmt: skip
        known = [seconds for seconds in self.expected.values() if seconds is not None]
        if len(known) == len(self.expected):
            total = f"about {duration(sum(known))} in all, and the waiting in queues"
        else:
            total = "how long it takes in all cannot be told before every kind of job has run in this profile"
        method = f"{self.method}\n" if self.method else ""
        beforehand = "".join(f"beforehand: {note}\n" for note in self.notes)
        return f"{table}\n{total}\n{method}{beforehand}stored: {self.stored}\n"


def plan_generation(request: Generation, found: Resolved) -> Plan:
    """Return the plan of a discovery run."""
    steps = []
    stages = {"chain": ONE_JOB} if found.one_job else STAGES
    for stage, label in stages.items():
        where = computer_of(found.codes.get(stage, found.codes["icsg3d"]))
        of = f"{request.n_samples} samples" if stage != "screen" else f"up to {request.n_samples} crystals"
        seconds = earlier_seconds(Kind(label, where, request.n_samples))
        words = f"sample, segment, rebuild and screen {of}, in one" if found.one_job else f"{stage} {of}"
        steps.append(Step(words, label, 1, where, tuple(seconds)))
    if found.prerelax:
        where = computer_of(found.codes.get("prerelax", found.codes["icsg3d"]))
        seconds = earlier_seconds(Kind("RelaxCalculation", where))
        words = "relax the selected candidates with a potential, and estimate their energies above the hull"
        steps.append(Step(words, "RelaxCalculation", 1, where, tuple(seconds)))
    if request.n_relaxations and request.method.is_potential:
        where, count = computer_of(found.codes["pw"]), -(-request.n_relaxations // PotentialEngine.batch)
        seconds = earlier_seconds(Kind(JOB_OF_POTENTIAL, where, request.n_relaxations))
        words = f"relax the best {request.n_relaxations} by a potential"
        steps.append(Step(words, JOB_OF_POTENTIAL, count, where, tuple(seconds)))
    elif request.n_relaxations:
        where = computer_of(found.codes["pw"])
        protocol = request.method.merged
        at_once = protocol["max_concurrent"]
        precision = {"base_relax__kpoints_distance": protocol["relax"]["base_relax"]["kpoints_distance"]}
        seconds = earlier_seconds(Kind(RELAXATION, where, inputs=precision))
        words = f"relax the best by DFT ({request.protocol}), {at_once} at once, several pw.x jobs each"
        steps.append(Step(words, RELAXATION, request.n_relaxations, where, tuple(seconds), at_once))
    if request.n_relaxations:
        verdict = load_protocol("discover", request.protocol, request.method.discovery)["verdict"]
        if verdict["judge"] and verdict["compute"]:
            words = "compute the energies of elements and competing phases that this profile lacks"
            steps.append(Step(words, VERDICT, 1, where, unknown="as many jobs as it lacks"))
    if request.n_phonons:
        seconds = earlier_seconds(Kind(PHONONS, where))
        words = "compute phonons by DFT of the lowest above the hull, as many jobs each as it has different sites"
        steps.append(Step(words, PHONONS, request.n_phonons, where, tuple(seconds)))
    stored = f"up to {request.n_samples} crystals, the table of the screening"
    if request.n_relaxations:
        stored += f", up to {request.n_relaxations} relaxed crystals"
    stored += f", and the provenance of each; fields stay on {steps[0].where}"
    return Plan(tuple(steps), stored, request.method.describe() if request.n_relaxations else "")


def plan_further(builder: Any, rounds: int) -> Plan:
    """Return the plan of further rounds of a campaign: what runs, without a guess at how long.

    :param builder: of the CampaignWorkChain.
    """
    stages = builder["round"]
    jobs = [(STAGES[name], stages["generate"][name]) for name in ("sample", "segment", "rebuild")]
    jobs.append((STAGES["screen"], stages["screen"]["screen"]))
    if stages["generate"].get("chain", {}).get("code"):
        jobs = [(ONE_JOB, stages["generate"]["chain"])]
    steps = [Step(label, label, rounds, computer_of(job["code"])) for label, job in jobs]
    where = steps[0].where
    if stages["prerelax"].get("code"):
        steps.append(Step("RelaxCalculation", "RelaxCalculation", rounds, where))
    steps.append(Step(RELAXATION, RELAXATION, rounds * stages["n_relaxations"].value, where))
    return Plan(tuple(steps), "as in the rounds before")


def computer_of(code: AbstractCode) -> str:
    """Return the label of the computer of a code."""
    return code.computer.label if code.computer is not None else "this machine"


def plan_training(request: Training, builder: Any) -> Plan:
    """Return the plan of a training: steps of every network, their time by earlier steps, and what of the data is odd.

    :param builder: of the TrainAllWorkChain.
    :raises ValueError: the data cannot be read, or nothing of them can be used.
    """
    steps = []
    if request.source is not None:
        where = computer_of(builder.prepare.code)
        seconds = tuple(earlier_seconds(Kind("PrepareCalculation", where)))
        steps.append(Step(f"build the dataset of {request.source}", "PrepareCalculation", 1, where, seconds))
        dataset = read_beforehand(request.source, builder.prepare.settings.get_dict())
    else:
        dataset = builder.dataset.get_dataset()
    size = int((dataset.split == 0).sum())
    kept = [network for network in NETWORKS if network in builder.start_from]
    if request.start_from is not None:
        check_elements(dataset, builder.start_from, request.start_from)
    for network in (name for name in NETWORKS if name not in kept):
        job = builder[network].train
        optimiser = Optimiser.model_validate(job.settings.get_dict()["optimiser"])
        count = optimiser.steps(max(1, -(-size // optimiser.batch_size)))
        seen = count * min(optimiser.batch_size, size) / max(size, 1)
        words = f"train the {network}, {count:,} steps of {optimiser.batch_size} crystals, each seen {seen:,.0f} times"
        where = computer_of(job.code)
        size_and_start = optimiser.batch_size, "initial" in job
        seconds = tuple(count * one for one in earlier_seconds_per_step(network, where, *size_and_start))
        steps.append(Step(words, "TrainCalculation", 1, where, seconds))
    stored = "the dataset, the models with their cards, and the provenance of each; checkpoints stay on "
    notes = outlook(dataset, request.targets)
    if kept:
        notes = [f"kept as {request.start_from} has them: {', '.join(kept)}; the prior learns on from there", *notes]
    return Plan(tuple(steps), stored + steps[-1].where, notes=tuple(notes))


def check_elements(dataset: Dataset, start: Any, name: str) -> None:
    """Check that the networks that are kept know all elements of the data.

    :raises ValueError: they do not; the message names those that are lacking.
    """
    numbers = set(start.vae.config["elements"]) & set(start.unet.config["elements"])
    if lost := sorted({int(z) for z in np.unique(dataset.crystals.numbers)} - numbers):
        raise ValueError(
            f"{name} does not know {', '.join(SYMBOLS[z] for z in lost)}; leave those crystals out, start from a set "
            "that does (`aiida-icsg3d models list`), or train from nothing"
        )

"""The training loop: AdamW, warm-up and cosine, moving average, exact resume, deadline, signals.

Every step draws its randomness from a generator seeded by (seed, step), and the order of an epoch from
(seed, epoch). A run that was killed and resumed therefore takes the same steps as one that was not.
"""

from __future__ import annotations

import copy
import csv
import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...results import Report, StageError
from ...settings import TrainSettings
from ..task import Task
from .acceleration import compiled, precision
from .checkpoint import load_checkpoint, save_checkpoint
from .loss_guard import LossGuard
from .parallel import Team
from .schedule import make_optimiser, plan_steps

SAVE_SECONDS = 60.0  # at most this much work is lost when the process is killed, once the first epoch is done
TELL_SECONDS = (1.0, 30.0)  # at least between two lines of progress at ends of epochs; at most within an epoch


@dataclass
class State:
    """Where a training stands.

    :ivar best: weights (moving average) with the lowest validation loss so far.
    :ivar history: one row a validation, as in metrics.csv.
    """

    step: int = 0
    best_loss: float = math.inf
    best_step: int = 0
    best: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


@contextmanager
def deferred_signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT in the list yielded, to be obeyed between two steps."""
    received: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    previous = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield received
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Trainer:
    """Trains one task to its best validation loss.

    :param directory: where metrics.csv is written; checkpoints go to ``settings.checkpoint`` below it.
    """

    def __init__(
        self, task: Task[Any], settings: TrainSettings, report: Report, device: torch.device, team: Team | None = None
    ) -> None:
        self.task, self.settings, self.report, self.device = task, settings, report, device
        self.team = team or Team()
        self.arithmetic = precision(settings, device)
        options = settings.optimiser
        self.batch = min(options.batch_size, task.n_train)
        self.schedule = plan_steps(options, len(task.batches(self.batch, np.random.default_rng(0))))
        self.optimiser = make_optimiser(task.module, options)
        self.average = copy.deepcopy(task.module).eval().requires_grad_(False)
        self.state = State()
        self.guard = LossGuard(self.optimiser, device)
        self.checkpoint = report.directory / settings.checkpoint
        self._received: list[int] = []  # signals
        self._wishes = torch.zeros(())  # processes of the team that are to stop
        self._epoch: int | None = None
        self._batches_of_epoch: list[np.ndarray] = []
        self._last_loss = torch.tensor(math.nan)
        self._saved: float | None = None  # when the last checkpoint was written
        self._told = report.elapsed  # when the last line of progress was written
        self._measured: tuple[int, float] | None = None  # step and time from which the time of a step is taken

    def run(self) -> State:
        """Train to the end, and leave the best weights in ``state.best``.

        :raises StageError: ``walltime`` or ``interrupted`` (checkpoint written), ``loss_not_finite``.
        """
        if self.settings.resume_from is not None:
            self._resume(self.report.directory / self.settings.resume_from)
        started = self.report.elapsed
        methods = self.task.compiled, self.settings.compile
        with deferred_signals() as self._received, compiled(self.task.module, *methods):
            while self.state.step < self.schedule.total and not self._out_of_patience():
                epoch, position = divmod(self.state.step, self.schedule.steps_per_epoch)
                self._step(self._batches(epoch)[position])
                ended = self.schedule.ends_epoch(self.state.step)
                if ended:
                    self._end_of_epoch(epoch + 1)
                elif self.report.elapsed - self._told > TELL_SECONDS[1]:
                    self._tell(epoch)
                self._obey(ended)
                # A run that is killed within its first minute has at least its first epoch behind it.
                first = ended and self._saved is None
                if not self.team.leads:
                    continue
                if first or self.report.elapsed - (self._saved or started) > SAVE_SECONDS:
                    self._save()
        self._stop_where_diverged()
        if self.team.leads:
            self._save()
        return self.state

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """Return the batches of one epoch."""
        if self._epoch != epoch:
            self._epoch = epoch
            self._batches_of_epoch = self.task.batches(self.batch, np.random.default_rng((self.settings.seed, epoch)))
        return self._batches_of_epoch

    def _step(self, indices: np.ndarray) -> None:
        """Take one optimiser step and move the average of the weights."""
        options, step = self.settings.optimiser, self.state.step
        seed = self.settings.seed * 1_000_003 + step + (self.team.rank << 40)
        generator = torch.Generator(self.device).manual_seed(seed % 2**63)
        for group in self.optimiser.param_groups:
            group["lr"] = self.schedule.rate(step, options.learning_rate)
        self.task.module.train()
        loss = self._gradient(indices, generator)
        nn.utils.clip_grad_norm_(self.task.module.parameters(), options.gradient_clip)
        self.optimiser.step()
        # The decay ramps up so that the first epochs are not averaged with the random start.
        decay = min(options.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.task.module.parameters()), 1 - decay)
            for mine, theirs in zip(self.average.buffers(), self.task.module.buffers(), strict=True):
                mine.copy_(theirs)
        self.state.step += 1
        self._last_loss = loss

    def _gradient(self, indices: np.ndarray, generator: torch.Generator) -> Tensor:
        """Leave the gradient of a batch in the parameters and return its loss.

        :raises StageError: a loss was not finite.
        """
        step, share = self.state.step, self.team.share(indices)
        loss: Tensor | None = None
        logged: dict[str, Tensor] = {}
        if len(share):
            with self.arithmetic:
                loss, logged = self.task.loss(share, generator, step / self.schedule.total)
        self.optimiser.zero_grad(set_to_none=True)
        if self.team.size == 1:
            assert loss is not None
            self._watch(loss, logged)
            loss.backward()
            return loss.detach()
        if loss is not None:
            loss.backward()
        weight, stop = len(share) / len(indices), bool(self._received) or self._late()
        whole, self._wishes = self.team.sum_gradients(self.task.module, loss, weight, stop)
        self._watch(whole, {})
        return whole

    def _watch(self, loss: Tensor, logged: dict[str, Tensor]) -> None:
        """Hand the loss of this step to the guard."""
        self.guard.watch(loss, logged, self.state.step)
        if self.guard.is_due(self.state.step):
            self._stop_where_diverged()

    def _stop_where_diverged(self) -> None:
        """Save the state before the first loss that is not finite, and raise; nothing where all were finite."""
        diverged = self.guard.diverged()
        if diverged is None:
            return
        self.state.step, loss, parts = diverged
        if self.team.leads:
            self._write_checkpoint()
        raise StageError(
            "loss_not_finite",
            f"the loss became {loss} at step {self.state.step + 1} of {self.schedule.total} ({parts}); "
            "lower `optimiser.learning_rate` and resume from the checkpoint",
        )

    def _tell(self, epoch: int, **metrics: float) -> None:
        """Write a line of progress with the time that is left, by the steps of this run."""
        now, values = self.report.elapsed, {"train_loss": float(self._last_loss), **metrics}
        steps = {"step": self.state.step, "steps": self.schedule.total}
        if self._measured is None:  # what came before was preparation
            self._measured = self.state.step, now
        elif self.state.step > self._measured[0]:
            a_step = (now - self._measured[1]) / (self.state.step - self._measured[0])
            values["seconds_left"] = round(a_step * (self.schedule.total - self.state.step), 1)
        self.report.progress(epoch, self.schedule.epochs, **steps, **values)
        self._told = now

    def _end_of_epoch(self, epoch: int) -> None:
        """Validate where it is due, keep the best weights, and write the metrics.

        :raises StageError: the loss of the validation is not finite.
        """
        last = self.state.step >= self.schedule.total
        if epoch % self.schedule.validate_every and not last:
            if self.report.elapsed - self._told > TELL_SECONDS[0]:
                self._tell(epoch)
            return
        self._stop_where_diverged()
        metrics = self.task.validate(self.average) if self.team.leads else {}
        metrics["loss"] = self.team.agreed(metrics.get("loss", math.nan), self.device)
        row = {
            "epoch": epoch,
            "step": self.state.step,
            "seconds": self._seconds(),
            "train_loss": float(self._last_loss),
        }
        self.state.history.append({**row, **metrics})
        self._tell(epoch, **metrics)
        if not math.isfinite(metrics["loss"]):
            raise StageError(
                "loss_not_finite",
                f"the loss of the validation is {metrics['loss']} after step {self.state.step}, where that of the "
                f"training is {float(self._last_loss):.3g}; look for values that are missing or far off",
            )
        if self.team.leads:
            self._write_metrics(self.report.directory / "metrics.csv")
        # In the validation part all crystals count alike: by it the first weights would be the best.
        if metrics["loss"] < self.state.best_loss or self.settings.emphasis is not None:
            self.state.best_loss, self.state.best_step = metrics["loss"], self.state.step
            self.state.best = {k: v.detach().clone() for k, v in self.average.state_dict().items()}

    def _out_of_patience(self) -> bool:
        """Tell whether validation has not improved for `patience` validations."""
        patience = self.settings.optimiser.patience
        since = [row for row in self.state.history if row["step"] > self.state.best_step]
        return patience is not None and len(since) >= patience

    def _late(self) -> bool:
        """Tell whether the deadline came."""
        deadline = self.settings.deadline_seconds
        return deadline is not None and self.report.elapsed > deadline

    def _obey(self, ended: bool) -> None:
        """Save and end the training where the deadline or a signal came before the last step.

        A team stops where one of it is to, after the same step; on a device that means waiting for it now and then.

        :param ended: whether an epoch has just ended.
        :raises StageError: ``walltime`` or ``interrupted``.
        """
        if self.team.size == 1:
            wished = bool(self._received) or self._late()
        else:
            wished = (ended or self.guard.is_due(self.state.step)) and bool(self._wishes > 0)
        if self.state.step >= self.schedule.total or not wished:
            return
        if self.team.leads:
            self._save()
        done = f"after {self.state.step} of {self.schedule.total} steps; go on with `resume_from`"
        if self._late():
            raise StageError("walltime", f"the deadline of {self.settings.deadline_seconds:.0f} s came {done}")
        name = signal.Signals(self._received[0]).name if self._received else "the end of another process"
        raise StageError("interrupted", f"{name} came {done}")

    def _seconds(self) -> float:
        """Return the time spent training, over all runs of this training."""
        return round(self.state.seconds + self.report.elapsed, 2)

    def _save(self) -> None:
        """Write the checkpoint, of a state that is sound.

        :raises StageError: the training diverged.
        """
        self._stop_where_diverged()
        self._write_checkpoint()
        self._saved = self.report.elapsed

    def _write_checkpoint(self) -> None:
        """Write the checkpoint."""
        save_checkpoint(
            self.checkpoint,
            {
                "kind": self.task.kind,
                "config": self.task.config,
                "step": self.state.step,
                "seconds": self._seconds(),
                "best_loss": self.state.best_loss,
                "best_step": self.state.best_step,
                "best": self.state.best,
                "history": self.state.history,
                "module": self.task.module.state_dict(),
                "average": self.average.state_dict(),
                "optimiser": self.optimiser.state_dict(),
            },
        )

    def _resume(self, directory: Path) -> None:
        """Go on from a checkpoint.

        :raises StageError: it belongs to a network of another configuration.
        """
        content: dict[str, Any] = load_checkpoint(directory, self.task.kind)
        if content["config"] != self.task.config:
            raise StageError(
                "input_incompatible", f"{directory}: the checkpoint has other network options or other data"
            )
        self.task.module.load_state_dict(content["module"])
        self.average.load_state_dict(content["average"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.state = State(
            content["step"],
            content["best_loss"],
            content["best_step"],
            content["best"],
            content["history"],
            content["seconds"],
        )

    def _write_metrics(self, path: Path) -> None:
        """Write metrics.csv anew, which also drops rows of a run that was killed after its checkpoint."""
        names = list(self.state.history[-1])
        temporary = path.with_name(f".{path.name}")
        with open(temporary, "w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, names, extrasaction="ignore", restval="")
            writer.writeheader()
            writer.writerows(self.state.history)
        temporary.replace(path)

"""WorkChain that trains one network and restarts it where that helps."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from aiida.common import AttributeDict
from aiida.engine import BaseRestartWorkChain, ExitCode, ProcessBuilder, ProcessHandlerReport, process_handler, while_
from aiida.orm import AbstractCode, Bool, CalcJobNode, Dict, Int, RemoteData, RemoteStashFolderData
from aiida.transports.transport import TransportInternalError

from icsg3d_models.networks.model_file import NETWORKS

from ..calculations.exit_codes import declare, failed_child, label_of
from ..calculations.failures.diagnosis import AGAIN, SMALLER, STAGE_BEFORE, diagnose
from ..calculations.train import CHECKPOINT, TrainCalculation
from ..data import CrystalDatasetData, TrainedModelData
from ..data.remote_files import is_there, stash_of
from ..monitors import DIVERGED
from .protocols import load_protocol

EXIT = TrainCalculation.exit_codes
MENDED = (
    "ERROR_WALLTIME", "ERROR_SCHEDULER_OUT_OF_WALLTIME", "ERROR_OUT_OF_MEMORY", "ERROR_SCHEDULER_OUT_OF_MEMORY",
    "ERROR_LOSS_NOT_FINITE", "STOPPED_BY_MONITOR",
)  # fmt: skip
"""Labels of ends that have a handler of their own."""


class TrainWorkChain(BaseRestartWorkChain):
    """Train one network; go on after wall time, node failure, shortage of memory and divergence."""

    _process_class = TrainCalculation

    defaults = AttributeDict(
        {
            "batch_size_factor": 0.5,  # after memory ran out
            "minimum_batch_size": 1,
            "learning_rate_factor": 0.3,  # after a divergence
            "maximum_divergences": 3,
            "seed_step": 1,  # added to the seed after a divergence, for another order of the crystals
        }
    )

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.expose_inputs(TrainCalculation, namespace="train")
        steps: Any = cls
        spec.outline(
            steps.setup,
            while_(steps.should_run_process)(steps.run_process, steps.inspect_process),
            steps.results,
        )
        spec.expose_outputs(TrainCalculation)
        declare(spec, "ERROR_DIVERGED", "ERROR_OUT_OF_MEMORY_AT_SMALLEST_BATCH", "ERROR_NO_PROGRESS",
                "ERROR_JOB_FAILED")  # fmt: skip

    @classmethod
    def get_builder_from_protocol(
        cls,
        code: AbstractCode,
        network: str,
        dataset: CrystalDatasetData,
        *,
        unet: TrainedModelData | None = None,
        vae: TrainedModelData | None = None,
        initial: TrainedModelData | None = None,
        targets: list[str] | None = None,
        seed: int = 0,
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ProcessBuilder:
        """Return a builder filled in by a protocol.

        :param network: ``unet``, ``vae`` (give ``unet``), ``prior`` (give ``vae``), ``cgcnn`` or ``voxelnet``.
        :param initial: model of this network to fine-tune: fewer steps at a lower rate, as the protocol says.
        :param targets: properties to predict (``cgcnn``, ``voxelnet``) or to condition on (``prior``).
        :param overrides: of the protocol ``train``.
        :param options: AiiDA's ``metadata.options`` of the job, above those of the protocol.
        :raises ValueError: an unknown network, protocol or key.
        """
        inputs = training_protocol(protocol, overrides)
        if initial is not None:
            inputs = fine_tuning_protocol(inputs, network, overrides)
        builder: Any = cls.get_builder()
        fill_training(builder, code, network, inputs, seed, targets, options)
        builder.train.dataset = dataset
        for name, model in (("unet", unet), ("vae", vae), ("initial", initial)):
            if model is not None:
                builder.train[name] = model
        return builder

    def setup(self) -> None:
        """Start from the inputs given."""
        super().setup()
        self.ctx.inputs = AttributeDict(self.exposed_inputs(TrainCalculation, "train"))
        self.ctx.divergences = 0
        self.ctx.last_epoch = None

    def inspect_process(self) -> ExitCode | None:
        """Call the handlers; where the WorkChain ends in an error, attach what the last run left."""
        exit_code = super().inspect_process()
        if exit_code is not None and exit_code.status:
            self.out_many(self.exposed_outputs(self.ctx.children[-1], TrainCalculation))
        return exit_code

    def settings(self) -> dict[str, Any]:
        """Return the settings of the next run."""
        content: dict[str, Any] = self.ctx.inputs.settings.get_dict()
        return content

    def go_on_from(self, node: CalcJobNode) -> str:
        """Let the next run go on from the checkpoint of ``node``, or where that one began if it left none."""
        folder = checkpoint_of(node)
        if folder is not None:
            self.ctx.inputs.checkpoint_folder = folder
            stashed = "stashed " if isinstance(folder, RemoteStashFolderData) else ""
            return f"from the {stashed}checkpoint of TrainCalculation<{node.pk}>"
        return "from where it began" if "checkpoint_folder" in self.ctx.inputs else "from scratch"

    @process_handler(priority=700)
    def handle_what_it_left(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Read in the files of a job why it failed: end at once where no restart can mend that, and say it in words."""
        if node.is_finished_ok or label_of(node) in MENDED:
            return None
        found = diagnose(node)
        if found.treatment == SMALLER:
            return self.take_less_memory()
        if found.treatment == STAGE_BEFORE and "checkpoint_folder" in self.ctx.inputs:
            purged = self.ctx.inputs.pop("checkpoint_folder")
            stash = stash_of(purged.creator) if isinstance(purged, RemoteData) and purged.creator else None
            if stash is not None and is_there(stash, CHECKPOINT):
                self.ctx.inputs.checkpoint_folder = stash
            start = "going on from its stash" if "checkpoint_folder" in self.ctx.inputs else "again from scratch"
            self.report(f"the checkpoint was purged; {start}: {found.words}")
            return ProcessHandlerReport(True)
        if found.treatment == AGAIN:
            return None
        return ProcessHandlerReport(True, failed_child(self.exit_codes, "ERROR_JOB_FAILED", node, found.words))

    @process_handler(priority=600, exit_codes=[EXIT.ERROR_WALLTIME])
    def handle_walltime(self, node: CalcJobNode) -> ProcessHandlerReport:
        """Go on from the checkpoint, unless the last run did not get further than the one before."""
        epoch = last_epoch(node)
        if epoch is not None and epoch == self.ctx.last_epoch:
            return ProcessHandlerReport(True, self.exit_codes.ERROR_NO_PROGRESS)
        self.ctx.last_epoch = epoch
        self.report(f"wall time reached at epoch {epoch}; going on {self.go_on_from(node)}")
        return ProcessHandlerReport(True)

    @process_handler(priority=500, exit_codes=[EXIT.ERROR_OUT_OF_MEMORY, EXIT.ERROR_SCHEDULER_OUT_OF_MEMORY])
    def handle_out_of_memory(self, node: CalcJobNode) -> ProcessHandlerReport:
        """Halve the batch size and start from scratch."""
        return self.take_less_memory()

    def take_less_memory(self) -> ProcessHandlerReport:
        """Halve the batch size and start from scratch: the steps of a checkpoint count in batches of the old size."""
        settings = self.settings()
        optimiser = settings.setdefault("optimiser", {})
        size = optimiser.get("batch_size", default_optimiser("batch_size"))
        smaller = max(int(size * self.defaults.batch_size_factor), self.defaults.minimum_batch_size)
        if smaller == size:
            exit_code = self.exit_codes.ERROR_OUT_OF_MEMORY_AT_SMALLEST_BATCH
            return ProcessHandlerReport(True, exit_code.format(batch_size=size))
        optimiser["batch_size"] = smaller
        self.ctx.inputs.settings = Dict(settings)
        self.ctx.inputs.pop("checkpoint_folder", None)
        self.report(f"memory ran out with batch size {size}; again from scratch with {smaller}")
        return ProcessHandlerReport(True)

    @process_handler(priority=400, exit_codes=[EXIT.ERROR_LOSS_NOT_FINITE, EXIT.STOPPED_BY_MONITOR])
    def handle_divergence(self, node: CalcJobNode) -> ProcessHandlerReport | None:
        """Lower the learning rate and change the seed: first from the checkpoint, after that from scratch.

        The weights of the checkpoint may be spoilt already, so it gets one chance only.
        """
        if node.exit_status == EXIT.STOPPED_BY_MONITOR.status and DIVERGED not in (node.exit_message or ""):
            return None
        settings = self.settings()
        optimiser = settings.setdefault("optimiser", {})
        rate = optimiser.get("learning_rate", default_optimiser("learning_rate"))
        self.ctx.divergences += 1
        if self.ctx.divergences >= self.defaults.maximum_divergences:
            return ProcessHandlerReport(
                True, self.exit_codes.ERROR_DIVERGED.format(count=self.ctx.divergences, rate=rate)
            )
        optimiser["learning_rate"] = rate * self.defaults.learning_rate_factor
        settings["seed"] = settings.get("seed", 0) + self.defaults.seed_step
        self.ctx.inputs.settings = Dict(settings)
        if self.ctx.divergences == 1:
            start = self.go_on_from(node)
        else:
            self.ctx.inputs.pop("checkpoint_folder", None)
            start = "from scratch"
        self.report(
            f"training diverged; learning rate {rate:.2g} -> {optimiser['learning_rate']:.2g}, "
            f"seed {settings['seed']}, {start}"
        )
        return ProcessHandlerReport(True)

    @process_handler(
        priority=300,
        exit_codes=[
            EXIT.ERROR_INTERRUPTED,
            EXIT.ERROR_RESULTS_MISSING,
            EXIT.ERROR_SCHEDULER_OUT_OF_WALLTIME,
            EXIT.ERROR_SCHEDULER_NODE_FAILURE,
            EXIT.STOPPED_BY_MONITOR,
        ],
    )
    def handle_interruption(self, node: CalcJobNode) -> ProcessHandlerReport:
        """Go on from the last checkpoint after a signal, a kill, a node failure or a stall."""
        self.report(f"TrainCalculation<{node.pk}> was cut off ({node.exit_message}); going on {self.go_on_from(node)}")
        return ProcessHandlerReport(True)


def training_protocol(protocol: str | None, overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the inputs of the protocol ``train`` with overrides merged in.

    Whoever asks for a number of epochs gets it: the least number of steps of the protocol holds for its own epochs.
    """
    merged = load_protocol("train", protocol, overrides)
    for network in NETWORKS:
        asked = (overrides or {}).get(network, {}).get("settings", {}).get("optimiser", {})
        if "max_epochs" in asked and "min_steps" not in asked:
            merged[network]["settings"]["optimiser"].pop("min_steps", None)
    return merged


def fine_tuning_protocol(inputs: dict[str, Any], network: str, overrides: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the inputs of the protocol ``train`` for a network that starts from a model.

    It takes a share of the steps at a lower rate; what the overrides say stands.
    """
    tuning, given = inputs["fine_tuning"], (overrides or {}).get(network, {}).get("settings", {}).get("optimiser", {})
    changed: dict[str, Any] = deepcopy(inputs)
    optimiser = changed.get(network, {}).get("settings", {}).get("optimiser", {})  # what is missing is refused later
    if "learning_rate" not in given and "learning_rate" in optimiser:
        optimiser["learning_rate"] *= tuning["learning_rate_factor"]
    if not {"max_epochs", "min_steps", "max_steps"} & set(given) and "min_steps" in optimiser:
        optimiser["min_steps"] = optimiser["max_steps"] = round(tuning["steps_factor"] * optimiser["min_steps"])
    return changed


def fill_training(
    builder: Any,
    code: AbstractCode,
    network: str,
    inputs: Mapping[str, Any],
    seed: int,
    targets: list[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> None:
    """Set on the builder (or namespace) of a TrainWorkChain what the protocol says of one network.

    :param inputs: the protocol ``train``, with overrides.
    :raises ValueError: an unknown network, or settings that are not accepted.
    """
    networks = [name for name in NETWORKS if name in inputs]
    if network not in networks:
        raise ValueError(f"network {network!r} is not known; there are {', '.join(networks)}")
    settings = {"network": network, "seed": seed, **inputs[network]["settings"]}
    if targets is not None:
        settings["targets"] = targets
    monitor = dict(inputs["monitor"])
    interval = monitor.pop("minimum_poll_interval")
    builder.max_iterations = Int(inputs["max_iterations"])
    builder.clean_workdir = Bool(inputs["clean_workdir"])
    builder.train.code = code
    builder.train.settings = settings
    builder.train.metadata.options = {**inputs[network]["options"], **(options or {})}
    builder.train.monitors = {
        "training": Dict({"entry_point": "icsg3d.training", "minimum_poll_interval": interval, "kwargs": monitor})
    }


def default_optimiser(name: str) -> Any:
    """Return the default of a setting of the optimiser."""
    from icsg3d_models.settings import Optimiser

    return Optimiser.model_fields[name].default


def checkpoint_of(node: CalcJobNode) -> RemoteData | RemoteStashFolderData | None:
    """Return the folder, or the stash, with the checkpoint of a job; None: it left none, or the machine is away."""
    if "remote_folder" not in node.outputs:
        return None
    folder: RemoteData = node.outputs.remote_folder
    try:
        if folder.listdir(CHECKPOINT):
            return folder
    except (OSError, TransportInternalError):  # no such folder, or the machine does not answer
        pass
    stash = stash_of(node)
    return stash if stash is not None and is_there(stash, CHECKPOINT) else None


def last_epoch(node: CalcJobNode) -> float | None:
    """Return the last epoch in the metrics of a job, None where it got nowhere."""
    if "metrics" not in node.outputs:
        return None
    return float(node.outputs.metrics.get_array("epoch")[-1])

"""WorkChain that trains every network on one dataset, which it may build first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessBuilder, ToContext, WorkChain, if_
from aiida.orm import AbstractCode, FolderData, ProcessNode, SinglefileData

from ..calculations.exit_codes import declare, failed_child
from ..calculations.prepare import PrepareCalculation
from ..data import CrystalDatasetData, TrainedModelData
from ..data.fingerprints import join_fingerprints
from .train import TrainWorkChain, fill_training, fine_tuning_protocol, training_protocol

NETWORKS = ("unet", "vae", "prior", "cgcnn")
KEPT = ("unet", "vae", "cgcnn")
"""Networks that may be those of an earlier set; a prior is always trained, on from that of the set."""


class TrainAllWorkChain(WorkChain):
    """(Source ->) dataset -> U-Net -> VAE -> prior; the CGCNN needs only the dataset and runs beside them.

    With ``start_from``, U-Net and VAE are those of an earlier set, and its prior learns on.
    """

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.expose_inputs(
            PrepareCalculation, namespace="prepare",
            namespace_options={"required": False, "populate_defaults": False,
                               "help": "Build the dataset first; leave out where `dataset` is given."},
        )  # fmt: skip
        spec.input(
            "dataset", valid_type=CrystalDatasetData, required=False,
            help="Crystals, properties and split; leave out where it is built first.",
        )  # fmt: skip
        for network in NETWORKS:
            spec.expose_inputs(
                TrainWorkChain,
                namespace=network,
                exclude=("train.dataset", "train.unet", "train.vae"),
                namespace_options={"help": f"Inputs of the TrainWorkChain of the {network}.",
                                   "required": network not in KEPT, "populate_defaults": network not in KEPT},
            )  # fmt: skip
            spec.output(network, valid_type=TrainedModelData, required=False, help=f"The trained {network}.")
        spec.input_namespace("start_from", required=False, help="Of an earlier set, in place of a training.")
        for network in KEPT:
            spec.input(f"start_from.{network}", valid_type=TrainedModelData, required=False,
                       help=f"The {network}, kept as it is; leave its namespace out.")  # fmt: skip
        spec.input("start_from.fingerprint", valid_type=SinglefileData, required=False,
                   help="Of what that set was trained on: no crystal of it is new, either.")  # fmt: skip
        spec.output("dataset", valid_type=CrystalDatasetData, required=False, help="Where it was built here.")
        spec.output("fingerprint", valid_type=SinglefileData, required=False,
                    help="Of the training set, and of that of the set it started from.")  # fmt: skip
        spec.inputs.validator = validate_data
        steps: Any = cls
        spec.outline(
            if_(steps.should_prepare)(steps.prepare, steps.take_dataset),
            steps.train_unet_and_cgcnn,
            steps.train_vae,
            steps.train_prior,
            steps.wait_for_cgcnn,
            steps.results,
        )
        declare(
            spec,
            "ERROR_PREPARE_FAILED",
            "ERROR_NOTHING_REBUILT",
            *(f"ERROR_{network.upper()}_FAILED" for network in NETWORKS),
        )

    @classmethod
    def get_builder_from_protocol(
        cls,
        code: AbstractCode,
        dataset: CrystalDatasetData | None = None,
        *,
        source: SinglefileData | FolderData | None = None,
        preparation: Mapping[str, Any] | None = None,
        start_from: Mapping[str, Any] | None = None,
        targets: list[str] | None = None,
        conditions: list[str] | None = None,
        seed: int = 0,
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
        preparation_options: Mapping[str, Any] | None = None,
    ) -> ProcessBuilder:
        """Return a builder filled in by a protocol.

        :param source: build the dataset of this first, in place of ``dataset``.
        :param preparation: settings of the stage prepare.
        :param start_from: ``unet``, ``vae``, ``prior``, ``cgcnn`` and ``fingerprint`` of an earlier set: U-Net and VAE
            are kept, the prior learns on, fewer steps at a lower rate; the CGCNN is kept where the data have no
            property.
        :param targets: properties the CGCNN predicts; default: all of the dataset.
        :param conditions: properties the prior is conditioned on; default: none, or those of the prior it starts from.
        :param overrides: of the protocol ``train``, for example ``{'vae': {'settings': {...}}}``.
        :param options: AiiDA's ``metadata.options`` of the training jobs, above those of the protocol;
            ``preparation_options`` those of the preparation.
        :raises ValueError: an unknown protocol or key, a dataset without properties, or something that an earlier set
            does not leave open.
        """
        if (dataset is None) == (source is None):
            raise ValueError("give either a `dataset` or a `source` to build one of")
        builder: Any = cls.get_builder()
        if dataset is not None:
            name, properties = dataset.base.attributes.get("name"), list(dataset.properties)
            builder.dataset = dataset
        else:
            settings = {"seed": seed, **(preparation or {})}
            name, properties = settings.get("name"), list(settings.get("properties", {}))
            builder.prepare.code = code
            builder.prepare.source = source
            builder.prepare.settings = settings
            builder.prepare.metadata.options = dict(preparation_options or {})
        start = dict(start_from or {})
        targets = properties if targets is None else targets
        if not targets and "cgcnn" not in start:
            raise ValueError(f"dataset {name!r} has no property for the cgcnn to predict")
        if lost := sorted({*targets, *(conditions or ())} - set(properties)):
            raise ValueError(f"dataset {name!r} has no {', '.join(lost)}; it has {', '.join(properties) or 'nothing'}")
        inputs = training_protocol(protocol, overrides)
        if start:
            kept = [*KEPT] if not targets else ["unet", "vae"]
            check_start(start, conditions, [network for network in kept if network in (overrides or {})])
            inputs, conditions = fine_tuning_protocol(inputs, "prior", overrides), None
            builder.prior.train.initial = start.pop("prior")
            builder.start_from = {name: one for name, one in start.items() if name in (*kept, "fingerprint")}
        for network in NETWORKS:
            if network in builder.start_from:
                continue
            wanted = {"cgcnn": targets, "prior": conditions}.get(network)
            fill_training(builder[network], code, network, inputs, seed, wanted, options)
        return builder

    def should_prepare(self) -> bool:
        """Tell whether the dataset is to be built."""
        return "prepare" in self.inputs

    def prepare(self) -> ToContext:
        """Build the dataset."""
        inputs = AttributeDict(self.exposed_inputs(PrepareCalculation, "prepare"))
        inputs.metadata.call_link_label = "prepare"
        node = self.submit(PrepareCalculation, **inputs)
        self.report(f"launching PrepareCalculation<{node.pk}>")
        return ToContext(prepare=node)

    def take_dataset(self) -> ExitCode | None:
        """Go on with the dataset that was built."""
        node = self.ctx.prepare
        if not node.is_finished_ok:
            return failed_child(self.exit_codes, "ERROR_PREPARE_FAILED", node)
        self.ctx.dataset = node.outputs.dataset
        self.out("dataset", self.ctx.dataset)
        return None

    def submit_training(self, network: str, **models: TrainedModelData) -> ProcessNode:
        """Submit the training of one network."""
        inputs = AttributeDict(self.exposed_inputs(TrainWorkChain, network))
        inputs.train.dataset = self.ctx.dataset if "dataset" in self.ctx else self.inputs.dataset
        inputs.train.update(models)
        inputs.metadata.call_link_label = network
        node = self.submit(TrainWorkChain, **inputs)
        self.report(f"launching TrainWorkChain<{node.pk}> of the {network}")
        return node

    def model_of(self, network: str) -> TrainedModelData | None:
        """Return a network that was trained here or is kept; None: its training failed."""
        if network not in self.inputs:
            model: TrainedModelData = self.inputs.start_from[network]
            return model
        ended = network in self.ctx and self.ctx[network].is_finished_ok
        return self.ctx[network].outputs.model if ended else None

    def failure(self, network: str) -> ExitCode | None:
        """Return the exit code where the training of a network failed."""
        node = self.ctx[network]
        if node.is_finished_ok:
            return None
        return failed_child(self.exit_codes, f"ERROR_{network.upper()}_FAILED", node)

    def train_unet_and_cgcnn(self) -> ToContext | None:
        """Start both; wait for the U-Net only."""
        if "cgcnn" in self.inputs:
            self.ctx.cgcnn = self.submit_training("cgcnn")
        return ToContext(unet=self.submit_training("unet")) if "unet" in self.inputs else None

    def train_vae(self) -> ToContext | None:
        """Train the VAE upon the U-Net."""
        return self.next_training("vae", "unet") if "vae" in self.inputs else None

    def train_prior(self) -> ToContext | None:
        """Train the prior upon the VAE; with the U-Net, the set is tried at its end."""
        return self.next_training("prior", "vae", "unet")

    def next_training(self, network: str, *before: str) -> ToContext | None:
        """Train a network upon those before; nothing where one of them failed, so that the CGCNN is not lost."""
        models = {name: model for name in before if (model := self.model_of(name)) is not None}
        if len(models) < len(before):
            return None
        return ToContext(**{network: self.submit_training(network, **models)})

    def wait_for_cgcnn(self) -> ToContext | None:
        """Wait for the CGCNN, which ran beside the others."""
        return ToContext(cgcnn=self.ctx.cgcnn) if "cgcnn" in self.ctx else None

    def results(self) -> ExitCode | None:
        """Attach every model there is, and return the exit code of the first training that failed."""
        trained = [network for network in NETWORKS if network in self.ctx]
        for network in NETWORKS:
            if network not in self.inputs:
                self.out(network, self.inputs.start_from[network])
            elif network in trained and "model" in self.ctx[network].outputs:
                self.out(network, self.ctx[network].outputs.model)
        self.attach_fingerprint()
        return next(filter(None, map(self.failure, trained)), None) or self.outcome_of_the_trial()

    def attach_fingerprint(self) -> None:
        """Attach the fingerprint of all that the set was trained on, where it is known."""
        own = None
        if "cgcnn" in self.ctx and "fingerprint" in self.ctx.cgcnn.outputs:
            own = self.ctx.cgcnn.outputs.fingerprint
        before = self.inputs.get("start_from", {}).get("fingerprint")
        if before is not None:
            dataset = self.ctx.dataset if "dataset" in self.ctx else self.inputs.dataset
            own = join_fingerprints(own or dataset, before)
        if own is not None:
            self.out("fingerprint", own)

    def outcome_of_the_trial(self) -> ExitCode | None:
        """Report how the trained set did, and return an exit code where nothing came out of it."""
        node = self.ctx.prior
        results = node.outputs.results.get_dict() if "results" in node.outputs else {}
        trial = results.get("tables", {}).get("trial")
        if trial is None:
            return None
        self.report(results["message"])
        if trial["prior"]:
            return None
        name, message = node.process_label, results["message"]
        return self.exit_codes.ERROR_NOTHING_REBUILT.format(label=name, pk=node.pk, message=message)


def check_start(start: Mapping[str, Any], conditions: list[str] | None, settled: list[str]) -> None:
    """Check that nothing is asked of what an earlier set has settled.

    :param settled: networks that are kept and that something is set of.
    :raises ValueError: it has no prior, other conditions are asked for, or something is set of a network that is kept.
    """
    if lost := [name for name in ("unet", "vae", "prior") if name not in start]:
        raise ValueError(f"the set to start from has no {', '.join(lost)}")
    own = start["prior"].config.get("targets", [])
    if conditions and (foreign := sorted(set(conditions) - set(own))):
        raise ValueError(
            f"the prior that it starts from can aim at {', '.join(own) or 'no property'}, and not at "
            f"{', '.join(foreign)}; leave the condition out, or train from nothing"
        )
    if settled:
        raise ValueError(
            f"{', '.join(settled)}: kept as the set that it starts from has them; nothing can be set of it"
        )


def validate_data(inputs: Mapping[str, Any], ports: Any) -> str | None:
    """Return what is wrong with the data to train on, or with what is trained."""
    if "dataset" not in ports:
        return None
    if ("dataset" in inputs) == ("prepare" in inputs):
        return "give either the `dataset` to train on, or `prepare` to build it first"
    kept = [network for network in KEPT if network in inputs.get("start_from", {})]
    for network in KEPT:
        if (network in inputs) == (network in kept):
            return f"give either the namespace `{network}` to train it, or `start_from.{network}` to keep one"
    if "vae" in kept and "unet" not in kept:
        return "a VAE is of one U-Net; where `start_from.vae` is given, give `start_from.unet`, too"
    return None

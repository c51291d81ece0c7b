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
from .train import TrainWorkChain, fill_training, training_protocol

NETWORKS = ("unet", "vae", "prior", "cgcnn")


class TrainAllWorkChain(WorkChain):
    """(Source ->) dataset -> U-Net -> VAE -> prior; the CGCNN needs only the dataset and runs beside them."""

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
                namespace_options={"help": f"Inputs of the TrainWorkChain of the {network}."},
            )
            spec.output(network, valid_type=TrainedModelData, required=False, help=f"The trained {network}.")
        spec.output("dataset", valid_type=CrystalDatasetData, required=False, help="Where it was built here.")
        spec.output("fingerprint", valid_type=SinglefileData, required=False, help="Of the training set.")
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
        :param targets: properties the CGCNN predicts; default: all of the dataset.
        :param conditions: properties the prior is conditioned on; default: none.
        :param overrides: of the protocol ``train``, for example ``{'vae': {'settings': {...}}}``.
        :param options: AiiDA's ``metadata.options`` of the training jobs, above those of the protocol;
            ``preparation_options`` those of the preparation.
        :raises ValueError: an unknown protocol or key, or a dataset without properties.
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
        targets = properties if targets is None else targets
        if not targets:
            raise ValueError(f"dataset {name!r} has no property for the cgcnn to predict")
        if lost := sorted({*targets, *(conditions or ())} - set(properties)):
            raise ValueError(f"dataset {name!r} has no {', '.join(lost)}; it has {', '.join(properties) or 'nothing'}")
        inputs = training_protocol(protocol, overrides)
        for network in NETWORKS:
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

    def failure(self, network: str) -> ExitCode | None:
        """Return the exit code where the training of a network failed."""
        node = self.ctx[network]
        if node.is_finished_ok:
            return None
        return failed_child(self.exit_codes, f"ERROR_{network.upper()}_FAILED", node)

    def train_unet_and_cgcnn(self) -> ToContext:
        """Start both; wait for the U-Net only."""
        self.ctx.cgcnn = self.submit_training("cgcnn")
        return ToContext(unet=self.submit_training("unet"))

    def train_vae(self) -> ToContext | None:
        """Train the VAE upon the U-Net."""
        return self.next_training("unet", "vae")

    def train_prior(self) -> ToContext | None:
        """Train the prior upon the VAE; with the U-Net, the set is tried at its end."""
        return self.next_training("vae", "prior", "unet")

    def next_training(self, before: str, network: str, *others: str) -> ToContext | None:
        """Train a network upon the one before; nothing where that one failed, so that the CGCNN is not lost."""
        if before not in self.ctx or not self.ctx[before].is_finished_ok:
            return None
        models = {name: self.ctx[name].outputs.model for name in (before, *others)}
        return ToContext(**{network: self.submit_training(network, **models)})

    def wait_for_cgcnn(self) -> ToContext:
        """Wait for the CGCNN, which ran beside the others."""
        return ToContext(cgcnn=self.ctx.cgcnn)

    def results(self) -> ExitCode | None:
        """Attach every model there is, and return the exit code of the first training that failed."""
        trained = [network for network in NETWORKS if network in self.ctx]
        for network in trained:
            if "model" in self.ctx[network].outputs:
                self.out(network, self.ctx[network].outputs.model)
        if "fingerprint" in self.ctx.cgcnn.outputs:
            self.out("fingerprint", self.ctx.cgcnn.outputs.fingerprint)
        return next(filter(None, map(self.failure, trained)), None) or self.outcome_of_the_trial()

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


def validate_data(inputs: Mapping[str, Any], ports: Any) -> str | None:
    """Return what is wrong with the data to train on."""
    if "dataset" not in ports or ("dataset" in inputs) != ("prepare" in inputs):
        return None
    return "give either the `dataset` to train on, or `prepare` to build it first"

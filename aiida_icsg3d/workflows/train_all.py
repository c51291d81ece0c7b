"""WorkChain that trains every network on one dataset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida.common import AttributeDict
from aiida.engine import ExitCode, ProcessBuilder, ToContext, WorkChain
from aiida.orm import AbstractCode, ProcessNode, SinglefileData

from ..calculations.exit_codes import declare, failed_child
from ..data import CrystalDatasetData, TrainedModelData
from .protocols import load_protocol
from .train import TrainWorkChain, fill_training

NETWORKS = ("unet", "vae", "prior", "cgcnn")


class TrainAllWorkChain(WorkChain):
    """Dataset -> U-Net -> VAE -> prior; the CGCNN needs only the dataset and runs beside them."""

    @classmethod
    def define(cls, spec: Any) -> None:
        """Declare inputs, outline, outputs and exit codes."""
        super().define(spec)
        spec.input("dataset", valid_type=CrystalDatasetData, help="Crystals, properties and split.")
        for network in NETWORKS:
            spec.expose_inputs(
                TrainWorkChain,
                namespace=network,
                exclude=("train.dataset", "train.unet", "train.vae"),
                namespace_options={"help": f"Inputs of the TrainWorkChain of the {network}."},
            )
            spec.output(network, valid_type=TrainedModelData, required=False, help=f"The trained {network}.")
        spec.output("fingerprint", valid_type=SinglefileData, required=False, help="Of the training set.")
        spec.outline(cls.train_unet_and_cgcnn, cls.train_vae, cls.train_prior, cls.wait_for_cgcnn, cls.results)
        declare(spec, *(f"ERROR_{network.upper()}_FAILED" for network in NETWORKS))

    @classmethod
    def get_builder_from_protocol(
        cls,
        code: AbstractCode,
        dataset: CrystalDatasetData,
        *,
        targets: list[str] | None = None,
        conditions: list[str] | None = None,
        seed: int = 0,
        protocol: str | None = None,
        overrides: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> ProcessBuilder:
        """Return a builder filled in by a protocol.

        :param targets: properties the CGCNN predicts; default: all of the dataset.
        :param conditions: properties the prior is conditioned on; default: none.
        :param overrides: of the protocol ``train``, for example ``{'vae': {'settings': {...}}}``.
        :param options: AiiDA's ``metadata.options`` of all jobs, above those of the protocol.
        :raises ValueError: an unknown protocol or key, or a dataset without properties.
        """
        if targets is None:
            targets = list(dataset.properties)
        if not targets:
            name = dataset.base.attributes.get("name")
            raise ValueError(f"dataset {name!r} has no property for the cgcnn to predict")
        inputs = load_protocol("train", protocol, overrides)
        builder = cls.get_builder()
        builder.dataset = dataset
        for network in NETWORKS:
            wanted = {"cgcnn": targets, "prior": conditions}.get(network)
            fill_training(builder[network], code, network, inputs, seed, wanted, options)
        return builder

    def submit_training(self, network: str, **models: TrainedModelData) -> ProcessNode:
        """Submit the training of one network."""
        inputs = AttributeDict(self.exposed_inputs(TrainWorkChain, network))
        inputs.train.dataset = self.inputs.dataset
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
        """Train the prior upon the VAE."""
        return self.next_training("vae", "prior")

    def next_training(self, before: str, network: str) -> ToContext | None:
        """Train a network upon the one before; nothing where that one failed, so that the CGCNN is not lost."""
        if before not in self.ctx or not self.ctx[before].is_finished_ok:
            return None
        return ToContext(**{network: self.submit_training(network, **{before: self.ctx[before].outputs.model})})

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
        return next(filter(None, map(self.failure, trained)), None)

"""What a training is asked for: checked before anything starts, then a builder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.common.exceptions import NotExistent
from aiida.engine import ProcessBuilder

from ..data import CrystalDatasetData
from ..setup.codes import find_code
from ..setup.models import collect_models, find_fingerprint
from .job_options import job_options

STAGES = ("prepare", "train")


@dataclass(frozen=True)
class Training:
    """A training of U-Net, VAE, prior and CGCNN, in the words of a person.

    :param source: a CSV with a column of CIFs, a folder or .zip of CIFs, or an extxyz file; or give ``dataset``.
    :param properties: name of a property -> column or key of the source that holds it.
    :param units: name of a property -> its unit.
    :param name: of the dataset; None: after the source.
    :param start_from: a shipped set, or a training run: its U-Net and VAE are kept, its prior learns on.
    :param targets: properties that the CGCNN predicts; None: all.
    :param conditions: properties that the prior can aim at.
    :param epochs: network -> how many; the others as the protocol says.
    :param options: YAML file, or mapping: ``icsg3d``, ``prepare`` or ``train`` -> AiiDA's ``metadata.options``.
    """

    source: Path | None = None
    dataset: int | str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    cif_column: str = "cif"
    id_column: str = "material_id"
    name: str | None = None
    start_from: str | None = None
    targets: Sequence[str] | None = None
    conditions: Sequence[str] | None = None
    protocol: str = "fast"
    epochs: Mapping[str, int] = field(default_factory=dict)
    seed: int = 0
    code: str = "icsg3d@localhost"
    options: Path | Mapping[str, Any] | None = None

    def builder(self) -> ProcessBuilder:
        """Return the builder of the TrainAllWorkChain; nothing is stored.

        :raises ValueError: a code, file or dataset that is missing, or something that does not fit together.
        """
        from ..workflows.train_all import TrainAllWorkChain

        code = find_code(self.code, "icsg3d.train", "icsg3d")
        options = job_options(self.options, {"icsg3d": code}, STAGES)
        if self.source is not None and self.dataset is not None:
            raise ValueError("--source and --dataset are both given; give the data to build a dataset of, or a dataset")
        said = {"--property": self.properties, "--unit": self.units, "--name": self.name}
        if self.dataset is not None and (given := [option for option, value in said.items() if value]):
            raise ValueError(
                f"--dataset {self.dataset} has its properties and name; {', '.join(given)} cannot change it"
            )
        if unknown := sorted(set(self.units) - set(self.properties)):
            raise ValueError(f"a unit for {', '.join(unknown)}, which no --property names")
        data: dict[str, Any] = {"dataset": self._load_dataset()} if self.source is None else {
            "source": source_node(self.source),
            "preparation": {"name": self.name or self.source.name.split(".")[0], "properties": dict(self.properties),
                            "units": dict(self.units), "cif_column": self.cif_column, "id_column": self.id_column},
            "preparation_options": options.get("prepare"),
        }  # fmt: skip
        return TrainAllWorkChain.get_builder_from_protocol(
            code,
            **data,
            start_from=self._start(),
            targets=list(self.targets) if self.targets else None,
            conditions=list(self.conditions) if self.conditions else None,
            seed=self.seed,
            protocol=self.protocol,
            overrides={
                network: {"settings": {"optimiser": {"max_epochs": count}}} for network, count in self.epochs.items()
            },
            options=options.get("train"),
        )

    def _start(self) -> dict[str, Any]:
        """Return the models to start from, and the fingerprint of what they were trained on."""
        if self.start_from is None:
            return {}
        models = collect_models([self.start_from], store=False)
        predictors = list(models.pop("predictors").values())
        fingerprint = find_fingerprint(self.start_from)
        return {**models, "cgcnn": predictors[0], **({"fingerprint": fingerprint} if fingerprint is not None else {})}

    def _load_dataset(self) -> CrystalDatasetData:
        """Return the dataset that is named."""
        if self.dataset is None:
            raise ValueError("nothing to train on: give --source, or --dataset with the PK of one of this profile")
        try:
            node: Any = orm.load_node(self.dataset)
        except NotExistent:
            raise ValueError(f"there is no node {self.dataset} in this profile") from None
        if not isinstance(node, CrystalDatasetData):
            raise ValueError(f"node {self.dataset} is a {type(node).__name__}, not a dataset")
        return node


def source_node(path: Path) -> orm.SinglefileData | orm.FolderData:
    """Return a file or folder as a node, not stored.

    :raises ValueError: there is no such path.
    """
    if path.is_dir():
        return orm.FolderData(tree=str(path.resolve()))
    if path.is_file():
        return orm.SinglefileData(path.resolve())
    raise ValueError(f"{path}: no such file or folder")

"""A node that holds a trained network: safetensors weights with configuration and model card."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from aiida.common.exceptions import ValidationError
from aiida.orm import QueryBuilder, SinglefileData
from aiida.orm.implementation.utils import clean_value
from aiida.orm.nodes.caching import NodeCaching

from icsg3d_models.networks.model_file import NETWORKS, ModelHeader, file_hash, stored_header

from ..values import storable
from .source import Source, as_file


class TrainedModelCaching(NodeCaching):
    """Two model nodes are the same where the files are, byte by byte."""

    def get_objects_to_hash(self) -> dict[str, Any]:
        """Return what decides the hash of the node."""
        return {"class": type(self._node).__name__, "sha256": self._node.sha256}


class TrainedModelData(SinglefileData):
    """A model file, checked when it is set and again when the node is stored. Needs no torch.

    Queryable attributes: ``network``, ``class_name``, ``config``, ``card`` (data, split, seed, metrics), ``sha256``,
    ``n_bytes``; files of earlier releases have no class name.
    """

    DEFAULT_FILENAME = "model.safetensors"
    _CLS_NODE_CACHING = TrainedModelCaching

    def set_file(self, file: Source, filename: str | Path | None = None) -> None:
        """Take the content of a model file, given as a path or a binary stream.

        :raises icsg3d_models.networks.model_file.ModelFileError: a pickle, truncated, foreign, or of a newer release.
        """
        with as_file(file, self.DEFAULT_FILENAME) as path:
            attributes = describe_model(path)
            super().set_file(str(path), filename=filename or self.DEFAULT_FILENAME)
        self.base.attributes.set_many(attributes)

    def _validate(self) -> bool:
        """Check that file and attributes belong together."""
        super()._validate()
        with self.as_path() as path:
            found = describe_model(path)
        differing = sorted(key for key in found if found[key] != self.base.attributes.get(key, None))
        if differing:
            raise ValidationError(
                f"the attributes {', '.join(differing)} are not those of the model file; "
                "change the file by `set_file` and leave the attributes alone"
            )
        return True

    @classmethod
    def get_or_create(cls, source: Source, filename: str | None = None, store: bool = True) -> TrainedModelData:
        """Return the stored node with this content; where there is none a new one, stored unless ``store`` is False."""
        node = cls(source, filename)
        known = QueryBuilder().append(cls, filters={"attributes.sha256": node.sha256}).first(flat=True)
        if known is not None:
            return known
        return node.store() if store else node

    @classmethod
    def from_pretrained(cls, name: str, network: str, store: bool = True) -> TrainedModelData:
        """Return the node of a model that ships with the package.

        :param name: of the set of models, for example ``perov5``.
        :param network: one of ``unet``, ``vae``, ``prior``, ``cgcnn``.
        :param store: False: a model that is not in the profile yet stays out of it.
        :raises ValueError: no such model; the message lists those there are.
        """
        folder = files("icsg3d_models") / "pretrained"
        entry = folder / name / f"{network}.safetensors"
        if not entry.is_file():
            sets = sorted(e.name for e in folder.iterdir() if e.is_dir()) if folder.is_dir() else []
            raise ValueError(
                f"no pretrained model {name}/{network}; the sets are {', '.join(sets) or '(none installed)'}, "
                f"the networks {', '.join(NETWORKS)}"
            )
        with entry.open("rb") as stream:
            node = cls.get_or_create(stream, store=store)
        if node.network != network:
            raise ValueError(f"the pretrained file {name}/{network} holds a {node.network} network")
        return node

    @property
    def network(self) -> str:
        """Kind of network: one of :data:`icsg3d_models.networks.model_file.NETWORKS`."""
        return self.base.attributes.get("network")

    @property
    def class_name(self) -> str:
        """Class of the network: one of :data:`icsg3d_models.networks.classes.CLASSES`."""
        return self._header().class_name

    @property
    def config(self) -> dict[str, Any]:
        """Configuration the network is rebuilt from, of files of earlier releases as this one writes it."""
        return self._header().config

    def _header(self) -> ModelHeader:
        """Return what the file says of itself, as this release writes it."""
        get = self.base.attributes.get
        return ModelHeader(get("network"), get("config"), get("card"), get("class_name", "")).upgraded()

    def fitted_to(self, vae: TrainedModelData) -> bool:
        """Tell whether a prior was fitted to a VAE, as far as it says to which."""
        named = self.config.get("vae_sha256")
        return not named or named in (vae.sha256, *vae.card.get("formerly", []))

    @property
    def card(self) -> dict[str, Any]:
        """Model card: data and its hash, split, seed, metrics, versions."""
        return self.base.attributes.get("card")

    @property
    def sha256(self) -> str:
        """SHA-256 of the file."""
        return self.base.attributes.get("sha256")


def describe_model(path: Path) -> dict[str, Any]:
    """Return the queryable attributes of a model file.

    :raises icsg3d_models.networks.model_file.ModelFileError: a pickle, truncated, foreign, or of a newer release.
    """
    header = stored_header(path)
    return {
        "network": header.network,
        **({"class_name": header.class_name} if header.class_name else {}),
        # rounded as the database does on storing, so that a node read back or cloned still has these values
        "config": clean_value(storable(header.config)),
        "card": clean_value(storable(header.card)),
        "sha256": file_hash(path),
        "n_bytes": path.stat().st_size,
    }

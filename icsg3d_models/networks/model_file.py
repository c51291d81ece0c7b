"""Model files: safetensors weights with the network's configuration and model card in the header.

A model file is one ``.safetensors``; its header holds ``format``, ``format_version``, ``network``, ``class``,
``config`` (JSON) and ``card`` (JSON). Nothing in it can run code. Reading the header needs no torch. Files of earlier
releases are read as if this one had written them, see upgrade.py.

The header is read here and not by ``safetensors.safe_open``: nodes are checked by it where safetensors is not
installed, and what it says ("header too large" of a pickle) names neither the fault nor what to do. The tensors are
read by safetensors, which checks all that is not looked at here.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .classes import CLASSES
from .formats.quantisation import STEP, restored
from .formats.upgrade import former_class, upgraded_config, upgraded_weights

if TYPE_CHECKING:
    import torch

FORMAT = "icsg3d-model"
FORMAT_VERSION = 3  # 2: weights in eight bits; 3: the header names the class of the network
PREDICTORS = ("cgcnn", "voxelnet")  # networks that predict properties
NETWORKS = ("unet", "vae", "prior", *PREDICTORS)
_LONGEST_HEADER = 32 * 1024 * 1024


class ModelFileError(ValueError):
    """A model file that cannot be used; the message names the file, what was expected and what to do."""


@dataclass(frozen=True)
class ModelHeader:
    """What a model file says of itself.

    :param network: one of :data:`NETWORKS`.
    :param config: the network's configuration.
    :param card: where it comes from: data, hash, split, seed, command, metrics; ``formerly``: SHA-256 of the same
        weights in files of earlier releases.
    :param class_name: of the network, one of :data:`.classes.CLASSES`; empty in files of earlier releases.
    """

    network: str
    config: dict[str, Any]
    card: dict[str, Any]
    class_name: str = ""

    def upgraded(self) -> ModelHeader:
        """Return the header as this release writes it."""
        class_name = self.class_name or former_class(self.network, self.config)
        return replace(self, class_name=class_name, config=upgraded_config(class_name, self.config))


def read_header(path: str | Path, network: str | tuple[str, ...] | None = None) -> ModelHeader:
    """Return the header of a model file as this release writes it; see :func:`stored_header` for the rest."""
    return stored_header(path, network).upgraded()


def stored_header(path: str | Path, network: str | tuple[str, ...] | None = None) -> ModelHeader:
    """Return the header of a model file as it stands there, after checking that it is one and that it is whole.

    :param network: refuse any other network than this, or than one of these.
    :raises ModelFileError: missing, truncated, foreign, of a newer version, or another network.
    """
    path = Path(path)
    hint = "give a model.safetensors written by `icsg3d train`"
    if not path.is_file():
        raise ModelFileError(f"{path}: no such model file; {hint}")
    size = path.stat().st_size
    with open(path, "rb") as stream:
        start = stream.read(8)
        if start[:2] in (b"PK", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
            raise ModelFileError(f"{path}: a pickle or torch archive, which can run code on loading; {hint}")
        if len(start) < 8:
            raise ModelFileError(f"{path}: {size} bytes, too short for a model file; {hint}")
        length = struct.unpack("<Q", start)[0]
        if not 2 <= length <= min(_LONGEST_HEADER, size - 8):
            raise ModelFileError(f"{path}: not a safetensors file, or cut off within its header; {hint}")
        try:
            header = json.loads(stream.read(length))
            metadata = header.pop("__metadata__", {})
            end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        except (ValueError, KeyError, TypeError, AttributeError, UnicodeDecodeError) as exception:
            raise ModelFileError(f"{path}: the header is no safetensors header; {hint}") from exception
    if 8 + length + end != size:
        raise ModelFileError(
            f"{path}: {size} bytes where the header announces {8 + length + end}; the file is truncated, copy it again"
        )
    if metadata.get("format") != FORMAT:
        raise ModelFileError(f"{path}: a safetensors file of another program; {hint}")
    version = int(metadata.get("format_version", 0))
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: format version {version}, this release reads up to {FORMAT_VERSION}; upgrade aiida-icsg3d"
        )
    found = metadata.get("network", "")
    accepted = (network,) if isinstance(network, str) else network
    if accepted is not None and found not in accepted:
        raise ModelFileError(f"{path}: holds a {found or 'nameless'} network where a {' or '.join(accepted)} is needed")
    class_name = metadata.get("class", "")
    if class_name and (class_name not in CLASSES or CLASSES[class_name].network != found):
        raise ModelFileError(
            f"{path}: a {found} of the class {class_name}, which this release does not have; upgrade aiida-icsg3d"
        )
    return ModelHeader(found, json.loads(metadata["config"]), json.loads(metadata["card"]), class_name)


def load_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a model file, on the CPU, as float32.

    :raises ModelFileError: as :func:`read_header`, or a weight that is not finite.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    header = read_header(path)
    try:
        weights = restored(load_file(path))
    except SafetensorError as exception:
        raise ModelFileError(f"{path}: the weights are damaged ({exception}); copy the file again") from exception
    for name, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ModelFileError(f"{path}: the weight {name} holds NaN or infinity; the training diverged, train again")
    return upgraded_weights(header.class_name, header.config, weights)


def save_model(path: str | Path, header: ModelHeader, weights: dict[str, torch.Tensor]) -> str:
    """Write a model file atomically and return its SHA-256."""
    from safetensors.torch import save

    path = Path(path)
    version = FORMAT_VERSION if header.class_name else 2 if any(name.endswith(STEP) for name in weights) else 1
    metadata = {
        "format": FORMAT,
        "format_version": str(version),
        "network": header.network,
        **({"class": header.class_name} if header.class_name else {}),
        "config": json.dumps(header.config),
        "card": json.dumps(header.card),
    }
    content = save({k: v.detach().cpu().contiguous() for k, v in weights.items()}, metadata=metadata)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_bytes(_sorted_header(content))
    os.replace(temporary, path)
    return file_hash(path)


def _sorted_header(content: bytes) -> bytes:
    """Return a safetensors file with its header in sorted order, so that equal models are equal files."""
    length = struct.unpack("<Q", content[:8])[0]
    header = json.dumps(json.loads(content[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def file_hash(path: str | Path) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

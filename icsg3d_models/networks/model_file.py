"""Model files: safetensors weights with the network's configuration and model card in the header.

A model file is one ``.safetensors``; its header holds ``format``, ``format_version``, ``network``,
``config`` (JSON) and ``card`` (JSON). Nothing in it can run code. Reading the header needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .quantisation import STEP, restored

if TYPE_CHECKING:
    import torch

FORMAT = "icsg3d-model"
FORMAT_VERSION = 2  # of files with weights in eight bits; all others are version 1, which older releases read too
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
    :param card: where it comes from: data, hash, split, seed, command, metrics.
    """

    network: str
    config: dict[str, Any]
    card: dict[str, Any]


def read_header(path: str | Path, network: str | tuple[str, ...] | None = None) -> ModelHeader:
    """Return the header of a model file, after checking that it is one and that it is whole.

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
    return ModelHeader(found, json.loads(metadata["config"]), json.loads(metadata["card"]))


def load_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Return the tensors of a model file, on the CPU, as float32.

    :raises ModelFileError: as :func:`read_header`, or a weight that is not finite.
    """
    import torch
    from safetensors.torch import load_file

    read_header(path)
    weights = restored(load_file(path))
    for name, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ModelFileError(f"{path}: the weight {name} holds NaN or infinity; the training diverged, train again")
    return weights


def save_model(path: str | Path, header: ModelHeader, weights: dict[str, torch.Tensor]) -> str:
    """Write a model file atomically and return its SHA-256."""
    from safetensors.torch import save

    path = Path(path)
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION if any(name.endswith(STEP) for name in weights) else 1),
        "network": header.network,
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

"""Fields of ICSG3D to atoms: the U-Net's mask and elements, cut by the recursive watershed."""

from __future__ import annotations

from typing import ClassVar

import h5py
import numpy as np
import torch
from torch import Tensor

from ...fields.seeds.icsg3d_box import CLASSES, fractional
from ...networks.seeds.icsg3d_unet import ICSG3DUNet
from ...results import StageError
from ...settings import SegmentSettings
from .recursive_watershed import atoms_of, read_atoms


class ICSG3DSegmenter:
    """Segments densities and coordinates as published.

    :param allowed: atomic numbers that may be named.
    """

    reads: ClassVar[tuple[str, ...]] = ("occupancy", "coordinates")

    def __init__(self, unet: ICSG3DUNet, settings: SegmentSettings, allowed: list[int]) -> None:
        self.unet, self.settings = unet, settings
        barred = torch.ones(CLASSES, dtype=torch.bool)
        barred[[0, *allowed]] = False
        self.barred = barred if set(allowed) != set(unet.config.elements) else torch.zeros_like(barred)

    def check(self, group: h5py.Group) -> None:
        """Refuse fields on a grid that the U-Net was not trained on."""
        n = self.unet.config.grid
        shapes = group["occupancy"].shape[1:], group["coordinates"].shape[1:]
        if shapes != ((n, n, n), (3, n, n, n)):
            raise StageError(
                "input_incompatible",
                f"{self.settings.fields}: fields of {shapes[0]} and {shapes[1]}, but {self.settings.unet} takes a grid "
                f"of {n}; use a VAE and a U-Net that were trained together",
            )

    @torch.no_grad()
    def cut(self, fields: dict[str, Tensor]) -> dict[str, np.ndarray]:
        """Return what goes into the segment file, of B samples.

        :param fields: ``occupancy`` (B, n, n, n) and ``coordinates`` (B, 3, n, n, n).
        """
        x = torch.cat([fields["occupancy"][:, None], fields["coordinates"]], dim=1)
        logits, mask = self.unet(x)
        species = logits.masked_fill(self.barred.to(logits.device)[:, None, None, None], -torch.inf).argmax(dim=1)
        return segments_of(
            species.cpu().numpy(), mask.sigmoid().cpu().numpy() >= self.settings.threshold, x.shape[-1],
            self.settings.as_published_watershed,
        )  # fmt: skip


def segments_of(species: np.ndarray, mask: np.ndarray, n: int, as_published: bool = False) -> dict[str, np.ndarray]:
    """Return atoms as the segment file holds them.

    :param species: (B, n, n, n) atomic numbers; ``mask``: (B, n, n, n) bool.
    """
    found = []
    for species_of, inside in zip(species, mask, strict=True):
        atoms = atoms_of(inside, as_published)
        number, place, share, labels = read_atoms(atoms, species_of)
        table = np.zeros(atoms.max() + 1, dtype=np.int64)
        table[labels.astype(int)] = np.arange(1, len(labels) + 1)
        region = table[atoms]
        found.append((region, np.concatenate([[0], number])[region], number, place, share))
    regions, kinds, numbers, places, shares = zip(*found, strict=True)
    where = np.concatenate(places)
    return {
        "region": np.stack(regions).astype(np.uint16),
        "species": np.stack(kinds).astype(np.uint8),
        "count": np.array([len(z) for z in numbers]),
        "peak": np.rint(where).astype(np.int64).clip(0, n - 1),
        "frac": fractional(where, n),
        "number": np.concatenate(numbers),
        "confidence": np.concatenate(shares).astype(np.float32),
    }

"""Densities of Hoffmann et al. to atoms: labels of the U-Net, joined voxels, and the lattice where it repeats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import h5py
import numpy as np
import torch
from torch import Tensor

from ...fields.seeds.hoffmann_box import CLASSES, EDGE, POINTS, SPACING
from ...networks.seeds.hoffmann_unet import HoffmannUNet
from ...results import StageError
from ...settings import SegmentSettings
from .lattice_of_atoms import fold

LEAST_VOXELS = 6  # of an atom, which has 28 in the middle of the box
SAME = 0.35  # Å that two atoms may be apart and still be the same, a point of the grid


@dataclass(frozen=True)
class Atoms:
    """Atoms in a box.

    :param region: (n, n, n) number of the atom of each voxel, 0 for none.
    :param positions: (M, 3) Å; ``numbers``: (M,); ``confidence``: (M,) mean probability of the element.
    :param whole: (M,) whether the atom ends before the faces of the box.
    """

    region: np.ndarray
    positions: np.ndarray
    numbers: np.ndarray
    confidence: np.ndarray
    whole: np.ndarray


class HoffmannSegmenter:
    """Reads atoms and crystals from densities.

    :param allowed: atomic numbers that may be named.
    """

    reads: ClassVar[tuple[str, ...]] = ("occupancy", "cell")

    def __init__(self, unet: HoffmannUNet, settings: SegmentSettings, allowed: list[int]) -> None:
        self.unet, self.settings = unet, settings
        self.barred = torch.ones(CLASSES, dtype=torch.bool)
        self.barred[[0, *allowed]] = False

    def check(self, group: h5py.Group) -> None:
        """Refuse fields that are none of this system."""
        if group["occupancy"].shape[1:] != (POINTS,) * 3:
            raise StageError(
                "input_incompatible",
                f"{self.settings.fields}: fields of {group['occupancy'].shape[1:]}, but {self.settings.unet} takes "
                f"{POINTS} points along an edge; use a VAE and a U-Net that were trained together",
            )

    @torch.no_grad()
    def cut(self, fields: dict[str, Tensor]) -> dict[str, np.ndarray]:
        """Return what goes into the segment file, of B samples.

        :param fields: ``occupancy`` (B, n, n, n), ``cell`` (B, 3, 3) Å.
        """
        logits = self.unet(fields["occupancy"][:, None])
        chances = logits.masked_fill(self.barred.to(logits.device)[:, None, None, None], -torch.inf).sigmoid()
        repeating = self.unet.config.representation == "repeating"
        samples = []
        for chance, cell in zip(chances.cpu().numpy(), fields["cell"].cpu().numpy(), strict=True):
            atoms = read_atoms(chance, self.settings.threshold)
            samples.append(crystal_of(atoms) if repeating else cell_of(atoms, cell))
        joined = {name: [sample[name] for sample in samples] for name in samples[0]}
        together = ("frac", "number", "confidence", "peak")
        return {name: (np.concatenate if name in together else np.stack)(values) for name, values in joined.items()}


def read_atoms(chance: np.ndarray, threshold: float) -> Atoms:
    """Return the atoms of a box: joined voxels in which an element is likelier than the threshold and than nothing.

    The element is that with the highest sum over the voxels; the place is their mean, weighted by it.

    :param chance: (95, n, n, n) probabilities.
    """
    from skimage.measure import label

    best = chance[1:].max(axis=0)
    parts = label((best >= threshold) & (best > chance[0]), connectivity=1)
    region = np.zeros(parts.shape, dtype=np.int64)
    positions, numbers, confidence, whole = [], [], [], []
    where = np.argwhere(parts > 0)
    owner = parts[tuple(where.T)]
    for index in np.unique(owner):
        mine = where[owner == index]
        if len(mine) < LEAST_VOXELS:
            continue
        inside = chance[(slice(1, None), *mine.T)]  # (94, voxels)
        kind = int(inside.sum(axis=1).argmax())
        weight = inside[kind]
        positions.append(SPACING * (weight @ mine) / weight.sum())
        numbers.append(kind + 1)
        confidence.append(float(weight.mean()))
        whole.append(bool((mine > 0).all() and (mine < POINTS - 1).all()))
        region[tuple(mine.T)] = len(numbers)
    return Atoms(
        region, np.array(positions).reshape(-1, 3), np.array(numbers, dtype=np.int64), np.array(confidence),
        np.array(whole, dtype=bool),
    )  # fmt: skip


def crystal_of(atoms: Atoms) -> dict[str, np.ndarray]:
    """Return the crystal that atoms repeat, as rows of the segment file; none where there is no lattice in them."""
    kept = np.flatnonzero(atoms.whole)
    found = fold(atoms.positions[kept], atoms.numbers[kept], EDGE, SAME)
    if isinstance(found, str):
        return _rows(atoms, np.zeros(0, dtype=int), np.zeros((0, 3)), np.zeros(0), EDGE * np.eye(3), found)
    table = np.full(len(atoms.numbers), -1)
    table[kept] = found.owner
    sure = [atoms.confidence[table == site].mean() for site in range(len(found.numbers))]
    return _rows(atoms, found.numbers, found.places, np.array(sure), found.cell, "", table)


def cell_of(atoms: Atoms, cell: np.ndarray) -> dict[str, np.ndarray]:
    """Return the atoms in the cell that is carried beside them, as rows of the segment file."""
    return _rows(atoms, atoms.numbers, atoms.positions, atoms.confidence, cell, "", np.arange(len(atoms.numbers)))


def _rows(
    atoms: Atoms, numbers: np.ndarray, places: np.ndarray, confidence: np.ndarray, cell: np.ndarray, problem: str,
    site: np.ndarray | None = None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return the arrays of one sample.

    :param site: (M,) row of each atom, -1 for none.
    """
    table = np.zeros(len(atoms.numbers) + 1, dtype=np.int64)
    if site is not None:
        table[1:] = site + 1
    region = table[atoms.region]
    return {
        "region": region.astype(np.uint16),
        "species": np.concatenate([[0], numbers])[region].astype(np.uint8),
        "count": np.array(len(numbers)),
        "peak": np.rint(places / SPACING).astype(np.int64).clip(0, POINTS - 1),
        "frac": (places @ np.linalg.inv(cell)) % 1.0,
        "number": numbers.astype(np.int64),
        "confidence": confidence.astype(np.float32),
        "cell": cell.astype(np.float64),
        "problem": np.array(problem.encode(), dtype="S100"),
    }

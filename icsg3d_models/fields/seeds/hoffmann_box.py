"""The box of Hoffmann et al. (arXiv:1909.00949): 30³ points over 10 Å, every atom a Gaussian of 1 Å.

Two representations. ``one``: the atoms of one cell, without periodic images, their mean in the middle of the box; the
cell itself is not in the field. ``repeating``: the crystal without end, in any origin and orientation, as far as the
box shows it; up to some hundred atoms. The density is ``(2π)^(-3/2) Σ Z exp(-d²/2)``, d in Å; labels are the atoms
closer than 0.667 Å (one cell) or 0.65 Å (repeating) to a point, the closest where there are two.

Shapes: B crystals, n points along an edge, M atoms in reach of the box.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ...crystals.batch import Crystals
from ...crystals.elements import SYMBOLS
from ..batches import CrystalBatch

Representation = Literal["one", "repeating"]
EDGE = 10.0  # Å
POINTS = 30  # along an edge, the first and the last on the faces
SIGMA = 1.0  # Å
CLASSES = 95  # no atom, and the elements up to Am
LABELLED: dict[str, float] = {"one": 0.667, "repeating": 0.65}  # Å
REACH = 4.5  # Å beyond the box from where a Gaussian is still felt, 4e-5 of its height
SPACING = EDGE / (POINTS - 1)


def refusals(crystals: Crystals, representation: Representation) -> list[str | None]:
    """Return why each crystal has no place in the box, None where it has."""
    reasons: list[str | None] = []
    for index in range(len(crystals)):
        frac, numbers = crystals.sites(index)
        cell = crystals.cell[index]
        heavy = sorted({int(z) for z in numbers if z >= CLASSES})
        if heavy:
            names = ", ".join(SYMBOLS[z] for z in heavy)
            reasons.append(f"{names}: the system has the elements up to {SYMBOLS[CLASSES - 1]}")
        elif representation == "one" and not _fits(frac @ cell):
            reasons.append(f"the atoms of the cell do not fit into a box of {EDGE:g} Å around their middle")
        elif representation == "repeating" and np.linalg.norm(cell, axis=1).min() >= EDGE:
            reasons.append(f"no lattice vector is shorter than the box of {EDGE:g} Å")
        else:
            reasons.append(None)
    return reasons


def _fits(positions: np.ndarray) -> bool:
    apart = positions - positions.mean(axis=0)
    return bool(np.abs(apart).max(initial=0.0) < EDGE / 2)


def random_turn(generator: torch.Generator) -> Tensor:
    """Return a rotation (3, 3), uniform over all orientations, by a unit quaternion."""
    w, x, y, z = torch.nn.functional.normalize(torch.randn(4, generator=generator), dim=0).tolist()
    return torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def atoms_in_box(
    cell: Tensor, frac: Tensor, representation: Representation, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Return positions (M, 3) Å of the atoms that the box feels, of one crystal, and the site (M,) that each is.

    :param cell: (3, 3) Å; ``frac``: (S, 3).
    :param generator: draws orientation and, of a repeating crystal, origin; None: as the crystal is given, the mean of
        the atoms in the middle or the origin of the cell in the corner of the box.
    """
    turn = torch.eye(3) if generator is None else random_turn(generator)
    vectors = (cell.cpu() @ turn).to(cell)
    if representation == "one":
        positions = frac @ vectors
        return positions - positions.mean(dim=0) + EDGE / 2, torch.arange(len(frac), device=cell.device)
    offset = torch.zeros(3) if generator is None else EDGE * torch.rand(3, generator=generator)
    inverse = torch.linalg.inv(vectors)
    corners = torch.cartesian_prod(*[torch.tensor([-REACH, EDGE + REACH])] * 3).to(cell) + offset.to(cell)
    reach = corners @ inverse  # (8, 3) fractional
    low, high = (reach.amin(dim=0).floor() - 1).long().tolist(), (reach.amax(dim=0).ceil() + 1).long().tolist()
    axes = [torch.arange(a, b + 1, device=cell.device) for a, b in zip(low, high, strict=True)]
    images = torch.cartesian_prod(*axes).to(cell)  # (I, 3)
    positions = ((frac[:, None] + images) @ vectors).reshape(-1, 3) - offset.to(cell)
    inside = ((positions > -REACH) & (positions < EDGE + REACH)).all(dim=1)
    owners = torch.arange(len(frac), device=cell.device)[:, None].expand(-1, len(images)).reshape(-1)[inside]
    return positions[inside], owners


def box_axis(device: torch.device | None = None) -> Tensor:
    """Return the places of the points along an edge, (n,) Å."""
    return torch.linspace(0, EDGE, POINTS, device=device)


def density_of(positions: Tensor, numbers: Tensor) -> Tensor:
    """Return the density of atoms, (n, n, n).

    :param positions: (M, 3) Å; ``numbers``: (M,).
    """
    apart = box_axis(positions.device) - positions[..., None]  # (M, 3, n)
    x, y, z = torch.exp(-0.5 * (apart / SIGMA) ** 2).unbind(1)
    height = numbers * (2 * math.pi) ** -1.5 / SIGMA**3
    plane = (height[:, None, None] * x[:, :, None] * y[:, None, :]).flatten(1)  # (M, n²)
    return (plane.T @ z).reshape(POINTS, POINTS, POINTS)


def density_of_nearest(positions: Tensor, owners: Tensor, numbers: Tensor) -> Tensor:
    """Return the density where of every site only the image nearest to a point counts, as published, (n, n, n).

    :param positions: (M, 3) Å of the images; ``owners``: (M,) site that each is; ``numbers``: (S,) of the sites.
    """
    axis = box_axis(positions.device)
    total = torch.zeros(POINTS, POINTS, POINTS, device=positions.device)
    for site in torch.unique(owners).tolist():
        x, y, z = ((axis - positions[owners == site][..., None]) ** 2).unbind(1)  # (I, n) each
        square = (x[:, :, None, None] + y[:, None, :, None] + z[:, None, None]).amin(dim=0)
        total += numbers[site] * (2 * math.pi) ** -1.5 / SIGMA**3 * torch.exp(-0.5 * square / SIGMA**2)
    return total


def labels_of(positions: Tensor, numbers: Tensor, radius: float) -> Tensor:
    """Return the atomic number of the closest atom within a radius of each point, (n, n, n), 0 for none."""
    axis = box_axis(positions.device)
    labels = torch.zeros((POINTS,) * 3, dtype=torch.long, device=positions.device)
    nearest = torch.full(labels.shape, radius**2, device=positions.device)
    reach = math.ceil(radius / SPACING) + 1
    for position, number in zip(positions, numbers.tolist(), strict=True):
        middle = (position / SPACING).round().long()
        low, high = (middle - reach).clamp(0, POINTS).tolist(), (middle + reach + 1).clamp(0, POINTS).tolist()
        here = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        x, y, z = ((axis[some] - place) ** 2 for some, place in zip(here, position, strict=True))
        square = x[:, None, None] + y[:, None] + z
        closer = square < nearest[here]
        labels[here] = torch.where(closer, number, labels[here])
        nearest[here] = torch.where(closer, square, nearest[here])
    return labels


def fields_of(
    batch: CrystalBatch,
    representation: Representation,
    generator: torch.Generator | None = None,
    nearest_only: bool = False,
) -> tuple[Tensor, Tensor]:
    """Return densities (B, 1, n, n, n) and labels (B, n, n, n) of crystals.

    :param generator: see :func:`atoms_in_box`.
    :param nearest_only: see :func:`density_of_nearest`.
    """
    densities, labels = [], []
    for cell, frac, numbers in zip(batch.cell, batch.frac, batch.numbers, strict=True):
        there = numbers > 0
        positions, owners = atoms_in_box(cell, frac[there], representation, generator)
        kinds = numbers[there][owners]
        if nearest_only:
            densities.append(density_of_nearest(positions, owners, numbers[there]))
        else:
            densities.append(density_of(positions, kinds))
        labels.append(labels_of(positions, kinds, LABELLED[representation]))
    return torch.stack(densities)[:, None], torch.stack(labels)

"""The stage ``segment``: fields to labelled regions, one an atom, each with an element."""

from __future__ import annotations

import math
from typing import ClassVar, Protocol

import h5py
import numpy as np
import torch
from torch import Tensor, nn

from ..devices import select_device
from ..fields.field_file import ArrayWriter, open_arrays
from ..fields.grids import FINEST, Grid, grid_sizes
from ..networks.model_file import file_hash
from ..networks.registry import load_network
from ..networks.seeds.hoffmann_unet import HoffmannUNet
from ..networks.seeds.icsg3d_unet import ICSG3DUNet
from ..networks.unet import UNet
from ..results import Report, StageError
from ..settings import SegmentSettings
from .assignment import MOST_CANDIDATES
from .sample import allowed_elements
from .seeds.hoffmann_segmenter import HoffmannSegmenter
from .seeds.icsg3d_segmenter import ICSG3DSegmenter

UNITS = {
    "region": "number of the region within the sample, 0 where there is no atom; sample,i,j,k",
    "species": "atomic number, 0 where there is no atom; sample,i,j,k",
    "count": "regions of the sample; sample",
    "peak": "index of the voxel with the highest occupancy; region,vector",
    "number": "atomic number; region",
    "confidence": "mean probability of the element over the region; region",
    "candidate": "atomic numbers of the likeliest elements, the likeliest first; region,candidate",
    "frac": "fraction of the cell vectors, where the segmentation places the sites; region,vector",
    "cell": "angstrom, where the segmentation finds it; sample,vector,xyz",
    "problem": "why nothing can be made of the sample, empty where something can; sample",
    "log_probability": "mean log probability of each of these over the region; region,candidate",
}


def watershed(occupancy: Tensor, mask: Tensor) -> Tensor:
    """Assign every voxel of the mask to the maximum that steepest ascent leads to, with periodic boundaries.

    All samples at once: each voxel points to the highest of its 27 neighbours, and pointers are doubled until they
    rest. Ties go to the first neighbour in row order, so a flat pair of voxels has one maximum.

    On a grid over a reduced cell, the vectors to the 26 neighbours hold all that bound a grid point's Voronoi cell,
    so an isolated Gaussian has one maximum, the grid point closest to it. A long sheared cell can have more.

    :param occupancy: (B, nx, ny, nz).
    :param mask: (B, nx, ny, nz) bool.
    :return: (B, nx, ny, nz) int64, flat index of the maximum within the sample, -1 outside the mask.
    """
    batch, nx, ny, nz = occupancy.shape
    device, size = occupancy.device, nx * ny * nz
    flat, inside = occupancy.reshape(-1), mask.reshape(-1)
    result = torch.full((batch * size,), -1, dtype=torch.long, device=device)
    if not inside.any():
        return result.reshape(occupancy.shape)
    # Ascent never comes below where it began: only voxels as high as the lowest of the mask take part.
    high = (flat >= torch.where(inside, flat, math.inf).min()).nonzero()[:, 0]  # (M,)
    axes = [torch.arange(-1, n + 1, device=device) % n for n in (nx, ny, nz)]
    wrapped = ((axes[0][:, None, None] * ny + axes[1][:, None]) * nz + axes[2]).reshape(-1)  # of each padded voxel
    padded = occupancy.reshape(batch, size).index_select(1, wrapped)
    my, mz = ny + 2, nz + 2
    three = torch.arange(3, device=device)
    reach = ((three[:, None, None] * my + three[:, None]) * mz + three).reshape(-1)  # (27,), in the padded sample
    first = torch.arange(size, device=device)
    first = (first // (ny * nz) * my + first // nz % ny) * mz + first % nz  # padded voxel where the 27 begin
    sample = torch.div(high, size, rounding_mode="floor")
    start = sample * size
    corner = first[high - start]
    around = padded.take((sample * padded.shape[1] + corner)[:, None] + reach)  # (M, 27)
    target = start + wrapped[corner + reach[around.argmax(dim=1)]]
    result[high] = torch.arange(len(high), device=device)
    pointer = result[target]
    # Paths are at most as long as there are voxels; doubling follows 2^k steps in k rounds.
    for _ in range(math.ceil(math.log2(size)) + 1):
        further = pointer[pointer]
        if torch.equal(further, pointer):
            break
        pointer = further
    maximum = high[pointer]
    # A region whose maximum lies outside the mask is no atom.
    result[high] = torch.where(inside[high] & inside[maximum], maximum - start, -1)
    return result.reshape(occupancy.shape)


@torch.no_grad()
def segment(unet: UNet, occupancy: Tensor, species: Tensor, allowed: list[int], threshold: float) -> dict[str, Tensor]:
    """Segment a batch of fields.

    :param occupancy: (B, 1, nx, ny, nz); ``species``: (B, K, nx/2, ny/2, nz/2).
    :param allowed: atomic numbers that may be named.
    :return: region and species maps (B, nx, ny, nz), count (B,), and one row a region: peak (R, 3), number, confidence,
        and the likeliest elements, candidate and log_probability (R, K).
    """
    batch, _, nx, ny, nz = occupancy.shape
    size = nx * ny * nz
    device = occupancy.device
    features = unet.features(occupancy, species)
    mask = (unet.mask_logits(features) > 0) & (occupancy[:, 0] > threshold)
    maximum = watershed(occupancy[:, 0], mask).reshape(batch, -1)  # (B, size)
    inside = maximum >= 0
    owner, voxel = inside.nonzero(as_tuple=True)  # (M,), ordered by sample
    found, label = torch.unique(owner * size + maximum[owner, voxel], return_inverse=True)  # (R,), (M,)
    log_probability = _species_log_probability(unet, features, species, owner, voxel, allowed)  # (M, E)
    weight = occupancy.reshape(batch, -1)[owner, voxel].unsqueeze(1)
    score = torch.zeros(len(found), log_probability.shape[1], device=device)
    score.index_add_(0, label, weight * log_probability)
    total = torch.zeros(len(found), 1, device=device).index_add_(0, label, weight)
    most = min(MOST_CANDIDATES, score.shape[1], len(allowed))
    best, choice = (score / total).topk(most, dim=1)
    candidate = torch.tensor(unet.config.elements, device=device)[choice]  # (R, K)
    number = candidate[:, 0]
    sample, peak = found // size, found % size
    count = torch.bincount(sample, minlength=batch)
    first = torch.cumsum(count, 0) - count
    region = torch.zeros(batch, size, dtype=torch.long, device=device)
    region[owner, voxel] = label - first[owner] + 1
    kinds = torch.zeros_like(region)
    kinds[owner, voxel] = number[label]
    return {
        "region": region.reshape(batch, nx, ny, nz),
        "species": kinds.reshape(batch, nx, ny, nz),
        "count": count,
        "peak": _voxel_index(peak, (nx, ny, nz)),
        "number": number,
        "confidence": best[:, 0].exp(),
        "candidate": candidate,
        "log_probability": best,
    }


def _voxel_index(voxel: Tensor, grid: Grid) -> Tensor:
    """Return the index along each lattice vector, (M, 3), of flat indices (M,)."""
    _, ny, nz = grid
    return torch.stack([voxel // (ny * nz), voxel // nz % ny, voxel % nz], dim=1)


def _species_log_probability(
    unet: UNet,
    features: list[Tensor],
    species: Tensor,
    owner: Tensor,
    voxel: Tensor,
    allowed: list[int],
) -> Tensor:
    """Return the log probability of every allowed element at the given voxels, (M, E)."""
    logits = unet.species_logits_of(features, species, owner, voxel)
    barred = [z not in allowed for z in unet.config.elements]
    if any(barred):
        logits.masked_fill_(torch.tensor(barred, device=logits.device), -math.inf)
    return logits.log_softmax(dim=1).clamp_(min=-50.0)


class Segmenter(Protocol):
    """How fields are cut into atoms.

    :cvar reads: the arrays of the field file that it takes.
    """

    reads: ClassVar[tuple[str, ...]]

    def check(self, group: h5py.Group) -> None:
        """Refuse fields that the U-Net was not trained on."""

    def cut(self, fields: dict[str, Tensor]) -> dict[str, np.ndarray]:
        """Return what goes into the segment file, of a batch of float32 arrays of the field file."""
        ...


class PeakSegmenter:
    """An atom for every maximum of the occupancy that the U-Net takes for one.

    :param allowed: atomic numbers that may be named.
    """

    reads: ClassVar[tuple[str, ...]] = ("occupancy", "species")

    def __init__(self, unet: UNet, settings: SegmentSettings, allowed: list[int]) -> None:
        self.unet, self.settings, self.allowed = unet, settings, allowed

    def check(self, group: h5py.Group) -> None:
        """Refuse fields on a grid that the U-Net was not trained on."""
        check_grid(self.unet, group, self.settings)

    def cut(self, fields: dict[str, Tensor]) -> dict[str, np.ndarray]:
        """Return what goes into the segment file."""
        occupancy = fields["occupancy"].unsqueeze(1)
        result = segment(self.unet, occupancy, fields["species"], self.allowed, self.settings.threshold)
        arrays = {key: value.cpu().numpy() for key, value in result.items()}
        small = {"region": np.uint16, "species": np.uint8, "confidence": np.float32, "candidate": np.uint8,
                 "log_probability": np.float32}  # fmt: skip
        return {key: value.astype(small.get(key, value.dtype)) for key, value in arrays.items()}


def segmenter_of(unet: nn.Module, settings: SegmentSettings, allowed: list[int]) -> Segmenter:
    """Return how the fields that belong to a U-Net are cut."""
    if isinstance(unet, HoffmannUNet):
        return HoffmannSegmenter(unet, settings, allowed)
    if isinstance(unet, ICSG3DUNet):
        return ICSG3DSegmenter(unet, settings, allowed)
    assert isinstance(unet, UNet)
    return PeakSegmenter(unet, settings, allowed)


def run(settings: SegmentSettings, report: Report) -> None:
    """Write the segment file; the counts say how many regions were found."""
    device = select_device(settings, report)
    unet = load_network(report.directory / settings.unet, "unet", device)
    report.inputs["unet"] = file_hash(report.directory / settings.unet)
    allowed = allowed_elements(settings.elements, unet.config.elements, settings.unet)
    segmenter = segmenter_of(unet, settings, allowed)
    with open_arrays(report.directory / settings.fields, (*{*segmenter.reads, "cell"},)) as fields:
        for group in fields.values():
            segmenter.check(group)
        done, regions = 0, 0
        total = sum(len(group["cell"]) for group in fields.values())
        with ArrayWriter(report.directory / settings.segments, UNITS) as writer:
            for name, group in fields.items():
                for start in range(0, len(group["cell"]), settings.batch_size):
                    rows = slice(start, start + settings.batch_size)
                    given = {key: torch.from_numpy(group[key][rows].astype(np.float32)) for key in segmenter.reads}
                    arrays = segmenter.cut({key: value.to(device) for key, value in given.items()})
                    regions += len(arrays["number"])
                    done += len(arrays["count"])
                    writer.append(name, **arrays)
                    report.progress(done, total)
        report.counts.update(samples=total, regions=regions)


def check_grid(unet: UNet, group: h5py.Group, settings: SegmentSettings) -> None:
    """Refuse fields on a grid that the U-Net was not trained on."""
    config, shape, channels = unet.config, group["occupancy"].shape[1:], group["species"].shape[1:]
    cell = torch.from_numpy(group["cell"][()])
    if config.spacing is None:
        fits = shape == (config.grid,) * 3
    else:
        # Computed on another device, a length at the edge between two grids may have gone either way.
        fewest, most = (grid_sizes(cell, 0, config.spacing * factor) for factor in (1.001, 0.999 * FINEST))
        given = torch.tensor(shape)
        fits = bool(((fewest <= given) & (given <= most)).all())
    if not fits or channels != (config.species_channels, *(n // 2 for n in shape)):
        wanted = (
            f"a grid of {config.grid}"
            if config.spacing is None
            else f"points {FINEST * config.spacing:g} to {config.spacing:g} Å apart"
        )
        raise StageError(
            "input_incompatible",
            f"{settings.fields}: fields of {shape} and {channels}, but {settings.unet} "
            f"takes {wanted} and {config.species_channels} channels; use a VAE and a U-Net that were trained together",
        )

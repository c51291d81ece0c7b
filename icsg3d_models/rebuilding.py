"""The stage ``rebuild``: regions of a field to a crystal with sub-voxel sites."""

from __future__ import annotations

from collections import Counter

import h5py
import numpy as np
import torch
from torch import Tensor

from .crystals import Crystals, write_crystals
from .devices import select_device
from .fieldfile import open_arrays
from .results import Report, StageError
from .settings import RebuildSettings
from .symmetry import symmetrise

STENCIL = torch.tensor([(i, j, k) for i in (-1, 0, 1) for j in (-1, 0, 1) for k in (-1, 0, 1)])  # (27, 3)


def _quadratic_fit() -> Tensor:
    """Return the (10, 27) least-squares map from 27 values to 1, x, y, z, xx, yy, zz, xy, xz, yz."""
    x, y, z = STENCIL.double().unbind(1)
    design = torch.stack([torch.ones(27).double(), x, y, z, x * x, y * y, z * z, x * y, x * z, y * z], dim=1)
    return torch.linalg.pinv(design).float()


def refine_peaks(occupancy: Tensor, owner: Tensor, peak: Tensor, others: Tensor | None = None) -> Tensor:
    """Return fractional coordinates of maxima, finer than the grid, (R, 3).

    The logarithm of a Gaussian is a quadratic in any cell, so a quadratic fitted to the log of the 27 values around
    the highest voxel has its maximum at the site. A maximum that lands more than a voxel away is not trusted,
    and the weighted centre of the 27 values is taken.

    :param occupancy: (B, nx, ny, nz); ``owner``: (R,) sample of each peak; ``peak``: (R, 3) voxel.
    :param others: (R, 27) what neighbouring sites add to the values at ``peak + STENCIL``, taken off if known.
    """
    n = torch.tensor(occupancy.shape[1:], device=occupancy.device)
    stencil = STENCIL.to(peak.device)
    index = (peak[:, None, :] + stencil) % n  # (R, 27, 3)
    values = occupancy[owner[:, None], index[..., 0], index[..., 1], index[..., 2]]  # (R, 27)
    values = (values if others is None else values - others).clamp(min=1e-4)
    c = values.log() @ _quadratic_fit().to(values.device).T  # (R, 10)
    hessian = torch.stack(
        [2 * c[:, 4], c[:, 7], c[:, 8], c[:, 7], 2 * c[:, 5], c[:, 9], c[:, 8], c[:, 9], 2 * c[:, 6]], dim=1
    ).reshape(-1, 3, 3)
    # A negative definite Hessian is what a maximum has; the small shift keeps a flat one solvable.
    step = -torch.linalg.solve(hessian - 1e-6 * torch.eye(3, device=c.device), c[:, 1:4].unsqueeze(-1)).squeeze(-1)
    centre = (values.unsqueeze(-1) * stencil).sum(dim=1) / values.sum(dim=1, keepdim=True)
    sound = torch.isfinite(step).all(dim=1) & (step.abs() <= 1.0).all(dim=1)
    offset = torch.where(sound.unsqueeze(1), step, centre)
    return ((peak + offset) / n) % 1.0


def shortest_distance(cell: np.ndarray, frac: np.ndarray, reach: float = 2.0) -> float:
    """Return the shortest distance in Å between two sites, periodic images included; infinity beyond ``reach``."""
    from pymatgen.optimization.neighbors import find_points_in_spheres

    cartesian = np.ascontiguousarray(frac @ cell)
    everywhere = np.ones(3, dtype=np.int64)
    first, second, image, distance = find_points_in_spheres(
        cartesian, cartesian, reach, everywhere, np.ascontiguousarray(cell), 1e-8
    )
    other = (first != second) | (np.abs(image).sum(axis=1) > 0)
    return float(distance[other].min(initial=np.inf))


def check(cell: np.ndarray, frac: np.ndarray, settings: RebuildSettings) -> str:
    """Return why a sample is no crystal, or an empty string."""
    if len(frac) == 0:
        return "no atom above the threshold"
    if len(frac) > settings.max_sites:
        return f"more than {settings.max_sites} sites"
    if not (np.isfinite(cell).all() and np.isfinite(frac).all()):
        return "the field or the cell is not finite"
    if abs(np.linalg.det(cell)) < 0.1 * len(frac):
        return "the cell is flat or smaller than its atoms"
    return ""


def run(settings: RebuildSettings, report: Report) -> None:
    """Write the crystal file; every sample that is not in it is named with the reason."""
    device = select_device(settings, report)
    needed_fields, needed_segments = (
        ("occupancy", "cell", "sample"),
        ("count", "peak", "number", "confidence"),
    )
    with (
        open_arrays(report.directory / settings.fields, needed_fields) as fields,
        open_arrays(report.directory / settings.segments, needed_segments) as segments,
    ):
        count = segments["count"][()]
        samples = fields["sample"][()]
        if len(count) != len(samples):
            raise StageError(
                "input_incompatible",
                f"{settings.segments} has {len(count)} samples and {settings.fields} has {len(samples)}; "
                "segment these fields",
            )
        offsets = np.concatenate([[0], np.cumsum(count)])
        peak, number, confidence = (segments[name][()] for name in ("peak", "number", "confidence"))
        cells = fields["cell"][()].astype(np.float64)
        fracs = np.zeros((len(peak), 3))
        for start in range(0, len(count), settings.batch_size):
            stop = min(start + settings.batch_size, len(count))
            rows = slice(offsets[start], offsets[stop])
            occupancy = torch.from_numpy(fields["occupancy"][start:stop].astype(np.float32)).to(device)
            owner = torch.from_numpy(np.repeat(np.arange(stop - start), count[start:stop])).to(device)
            fracs[rows] = refine_peaks(occupancy, owner, torch.from_numpy(peak[rows]).to(device)).cpu().numpy()
            report.progress(stop, len(count))
    crystals, reasons, doubt = assemble(cells, fracs, number, confidence, offsets, samples, settings)
    report.counts.update(samples=len(count), rebuilt=len(crystals))
    report.tables["reasons"] = dict(Counter(reasons.values()).most_common())
    report.tables["not_rebuilt"] = reasons
    report.tables["confidence"] = doubt
    path = report.directory / settings.crystals
    with h5py.File(path.with_name(f".{path.name}.part"), "w") as file:
        write_crystals(file.create_group("crystals"), crystals)
    path.with_name(f".{path.name}.part").replace(path)
    if len(crystals) == 0:
        why = "; ".join(f"{n} x {reason}" for reason, n in report.tables["reasons"].items()) or "there were no samples"
        raise StageError("nothing_rebuilt", f"none of {len(count)} samples is a crystal: {why}")


def assemble(
    cells: np.ndarray,
    fracs: np.ndarray,
    number: np.ndarray,
    confidence: np.ndarray,
    offsets: np.ndarray,
    samples: np.ndarray,
    settings: RebuildSettings,
) -> tuple[Crystals, dict[str, str], dict[str, float]]:
    """Return the crystals, the reason of every sample that is none, and the least sure species of each crystal."""
    kept: list[tuple[np.ndarray, np.ndarray, np.ndarray, str]] = []
    reasons: dict[str, str] = {}
    doubt: dict[str, float] = {}
    for index, sample in enumerate(samples):
        name = f"s{int(sample):06d}"
        rows = slice(offsets[index], offsets[index + 1])
        cell, frac, numbers = cells[index], fracs[rows], number[rows]
        reason = check(cell, frac, settings)
        if not reason and shortest_distance(cell, frac) < settings.min_distance:
            reason = f"two sites closer than {settings.min_distance} Å"
        if reason:
            reasons[name] = reason
            continue
        if settings.symmetry_tolerance is not None:
            cell, frac, numbers = symmetrise(cell, frac, numbers, settings.symmetry_tolerance)
        doubt[name] = round(float(confidence[rows].min()), 4)
        kept.append((cell, frac, numbers, name))
    columns = tuple(zip(*kept, strict=True)) if kept else ((), (), (), ())
    return Crystals.from_arrays(*columns), reasons, doubt

"""The stage ``rebuild``: regions of a field to a crystal with sub-voxel sites."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import h5py
import numpy as np
import torch

from ..crystals.batch import Crystals, write_crystals
from ..crystals.elements import NUMBER
from ..crystals.formulas import amounts_of
from ..crystals.symmetry import symmetrise
from ..devices import select_device
from ..fields.field_file import open_arrays
from ..fields.peaks import separate_peaks
from ..results import Report, StageError
from ..settings import RebuildSettings
from .assignment import Assigned, assign

PLACED = ("frac", "cell")  # arrays of a segment file that says where the sites are, and what the cell is
CANDIDATES = ("candidate", "log_probability")  # arrays of the segment file that a composition needs


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


def finite_volumes(cells: np.ndarray) -> np.ndarray:
    """Return the volume of every cell in Å³, NaN where a cell is not finite."""
    volumes = np.full(len(cells), np.nan)
    finite = np.isfinite(cells).all(axis=(1, 2))
    volumes[finite] = np.abs(np.linalg.det(cells[finite]))
    return volumes


def check(frac: np.ndarray, volume: float, settings: RebuildSettings) -> str:
    """Return why a sample is no crystal, or an empty string"""
    if len(frac) == 0:
        return "no atom above the threshold"
    if len(frac) > settings.max_sites:
        return f"more than {settings.max_sites} sites"
    if not (math.isfinite(volume) and np.isfinite(frac).all()):
        return "the field or the cell is not finite"
    if volume < 0.1 * len(frac):
        return "the cell is flat or smaller than its atoms"
    return ""


def run(settings: RebuildSettings, report: Report) -> None:
    """Write the crystal file; every sample that is not in it is named with the reason."""
    device = select_device(settings, report)
    needed_fields = ("occupancy", "cell", "sample")
    path = report.directory / settings.fields
    composed_of = settings.composition is not None or (settings.drawn_contents and has_contents(path, needed_fields))
    needed_segments = ("count", "peak", "number", "confidence", *(CANDIDATES if composed_of else ()))
    with (
        open_arrays(report.directory / settings.fields, needed_fields) as fields,
        open_arrays(report.directory / settings.segments, needed_segments) as segments,
    ):
        parts = []
        done, total = 0, sum(len(group["sample"]) for group in fields.values())
        for name, group in fields.items():
            if name not in segments or len(segments[name]["count"]) != len(group["sample"]):
                raise StageError(
                    "input_incompatible",
                    f"{settings.segments} was not made of {settings.fields}: the samples differ; segment these fields",
                )
            for some in peaks_of(group, segments[name], settings, device, composed_of):
                parts.append(some)
                done += len(some["sample"])
                report.progress(done, total)
    if not parts:
        raise StageError("nothing_rebuilt", f"{settings.fields}: holds no sample; sample at least one")
    rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    # Samples on different grids come one grid after the other.
    order = np.argsort(rows["sample"], kind="stable")
    starts = np.concatenate([[0], np.cumsum(rows["count"])])
    sites = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in order]).astype(int)
    samples, cells, count = (rows[name][order] for name in ("sample", "cell", "count"))
    offsets = np.concatenate([[0], np.cumsum(count)])
    of_samples = ("sample", "cell", "count", "contents", "problem")
    of_sites = {name: values[sites] for name, values in rows.items() if name not in of_samples}
    unlike: dict[str, str] = {}
    if "problem" in rows:  # what the segmentation could make nothing of
        problems = zip(samples, rows["problem"][order], strict=True)
        unlike = {f"s{int(sample):06d}": bytes(words).decode() for sample, words in problems if words}
    if composed_of:
        contents = [asked_amounts(settings)] * len(samples)
        if settings.composition is None:
            contents = [{int(z): int(n) for z, n in pairs if n} for pairs in rows["contents"][order]]
        of_sites, offsets, others, kept = composed(of_sites, offsets, samples, contents, settings)
        unlike = {**others, **unlike}
        report.scalars["read_as_composed"] = kept / max(1, len(samples))
    fracs, number, confidence = (of_sites[name] for name in ("frac", "number", "confidence"))
    crystals, reasons, doubt = assemble(cells, fracs, number, confidence, offsets, samples, settings, unlike)
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


def has_contents(path: Path, needed: tuple[str, ...]) -> bool:
    """Tell whether a field file says what its cells were drawn to hold."""
    with open_arrays(path, needed) as groups:
        return bool(groups) and all("contents" in group for group in groups.values())


def peaks_of(
    fields: h5py.Group, segments: h5py.Group, settings: RebuildSettings, device: torch.device, composed_of: bool
) -> Iterator[dict[str, np.ndarray]]:
    """Yield samples and their sites, a batch at a time: sample, cell and count a sample; the rest a site.

    :param composed_of: whether compositions are known: also the strength of each peak and its likeliest elements, and
        what each cell was drawn to hold.
    """
    batch_size = settings.batch_size
    count = segments["count"][()]
    offsets = np.concatenate([[0], np.cumsum(count)])
    for start in range(0, len(count), batch_size):
        stop = min(start + batch_size, len(count))
        rows = slice(offsets[start], offsets[stop])
        occupancy = torch.from_numpy(fields["occupancy"][start:stop].astype(np.float32)).to(device)
        owner = torch.from_numpy(np.repeat(np.arange(stop - start), count[start:stop])).to(device)
        peak = torch.from_numpy(segments["peak"][rows]).to(device)
        cell = torch.from_numpy(fields["cell"][start:stop]).to(device, torch.float32)
        more: dict[str, np.ndarray] = {}
        if composed_of:
            more = {name: segments[name][rows] for name in CANDIDATES}
            more["strength"] = occupancy[owner, *peak.long().unbind(1)].cpu().numpy()
            if settings.composition is None:
                more["contents"] = fields["contents"][start:stop]
        if "problem" in segments:
            more["problem"] = segments["problem"][start:stop]
        if PLACED[0] in segments:  # the segmentation has placed the sites itself
            frac = segments[PLACED[0]][rows].astype(np.float64)
        else:
            frac = separate_peaks(occupancy, cell, owner, peak).cpu().numpy().astype(np.float64)
        cells = segments if PLACED[1] in segments else fields
        yield {
            **more,
            "sample": fields["sample"][start:stop],
            "cell": cells["cell"][start:stop].astype(np.float64),
            "count": count[start:stop],
            "frac": frac,
            "number": segments["number"][rows],
            "confidence": segments["confidence"][rows],
        }


def composed(
    of_sites: dict[str, np.ndarray],
    offsets: np.ndarray,
    samples: np.ndarray,
    contents: Sequence[dict[int, int]],
    settings: RebuildSettings,
) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, str], int]:
    """Return the sites of the compositions, their offsets, and why samples have none, by name.

    A composition that was asked for is kept or refused; one that the prior drew holds where the field shows it, else
    each peak is its likeliest element. The last that is returned counts samples whose peaks, read so, are the
    composition.

    :param of_sites: name -> values of all peaks; see :func:`.assignment.assign`.
    :param contents: of every sample, atomic number -> atoms in one cell; empty: each peak is its likeliest element.
    """
    agreed = 0
    kept: dict[str, list[np.ndarray]] = {"frac": [], "number": [], "confidence": []}
    reasons: dict[str, str] = {}
    for index, sample in enumerate(samples):
        rows, amounts = slice(offsets[index], offsets[index + 1]), contents[index]
        found: Assigned | str = "nothing is known of what it holds"
        if amounts:
            agreed += Counter(of_sites["number"][rows].tolist()) == amounts
            strength, candidate, likely = (of_sites[name][rows] for name in ("strength", *CANDIDATES))
            found = assign(amounts, strength, candidate, likely, settings.least_probability)
        if isinstance(found, str) and settings.composition is None:  # the field knows better
            for name, values in kept.items():
                values.append(of_sites[name][rows])
            continue
        if isinstance(found, str):
            reasons[f"s{int(sample):06d}"] = found
            found = Assigned(np.zeros(0, dtype=int), np.zeros(0, dtype=int), np.zeros(0))
        kept["frac"].append(of_sites["frac"][rows][found.rows])
        kept["number"].append(found.number)
        kept["confidence"].append(found.confidence)
    starts = np.concatenate([[0], np.cumsum([len(number) for number in kept["number"]])])
    return {name: np.concatenate(values) for name, values in kept.items()}, starts, reasons, agreed


def asked_amounts(settings: RebuildSettings) -> dict[int, int]:
    """Return atomic number -> atoms in one cell of the composition that is asked for, empty where none is."""
    if settings.composition is None:
        return {}
    amounts = {NUMBER[symbol]: int(amount) for symbol, amount in amounts_of(str(settings.composition)).items()}
    total = sum(amounts.values())
    return {z: amount * (settings.n_atoms or total) // total for z, amount in sorted(amounts.items())}


def assemble(
    cells: np.ndarray,
    fracs: np.ndarray,
    number: np.ndarray,
    confidence: np.ndarray,
    offsets: np.ndarray,
    samples: np.ndarray,
    settings: RebuildSettings,
    unlike: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Crystals, dict[str, str], dict[str, float]]:
    """Return the crystals, the reason of every sample that is none, and the least sure species of each crystal.

    :param unlike: samples that are no crystals for a reason that is known already.
    """
    kept: list[tuple[np.ndarray, np.ndarray, np.ndarray, str]] = []
    reasons: dict[str, str] = {}
    doubt: dict[str, float] = {}
    volumes = finite_volumes(cells).tolist()
    for index, sample in enumerate(samples):
        name = f"s{int(sample):06d}"
        rows = slice(offsets[index], offsets[index + 1])
        cell, frac, numbers = cells[index], fracs[rows], number[rows]
        reason = unlike.get(name) or check(frac, volumes[index], settings)
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

"""The crystals that samples are made around, between or after: from a file, in the setting that a model takes."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import torch

from ..crystals.batch import Crystals, read_crystals
from ..crystals.cells import reduced_crystals
from ..crystals.elements import SYMBOLS
from ..data.datasets import read_dataset
from ..fields.batches import to_batch
from ..fields.grids import FINER, FINEST
from ..networks.generator import Autoencoder
from ..results import Report, StageError
from ..settings import SampleSettings
from .registration import errors_of, explained_of, register


def read_base(path: Path, part: str | None = None) -> Crystals:
    """Return the base crystals of a crystal file or, in their order, of one part of a dataset file.

    :param part: ``train``, ``validation`` or ``test``; None: all crystals of either kind of file.
    :raises StageError: the file is missing or empty.
    :raises icsg3d_models.crystals.batch.CrystalError: the file is damaged, or no dataset where a part is asked for.
    """
    if not path.is_file():
        raise StageError("input_missing", f"{path}: no such file of base crystals")
    if part is not None:
        dataset = read_dataset(path)
        return dataset.crystals.take(dataset.part(part))
    with h5py.File(path, "r") as file:
        crystals = read_crystals(file.get("crystals", file))
    if len(crystals) == 0:
        raise StageError("input_unreadable", f"{path}: holds no crystal")
    return crystals


def known_base(
    settings: SampleSettings, report: Report, vae: Autoencoder
) -> tuple[Crystals, np.ndarray, np.ndarray | None]:
    """Return the base crystals that the model can encode, their places in the file, and what it is told of each.

    The others are named in the report; between two crystals there is no line without one of them.

    :raises StageError: the file is missing or empty, or the model knows none of its crystals; mode ``interpolate`` and
        not two of them, or one that the model does not know.
    """
    base = read_base(report.directory / str(settings.base), settings.base_part)
    if settings.mode == "interpolate" and len(base) != 2:
        raise StageError("settings_rejected", f"mode `interpolate` needs two base crystals, received {len(base)}")
    elements = set(vae.config.elements)
    foreign = [sorted(set(base.sites(index)[1].tolist()) - elements) for index in range(len(base))]
    told = told_of_base(settings, report, vae, len(base))
    words = [
        f"the model does not know {', '.join(map(symbol, numbers))}" if numbers else reason
        for numbers, reason in zip(foreign, vae.refusals(base), strict=True)
    ]
    if told is not None:
        untold = f"its {vae.told} is not known; give `base_value`"
        words = [why or (None if np.isfinite(value) else untold) for why, value in zip(words, told, strict=True)]
    known = np.flatnonzero([why is None for why in words])
    if len(known) == 0 or (settings.mode == "interpolate" and len(known) < 2):
        reasons = "; ".join(dict.fromkeys(why for why in words if why is not None))
        raise StageError("input_incompatible", f"{settings.base}: {reasons}")
    report.leave_out(str(settings.base), len(base), dict(zip(base.ids, words, strict=True)))
    return base.take(known), known, None if told is None else told[known]


def told_of_base(settings: SampleSettings, report: Report, vae: Autoencoder, count: int) -> np.ndarray | None:
    """Return what a conditional model is told of each base crystal, (B,), NaN where it is not known; None: nothing.

    :raises StageError: a value for a model that is told nothing.
    """
    if vae.told is None:
        if settings.base_value is not None:
            raise StageError(
                "settings_rejected", f"`base_value`: {settings.vae} is told nothing of a crystal; leave it out"
            )
        return None
    if settings.base_value is not None:
        return np.full(count, settings.base_value)
    path = report.directory / str(settings.base)
    with h5py.File(path, "r") as file:
        if "properties" not in file:  # a crystal file
            return np.full(count, np.nan)
    dataset = read_dataset(path)
    values = dataset.properties.get(vae.told, np.full(len(dataset), np.nan))
    return values if settings.base_part is None else values[dataset.part(settings.base_part)]


def symbol(number: int) -> str:
    """Return the symbol of an element, or what is there in its place."""
    return SYMBOLS[number] if 1 <= number < len(SYMBOLS) else f"the atomic number {number}"


def spacing_of(vae: Autoencoder, settings: SampleSettings) -> float | None:
    """Return how far apart the points of the fields of base crystals are, Å; None: all have one grid.

    Training has seen every spacing a little below its own, because points are whole numbers of blocks; in a large cell
    they are as far apart as can be, and there sites and elements are lost first. Hence a finer grid than in training.

    :raises StageError: a spacing that the model was not trained for, or has no use for.
    """
    trained, given = vae.spacing, settings.spacing
    if trained is None:
        if given is not None:
            raise StageError(
                "settings_rejected", f"`spacing`: the fields of {settings.vae} all have one grid; leave it out"
            )
        return None
    spacing = FINER * trained if given is None else given
    if not FINEST * trained <= spacing <= trained:
        raise StageError(
            "settings_rejected",
            f"`spacing` {spacing:g} Å: {settings.vae} takes {FINEST * trained:g} to {trained:g} Å; leave it out",
        )
    return spacing


def settled(
    vae: Autoencoder, base: Crystals, settings: SampleSettings, device: torch.device, told: np.ndarray | None = None
) -> tuple[Crystals, np.ndarray]:
    """Return the base crystals in the setting that the model takes best, and their reconstruction errors, (B,)."""
    spacing = spacing_of(vae, settings)
    if spacing is None and settings.register_base and not vae.own_setting:
        return register(vae, base, device)
    if spacing is not None and (settings.register_base or settings.mode == "interpolate"):
        base = reduced_crystals(base)
    return base, errors_of(vae, to_batch(base, told).to(device), spacing).cpu().numpy()


def recognised(
    vae: Autoencoder, base: Crystals, settings: SampleSettings, report: Report, device: torch.device
) -> np.ndarray:
    """Return which base crystals the model gives back, as places in the batch; the others are named in the report.

    :param base: in the setting that the model takes.
    :raises StageError: it gives back none of them, or not both ends of a line.
    """
    every = np.arange(len(base))
    if settings.mode == "reconstruct" or vae.second_array != "species":  # to see what comes back; fields of their own
        return every
    share = explained_of(vae, to_batch(base).to(device), spacing_of(vae, settings)).cpu().numpy()
    words = [
        None if max(0.0, value) >= settings.base_explained else
        f"{settings.vae} gives back {max(0.0, value):.0%} of its field, and has not seen such crystals: what it makes "
        "around it would be of another kind; take a model that knows them (`general`, `wide`), or lower "
        "`base_explained`"
        for value in share
    ]  # fmt: skip
    kept = np.flatnonzero([why is None for why in words])
    if len(kept) == 0 or (settings.mode == "interpolate" and len(kept) < 2):
        first = next(f"{name}: {why}" for name, why in zip(base.ids, words, strict=True) if why is not None)
        raise StageError("input_incompatible", f"{settings.base}: {first}")
    report.leave_out(str(settings.base), len(base), dict(zip(base.ids, words, strict=True)))
    return kept

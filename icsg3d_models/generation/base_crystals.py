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
from .registration import errors_of, register


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


def known_base(settings: SampleSettings, report: Report, elements: list[int]) -> tuple[Crystals, np.ndarray]:
    """Return the base crystals of elements that the model knows, and their places in the file, from 0.

    The others are named in the report; between two crystals there is no line without one of them.

    :raises StageError: the file is missing or empty, or the model knows none of its crystals; mode ``interpolate`` and
        not two of them, or one that the model does not know.
    """
    base = read_base(report.directory / str(settings.base), settings.base_part)
    if settings.mode == "interpolate" and len(base) != 2:
        raise StageError("settings_rejected", f"mode `interpolate` needs two base crystals, received {len(base)}")
    foreign = [sorted(set(base.sites(index)[1].tolist()) - set(elements)) for index in range(len(base))]
    known = np.flatnonzero([not numbers for numbers in foreign])
    if len(known) == 0 or (settings.mode == "interpolate" and len(known) < 2):
        names = ", ".join(symbol(z) for z in sorted({z for numbers in foreign for z in numbers}))
        raise StageError("input_incompatible", f"{settings.base}: the model does not know {names}")
    words = [f"the model does not know {', '.join(map(symbol, numbers))}" if numbers else None for numbers in foreign]
    report.leave_out(str(settings.base), len(base), dict(zip(base.ids, words, strict=True)))
    return base.take(known), known


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
    vae: Autoencoder, base: Crystals, settings: SampleSettings, device: torch.device
) -> tuple[Crystals, np.ndarray]:
    """Return the base crystals in the setting that the model takes best, and their reconstruction errors, (B,)."""
    spacing = spacing_of(vae, settings)
    if spacing is None and settings.register_base:
        return register(vae, base, device)
    if spacing is not None and (settings.register_base or settings.mode == "interpolate"):
        base = reduced_crystals(base)
    return base, errors_of(vae, to_batch(base).to(device), spacing).cpu().numpy()

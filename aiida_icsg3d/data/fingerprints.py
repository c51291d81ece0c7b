"""The fingerprint of a training set and of that of the set that its training started from."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from aiida.engine import calcfunction
from aiida.orm import SinglefileData

from icsg3d_models.comparison.fingerprint import (
    FINGERPRINT_FILE,
    Fingerprint,
    fingerprint_of,
    joined,
    read_fingerprint,
    save_fingerprint,
)

from .dataset import CrystalDatasetData


@calcfunction
def join_fingerprints(own: SinglefileData | CrystalDatasetData, before: SinglefileData) -> SinglefileData:
    """Return the fingerprint of what a set was trained on, and of what the set before it was.

    :param own: the fingerprint of the training part, or the dataset; ``before``: of the earlier set.
    """
    both = joined(training_part(own) if isinstance(own, CrystalDatasetData) else content(own), content(before))
    with TemporaryDirectory() as folder:
        path = Path(folder) / FINGERPRINT_FILE
        save_fingerprint(path, both)
        return SinglefileData(path, label=f"{both.name} fingerprint")


def training_part(node: CrystalDatasetData) -> Fingerprint:
    """Return the fingerprint of the training part of a dataset."""
    dataset = node.get_dataset()
    return fingerprint_of(dataset.crystals.take(dataset.part("train")), dataset.name)


def content(node: SinglefileData) -> Fingerprint:
    """Return what a fingerprint node holds."""
    with node.as_path() as path:
        return read_fingerprint(path)

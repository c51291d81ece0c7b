"""Datasets made here, of any source that `icsg3d prepare` reads or of structures of the profile."""

from __future__ import annotations

import contextlib
import hashlib
import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any

from icsg3d_models.crystals.batch import CrystalError
from icsg3d_models.data import prepare
from icsg3d_models.data.datasets import Dataset, read_dataset
from icsg3d_models.data.readers.optimade import is_provider
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import PrepareSettings

from .dataset import CrystalDatasetData
from .structures import records_of

EXTRA = "icsg3d_source"


def import_source(settings: PrepareSettings) -> CrystalDatasetData:
    """Return the stored dataset of a file, a folder or an OPTIMADE provider.

    An interrupted reading of a provider goes on where it was when it is asked for again.

    :raises ValueError: nothing of it can be used; the message says why.
    """
    source = str(settings.source)
    if not is_provider(source):
        source = str(Path(source).resolve())
    settings = settings.model_copy(update={"source": source})
    with _folder(settings) as folder, _as_value_error():
        report = Report("prepare", folder, seed=settings.seed)
        prepare.run(settings, report)
        return _stored(report, settings, source)


def read_beforehand(source: Path, settings: Mapping[str, Any]) -> Dataset:
    """Return the dataset that the stage ``prepare`` would make of a file or folder; nothing is stored.

    :param settings: of the stage, without the source.
    :raises ValueError: nothing of it can be used; the message says why.
    """
    with tempfile.TemporaryDirectory() as directory, _as_value_error():
        report = Report("prepare", Path(directory), quiet=True)
        given = PrepareSettings.model_validate({**settings, "source": str(Path(source).resolve())})
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            prepare.run(given, report)
        return read_dataset(Path(directory) / given.dataset)


def import_structures(nodes: Iterable[Any], settings: PrepareSettings) -> CrystalDatasetData:
    """Return the stored dataset of structures of the profile; the crystals are named by UUID.

    :param nodes: of a group or a query; what is no StructureData is passed over.
    :param settings: the properties are keys of extras or attributes; ``source`` says where the nodes are from.
    :raises ValueError: nothing of it can be used; the message says why.
    """
    with tempfile.TemporaryDirectory() as directory, _as_value_error():
        report = Report("prepare", Path(directory), seed=settings.seed)
        prepare.check_names(settings)
        prepare.build(records_of(nodes, settings.properties), settings, report)
        return _stored(report, settings, str(settings.source))


def _stored(report: Report, settings: PrepareSettings, source: str) -> CrystalDatasetData:
    """Return the node of the dataset that was written, with where it is from among its extras."""
    node = CrystalDatasetData.get_or_create(report.directory / settings.dataset)
    if EXTRA not in node.base.extras.all:
        node.base.extras.set(
            EXTRA,
            {
                "source": source,
                "settings": settings.model_dump(mode="json", exclude={"source"}),
                "hash": report.inputs.get("source", ""),
                "counts": dict(report.counts),
                "rejected": report.tables["summary"]["rejected"],
            },
        )
    return node


@contextmanager
def _folder(settings: PrepareSettings) -> Iterator[Path]:
    """Yield a folder to work in; that of a provider is found again after an interruption."""
    if not is_provider(str(settings.source)):
        with tempfile.TemporaryDirectory() as directory:
            yield Path(directory)
        return
    asked = hashlib.sha256(settings.model_dump_json().encode()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / f"icsg3d-optimade-{asked}"
    folder.mkdir(mode=0o700, exist_ok=True)
    yield folder
    rmtree(folder)


@contextmanager
def _as_value_error() -> Iterator[None]:
    """Turn what the stage refuses into a ValueError of the same words."""
    try:
        yield
    except (StageError, CrystalError) as exception:
        raise ValueError(str(exception)) from None

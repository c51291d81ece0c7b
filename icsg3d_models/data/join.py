"""Several dataset files become one."""

from __future__ import annotations

import math

import numpy as np

from ..crystals.batch import Crystals
from ..results import Report, StageError
from ..settings import PrepareSettings
from .datasets import Dataset, read_dataset
from .fidelity import Fidelity, FidelityError
from .gather import unique_names


def joined(settings: PrepareSettings, sources: list[str], report: Report) -> Dataset:
    """Return the crystals of several dataset files as one dataset; each keeps its part.

    :raises StageError: settings that have no effect here, or units that differ.
    :raises icsg3d_models.crystals.batch.CrystalError: one of them is no dataset file.
    """
    ignored = [name for name in ("properties", "units", "required", "filter", "limit") if getattr(settings, name)]
    if ignored:
        said = "dataset files that are joined keep what they have; give these when the files are made"
        raise StageError("settings_rejected", f"{', '.join(ignored)}: {said}")
    parts = [read_dataset(report.directory / source) for source in sources]
    for source, part in zip(sources, parts, strict=True):
        report.inputs[source] = part.content_hash()
    units: dict[str, str] = {}
    for source, part in zip(sources, parts, strict=True):
        for name, unit in part.units.items():
            if units.setdefault(name, unit) != unit:
                raise StageError(
                    "input_incompatible", f"{source}: {name} is in {unit!r}, in the files before it in {units[name]!r}"
                )
    fidelities: dict[str, Fidelity] = {}
    for source, part in zip(sources, parts, strict=True):
        for name, fidelity in part.fidelities.items():
            try:
                fidelities[name] = fidelities.get(name, fidelity).joined(fidelity, name)
            except FidelityError as exception:
                raise StageError("input_incompatible", f"{source}: {exception}") from None
    names = sorted({name for part in parts for name in part.properties})
    crystals = [part.crystals for part in parts]
    sites = [batch.sites(i) for batch in crystals for i in range(len(batch))]
    dataset = Dataset(
        Crystals.from_arrays(
            [cell for batch in crystals for cell in batch.cell],
            [frac for frac, _ in sites],
            [numbers for _, numbers in sites],
            unique_names([name for batch in crystals for name in batch.ids]),
        ),
        {n: np.concatenate([p.properties.get(n, np.full(len(p.crystals), math.nan)) for p in parts]) for n in names},
        np.concatenate([part.split for part in parts]),
        units,
        settings.name,
        settings.citation or "; ".join(dict.fromkeys(part.citation for part in parts if part.citation)),
        fidelities,
    )
    report.counts.update(read=len(sites), used=len(sites), rejected=0)
    formulas = np.array(dataset.crystals.formulas())
    trained = set(formulas[dataset.split == 0])
    # Each file was split on its own, so what one holds back another may train on.
    report.counts["test_compositions_in_train"] = len(trained & set(formulas[dataset.split == 2]))
    return dataset

"""What DFT says goes back into the data: a dataset and the verdicts of relaxed crystals become a new dataset."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from aiida import orm
from aiida.engine import calcfunction

from icsg3d_models.crystals.batch import CrystalError, Crystals
from icsg3d_models.data.extend import extended
from icsg3d_models.data.fidelity import Fidelity

from ...data import CrystalDatasetData
from ...dft.fingerprint import Settings, digest

QUANTITIES = ("formation_energy_per_atom", "e_above_hull")


def extend(
    dataset: CrystalDatasetData,
    structures: Mapping[str, orm.StructureData],
    energies: Mapping[str, orm.Dict],
    verdicts: orm.Dict,
) -> tuple[CrystalDatasetData, orm.Dict]:
    """Return the dataset with the results of some candidates, and what became of each, as nodes.

    Candidates that cannot be used are left out with their reason; see :func:`usable` for whether one can.

    :param structures: identifier -> relaxed crystal; ``energies``: its energy, as ValidateWorkChain gives both.
    :param verdicts: as VerdictWorkChain gives them.
    :return: the dataset; and ``fidelities`` (column -> how it was obtained), ``added``, ``updated``, ``outdone``,
        ``left_out``, all by identifier, see :class:`icsg3d_models.data.extend.Extension`.
    :raises ValueError: none can be used, or values of one column have different settings.
    """
    ready, _ = usable(structures, energies, verdicts.get_dict())
    if not ready:
        raise ValueError("no candidate has a relaxed crystal, an energy and a formation energy; nothing to extend with")
    metadata = {"call_link_label": "extend_dataset", "disable_cache": True}  # crystals are named by UUID
    # those that cannot be used take part too: the result says why they are left out
    found: Any = extend_dataset(
        dataset, verdicts, structures=dict(structures), energies=dict(energies), metadata=metadata
    )
    return found["dataset"], found["changes"]


@calcfunction
def extend_dataset(dataset: CrystalDatasetData, verdicts: orm.Dict, **results: Any) -> dict[str, orm.Data]:
    """Return ``dataset`` and ``changes``, see :func:`extend`.

    :param results: namespaces ``structures`` and ``energies`` by identifier.
    """
    structures, energies, words = results["structures"], results["energies"], verdicts.get_dict()
    ready, left_out = usable(structures, energies, words)
    groups: dict[str, list[str]] = defaultdict(list)  # by the hash of what is common to all elements
    for name in ready:
        groups[energies[name].get_dict()["settings"]["hash"]].append(name)
    content = dataset.get_dataset()
    changes: dict[str, Any] = {"added": [], "updated": {}, "outdone": {}}
    before, by_uuid = set(content.fidelities), {str(structures[name].uuid): name for name in ready}
    touched: dict[str, Any] = {}
    for names in groups.values():
        fidelity = fidelity_of([energies[name].get_dict() for name in names])
        crystals = Crystals.from_structures(
            [structures[name].get_pymatgen_structure() for name in names],
            [str(structures[name].uuid) for name in names],
        )
        values = {key: np.array([number(words[name].get(key)) for name in names]) for key in QUANTITIES}
        extension = extended(content, crystals, values, fidelity)
        content = extension.dataset
        changes["added"] += [by_uuid[uuid] for uuid in extension.added]
        changes["updated"] |= {by_uuid[uuid]: row for uuid, row in extension.updated.items()}
        changes["outdone"] |= {by_uuid[uuid]: by_uuid.get(row, row) for uuid, row in extension.outdone.items()}
        touched |= {column: content.fidelities[column].as_dict() for column in map(fidelity.column, QUANTITIES)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / CrystalDatasetData.DEFAULT_FILENAME
        content.write(path)
        node = CrystalDatasetData(path)
    said = {"fidelities": touched, "new_columns": sorted(set(touched) - before), "left_out": left_out, **changes}
    return {"dataset": node, "changes": orm.Dict(said)}


def usable(
    structures: Mapping[str, orm.StructureData], energies: Mapping[str, orm.Dict], verdicts: Mapping[str, Any]
) -> tuple[list[str], dict[str, str]]:
    """Return the identifiers of the candidates that a dataset can take, and why it cannot take the others."""
    ready, left_out = [], {}
    for name in sorted({*structures, *energies, *verdicts}):
        verdict = verdicts.get(name)
        if name not in structures:
            left_out[name] = "no relaxed crystal"
        elif name not in energies:
            left_out[name] = "no energy"
        elif energies[name].get_dict()["structure_uuid"] != structures[name].uuid:
            left_out[name] = "the energy is that of another crystal"
        elif verdict is None or verdict.get("formation_energy_per_atom") is None:
            left_out[name] = f"no formation energy: {(verdict or {}).get('reason') or 'no verdict'}"
        else:
            try:
                Crystals.from_structures([structures[name].get_pymatgen_structure()], [name])
                ready.append(name)
            except (CrystalError, ValueError) as exception:
                left_out[name] = str(exception)
    return ready, left_out


def fidelity_of(entries: list[dict[str, Any]]) -> Fidelity:
    """Return how energies of one hash were obtained.

    :param entries: as :func:`..relaxations.record_energy` leaves them.
    :raises icsg3d_models.data.fidelity.FidelityError: an element has different settings in two of them.
    """
    found: Fidelity | None = None
    for entry in entries:
        settings = Settings.from_dict(entry["settings"])
        one = Fidelity(
            settings.method,
            str(settings.common.get("code") or settings.common.get("engine") or "not stated"),
            settings.hash,
            {symbol: digest(content) for symbol, content in settings.elements.items()},
        )
        found = one if found is None else found.joined(one, one.label)
    assert found is not None
    return found


def number(value: Any) -> float:
    """Return a figure, NaN where there is none."""
    return float("nan") if value is None else float(value)

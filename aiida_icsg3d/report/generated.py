"""The field that a crystal was rebuilt from, where it can be reached without a connection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from aiida.orm import StructureData

FIELDS_FILE = "fields.h5"


def generated_occupancy(structure: StructureData) -> np.ndarray | None:
    """Return the generated occupancy (nx, ny, nz) of a crystal, 1 at the centre of an atom.

    None where the field is not on this machine (another computer, or cleaned since), or cannot be read: the fields of a
    run stay where they were made, and a report never opens a connection to fetch them. The page says which field it is.
    """
    rebuild = structure.creator
    if rebuild is None or "fields_folder" not in rebuild.inputs:
        return None
    folder = rebuild.inputs.fields_folder
    label = next(t.link_label for t in structure.base.links.get_incoming().all() if t.node.pk == rebuild.pk)
    path = Path(folder.get_remote_path()) / FIELDS_FILE
    if folder.computer.transport_type != "core.local" or not path.is_file():
        return None
    try:
        return read_occupancy(path, label.removeprefix("crystals__"))
    except (OSError, KeyError):  # scratch: half removed, or written over
        return None


def read_occupancy(path: Path, identifier: str) -> np.ndarray | None:
    """Return the occupancy of one sample of a field file, None where the file does not hold the sample."""
    import h5py
    import numpy as np

    with h5py.File(path, "r") as file:
        for group in [entry for entry in file.values() if isinstance(entry, h5py.Group)] or [file]:
            samples = group["sample"][()] if "sample" in group else np.arange(len(group["occupancy"]))
            names = [f"s{int(sample):06d}" for sample in samples]
            if identifier in names:
                return group["occupancy"][names.index(identifier)].astype(np.float64)
    return None

"""The field that a crystal was rebuilt from, where it can be reached without a connection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..campaigns.graph import is_one_job, output
from ..data.remote_files import path_in

if TYPE_CHECKING:
    import numpy as np
    from aiida.orm import ProcessNode, StructureData

FIELDS_FILE = "fields.h5"


def generated_occupancy(structure: StructureData) -> np.ndarray | None:
    """Return the generated occupancy (nx, ny, nz) of a crystal, 1 at the centre of an atom.

    None where the field is not on this machine (another computer, or cleaned since), or cannot be read: the fields of a
    run stay where they were made, and a report never opens a connection to fetch them. The page says which field it is.
    """
    rebuild = structure.creator
    folder = fields_folder(rebuild) if rebuild is not None else None
    if rebuild is None or folder is None:
        return None
    label = next(t.link_label for t in structure.base.links.get_incoming().all() if t.node.pk == rebuild.pk)
    path = Path(path_in(folder, FIELDS_FILE))
    if folder.computer.transport_type != "core.local" or not path.is_file():
        return None
    try:
        return read_occupancy(path, label.removeprefix("crystals__"))
    except (OSError, KeyError):  # scratch: half removed, or written over
        return None


def fields_folder(rebuild: ProcessNode) -> Any:
    """Return the remote folder with the fields that a job rebuilt crystals from, None where there is none."""
    if is_one_job(rebuild):
        return output(rebuild, "remote_folder")
    return rebuild.inputs.fields_folder if "fields_folder" in rebuild.inputs else None


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

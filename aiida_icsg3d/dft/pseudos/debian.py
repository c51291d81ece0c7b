"""A family with converged cut-offs from the LDA pseudopotentials of Debian's quantum-espresso-data.

``lda_cutoffs.json`` names the file of each element, its hash and the cut-offs that were converged in
benchmarks/pseudopotentials; docs/pseudopotentials.md shows the record. A file with another hash is another
pseudopotential, for which these cut-offs were not converged: it is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiida.plugins import DataFactory, GroupFactory

LABEL = "quantum-espresso-data/LDA"
RECORD = Path(__file__).with_name("lda_cutoffs.json")
FOLDER = Path("/usr/share/espresso/pseudo")
"""Where the Debian package puts its pseudopotentials; pw.x's own ESPRESSO_PSEUDO overrides it."""


class DebianSetError(RuntimeError):
    """The pseudopotential files are not there."""


def usable_files(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Return the files of a folder that the record knows, and the elements left out with the reason.

    :param folder: where the UPF files lie.
    """
    usable, left_out = {}, {}
    for element, entry in json.loads(RECORD.read_text(encoding="utf-8"))["files"].items():
        path = folder / entry["name"]
        if not path.is_file():
            left_out[element] = f"{entry['name']} is not there"
        elif hashlib.sha256(path.read_bytes()).hexdigest() != entry["sha256"]:
            left_out[element] = f"{entry['name']} is not the file whose cut-offs were converged"
        else:
            usable[element] = path
    return usable, left_out


def create_family(
    folder: Path | None = None, label: str = LABEL, say: Callable[[str], None] = lambda message: None
) -> Any:
    """Store the family and return it.

    :param folder: where the UPF files lie; default: ESPRESSO_PSEUDO, or where Debian puts them.
    :param label: label of the new family.
    :param say: takes one line about what is done.
    :raises DebianSetError: the folder holds none of the files.
    """
    folder = folder or Path(os.environ.get("ESPRESSO_PSEUDO", FOLDER))
    usable, left_out = usable_files(folder)
    if not usable:
        raise DebianSetError(f"{folder} holds none of the LDA files of quantum-espresso-data")
    for element, reason in left_out.items():
        say(f"{element} is left out: {reason}")
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as temporary:
        for path in usable.values():
            shutil.copy(path, temporary)
        family_class: Any = GroupFactory("pseudo.family.cutoffs")
        family = family_class.create_from_folder(
            Path(temporary), label, description=record["description"], pseudo_type=DataFactory("pseudo.upf")
        )
    for stringency, cutoffs in record["cutoffs"].items():
        family.set_cutoffs({element: cutoffs[element] for element in usable}, stringency, unit=record["unit"])
    family.set_default_stringency("normal")
    say(f"made the family {label!r} with {', '.join(sorted(usable))}")
    return family

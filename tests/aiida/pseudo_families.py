"""Made-up pseudopotential families: UPF headers without pseudopotentials in them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aiida.plugins import DataFactory, GroupFactory

VALENCE = {"O": 6, "Al": 3, "Ti": 12, "Mn": 15, "Fe": 16, "Ni": 18, "Pb": 14, "Mg": 2, "Si": 4}


def write_upf(folder: Path, element: str, name: str | None = None) -> Path:
    """Write a header that aiida-pseudo can read and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (name or f"{element}.upf")
    path.write_text(
        f'<UPF version="2.0.1">\n<PP_HEADER element="{element}" z_valence="{VALENCE[element]}.0"/>\n</UPF>\n'
    )
    return path


def make_family(
    folder: Path, label: str, elements: str = "Pb Ti O", stringencies: tuple[str, ...] = ("normal",)
) -> Any:
    """Return a stored family; cut-offs in Ry grow with the place of the element and with the stringency."""
    folder = folder / label.replace("/", "-")
    for element in elements.split():
        write_upf(folder, element)
    family_class: Any = GroupFactory("pseudo.family.cutoffs")
    family = family_class.create_from_folder(folder, label, pseudo_type=DataFactory("pseudo.upf"))
    for step, stringency in enumerate(stringencies):
        cutoffs = {
            element: {"cutoff_wfc": 20.0 + 10 * place + step, "cutoff_rho": 160.0 + 80 * place + step}
            for place, element in enumerate(elements.split())
        }
        family.set_cutoffs(cutoffs, stringency, unit="Ry")
    if "normal" in stringencies:
        family.set_default_stringency("normal")
    return family

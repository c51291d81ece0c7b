"""The settings of an energy by pw.x, read from the inputs of its PwRelaxWorkChain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..fingerprint import Settings

NO_MATTER = ("nbnd", "nosym", "nosym_evc", "noinv", "nspin", "starting_magnetization", "ntyp", "nat", "ibrav")
"""SYSTEM keys that choose how an energy is found, or are the treatment of spin, which is named by itself."""
FUNCTIONALS = {
    "SLA PZ NOGX NOGC": "LDA", "PZ": "LDA", "SLA PW NOGX NOGC": "LDA",
    "SLA PW PBX PBC": "PBE", "SLA PW PBE PBE": "PBE", "SLA PW PSX PSC": "PBESOL",
}  # fmt: skip
"""Functionals as old files of pseudopotentials write them -> their short names."""
_ATTRIBUTE = re.compile(r"\bfunctional\s*=\s*[\"']([^\"']+)[\"']", re.IGNORECASE)
_LINE = re.compile(r"^\s*(.+?)\s+Exchange-Correlation functional", re.IGNORECASE | re.MULTILINE)


def settings_of(inputs: Any, spin_type: str, kpoints: Mapping[str, Any] | None = None) -> Settings:
    """Return the settings.

    :param inputs: of a PwRelaxWorkChain; its last relaxation is what the energy comes from.
    :param spin_type: the rule by which spin was treated: energies of MgO without and of FeO with spin may meet where
        one rule made both.
    :param kpoints: the rule by which k-points of energies are chosen, where an SCF follows the relaxation.
    """
    base, structure = inputs.base_relax, inputs.structure
    parameters = base.pw.parameters.get_dict()
    system = dict(parameters.get("SYSTEM", {}))
    pseudos = {structure.get_kind(kind).symbol: pseudo for kind, pseudo in dict(base.pw.pseudos).items()}
    functionals = sorted({functional_of(pseudo.get_content()) for pseudo in pseudos.values()})
    common: dict[str, Any] = {
        "engine": "quantum_espresso",
        "code": base.pw.code.default_calc_job_plugin,
        "functional": system.pop("input_dft", None) or " + ".join(functionals),
        "ecutwfc_Ry": system.pop("ecutwfc", None),
        "ecutrho_Ry": system.pop("ecutrho", None),
        "occupations": system.pop("occupations", None),
        "smearing": system.pop("smearing", None),
        "degauss_Ry": system.pop("degauss", None),
        "spin_type": spin_type,
        "system": {key: value for key, value in sorted(system.items()) if key not in NO_MATTER},
    }
    if kpoints is not None:
        common["energy_kpoints"] = dict(kpoints)
    elif "kpoints_distance" in base:
        common["kpoints_distance"] = base.kpoints_distance.value
    else:
        common["kpoints_mesh"] = base.kpoints.base.attributes.get("mesh", None)
    elements: dict[str, dict[str, Any]] = {
        symbol: {"pseudo_md5": pseudo.base.attributes.get("md5")} for symbol, pseudo in pseudos.items()
    }
    for symbol, terms in hubbard_terms(structure).items():
        elements[symbol]["hubbard"] = terms
    return Settings(common, elements)


def hubbard_terms(structure: Any) -> dict[str, Mapping[str, float]]:
    """Return element -> ``type manifold`` -> eV of the Hubbard terms of a crystal, {} where it has none."""
    hubbard = getattr(structure, "hubbard", None)
    found: dict[str, dict[str, float]] = {}
    for term in hubbard.parameters if hubbard is not None else ():
        kind = structure.get_kind(structure.sites[term.atom_index].kind_name)
        found.setdefault(kind.symbol, {})[f"{term.hubbard_type} {term.atom_manifold}"] = term.value
    return dict(found)


def functional_of(content: str) -> str:
    """Return the functional that the header of a UPF file names, by its short name; 'unknown' where it names none."""
    found = _ATTRIBUTE.search(content) or _LINE.search(content)
    if found is None:
        return "unknown"
    words = " ".join(found.group(1).upper().split())
    for long, short in FUNCTIONALS.items():
        if words == long or words.startswith(f"{long} "):
            return short
    return words

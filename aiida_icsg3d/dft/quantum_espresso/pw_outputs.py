"""What pw.x says of a relaxed crystal beside its energy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from aiida import orm
from aiida.common.links import LinkType

SOURCES = ("output_parameters", "output_trajectory", "output_band")


def outputs_of(node: orm.ProcessNode) -> dict[str, Any]:
    """Return label -> node of what a PwRelaxWorkChain returned."""
    return {link.link_label: link.node for link in node.base.links.get_outgoing(link_type=LinkType.RETURN).all()}


def figures(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of a relaxed crystal, as far as pw.x gives them.

    :param outputs: of the PwRelaxWorkChain.
    :return: ``total_magnetization`` and ``absolute_magnetization`` (Bohr magnetons a cell, of a spin-polarised run),
        ``band_gap_eV`` (on the k-points of the SCF; None: a metal), ``pressure_GPa`` and ``max_force_eV_per_angstrom``
        (of the final SCF), ``program_version``.
    """
    found: dict[str, Any] = {}
    parameters = outputs["output_parameters"].get_dict()
    if parameters.get("lsda") or parameters.get("number_of_spin_components", 1) > 1:
        found |= {k: parameters.get(k) for k in ("total_magnetization", "absolute_magnetization")}
    if "creator_version" in parameters:
        found["program_version"] = f"pw.x {parameters['creator_version']}"
    if "output_trajectory" in outputs:
        found |= residuals(outputs["output_trajectory"])
    if "output_band" in outputs:
        fermi = [parameters[k] for k in ("fermi_energy_up", "fermi_energy_down") if k in parameters]
        fermi = fermi or [parameters["fermi_energy"]] * 2 if "fermi_energy" in parameters or fermi else []
        found |= gap(outputs["output_band"], fermi)
    return found


def residuals(trajectory: orm.TrajectoryData) -> dict[str, float]:
    """Return pressure (GPa, positive where the cell wants to grow) and largest force (eV/Å) of the last step."""
    found = {}
    names = trajectory.get_arraynames()
    if "stress" in names:
        found["pressure_GPa"] = float(np.trace(trajectory.get_array("stress")[-1]) / 3)
    if "forces" in names:
        found["max_force_eV_per_angstrom"] = float(np.linalg.norm(trajectory.get_array("forces")[-1], axis=1).max())
    return found


def gap(bands: orm.BandsData, fermi: list[float]) -> dict[str, float | None]:
    """Return the gap (eV) between the bands below and above the Fermi energy, None where one crosses it.

    :param fermi: of each spin; empty where occupations are fixed and pw.x gives none: nothing is said then.
    """
    energies = np.asarray(bands.get_bands(), dtype=np.float64)
    spins = energies if energies.ndim == 3 else energies[None]  # (spin, k, band)
    if not fermi:
        return {}
    top, bottom = -np.inf, np.inf
    for spin, level in zip(spins, fermi, strict=False):
        below = spin <= level
        if len({int(n) for n in below.sum(axis=1)}) > 1:
            return {"band_gap_eV": None}
        top = max(top, spin[below].max(initial=-np.inf))
        bottom = min(bottom, spin[~below].min(initial=np.inf))
    return {"band_gap_eV": float(bottom - top)} if np.isfinite(bottom - top) and bottom > top else {}


def ignored_hubbard(node: orm.ProcessNode, outputs: Mapping[str, Any]) -> str | None:
    """Return the reason where the crystal has Hubbard terms that pw.x did not read: before 7.1 it skips their card."""
    hubbard = getattr(node.inputs.structure, "hubbard", None)
    if hubbard is None or not hubbard.parameters:
        return None
    parameters = outputs["output_parameters"].get_dict()
    if parameters.get("lda_plus_u_calculation"):
        return None
    version = parameters.get("creator_version", "of unknown version")
    return (
        f"pw.x {version} ignored the Hubbard terms, so that this energy is not what was asked for: use pw.x 7.1 or "
        "later, or leave `hubbard` out"
    )

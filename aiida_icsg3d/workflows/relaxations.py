"""What comes out of a relaxation: the lower of its ends, and how the crystal compares with the generated one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiida import orm
from aiida.engine import calcfunction

from ..dft.engine import Engine, Relaxation
from ..dft.magnetism import NONMAGNETIC, carriers, order_found
from ..dft.symmetry import symmetrise_structure

__all__ = ("symmetrise_structure",)

RELAXED, FAILED = "relaxed", "failed"
OF_THE_ENERGY = ("total_magnetization", "absolute_magnetization", "band_gap_eV")
"""Figures that are taken from the process of the energy, where there is one."""
SYMMETRY_PRECISION = 0.01
"""Å; tolerance of the space group that is reported for a relaxed crystal."""


def rms_displacement(generated: Any, relaxed: Any) -> float | None:
    """Return the root mean square displacement of the sites from generated to relaxed crystal, in Å.

    pymatgen's StructureMatcher pairs the sites of the primitive cells, after scaling both to the geometric
    mean of their volumes and removing a common shift: a change of volume alone is no displacement. Its value
    is in units of (V/N)^(1/3) of that mean cell, which is multiplied back. None: the two no longer match
    (ltol 0.3, stol 0.5, angle_tol 10, the tolerances of the published reconstruction metrics), the
    relaxation found another crystal.

    :param generated: pymatgen Structure before the relaxation.
    :param relaxed: pymatgen Structure after it.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    found = StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10).get_rms_dist(generated, relaxed)
    if found is None:
        return None
    per_atom = (generated.volume / len(generated) * relaxed.volume / len(relaxed)) ** 0.5
    return float(found[0] * per_atom ** (1 / 3))


def describe_relaxation(generated: orm.StructureData, relaxed: orm.StructureData, energy: float) -> dict[str, Any]:
    """Return what is reported of a relaxed crystal.

    Volumes (Å³) and the energy (eV) are those of the relaxed cell; the generated volume is scaled to as many
    atoms. a, b, c (Å) are those of the conventional cell.
    """
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    before, after = generated.get_pymatgen(), relaxed.get_pymatgen()
    symmetry = SpacegroupAnalyzer(after, symprec=SYMMETRY_PRECISION)
    conventional = symmetry.get_conventional_standard_structure().lattice
    volume = before.volume / len(before) * len(after)
    return {
        "energy_eV": energy,
        "energy_per_atom_eV": energy / len(after),
        "volume_initial": volume,
        "volume_relaxed": after.volume,
        "volume_change_percent": 100 * (after.volume / volume - 1),
        "a": conventional.a,
        "b": conventional.b,
        "c": conventional.c,
        "spacegroup_symbol": symmetry.get_space_group_symbol(),
        "spacegroup_number": symmetry.get_space_group_number(),
        "rmsd_angstrom": rms_displacement(before, after),
    }


@calcfunction
def collect_relaxations(outcomes: orm.Dict, **nodes: Any) -> orm.Dict:
    """Return ``{id: {status, reason, exit_status, workchain_uuid, energy_eV, ...}}`` of all relaxations.

    :param outcomes: what the engine said of each: status, reason, energy, figures, settings.
    :param nodes: namespaces ``generated`` and ``relaxed``, the crystals before and after by the same identifiers, and
        ``sources``, by identifier what the engine read the figures from; the last two hold the successful ones only.
    """
    results = {}
    for identifier, outcome in outcomes.get_dict().items():
        results[identifier] = dict(outcome)
        if outcome["status"] == RELAXED:
            described = describe_relaxation(
                nodes["generated"][identifier], nodes["relaxed"][identifier], outcome["energy_eV"]
            )
            results[identifier].update(described)
    return orm.Dict(results)


@calcfunction
def record_energy(structure: orm.StructureData, outcome: orm.Dict, **sources: Any) -> orm.Dict:
    """Return the energy of one relaxed crystal with its settings, as a node that a query finds by their hash.

    :param structure: the relaxed crystal.
    :param outcome: its entry of the results, with ``energy_eV`` and ``settings``.
    :param sources: what the engine read the figures from.
    :return: ``formula`` (reduced), ``n_atoms``, ``energy_eV``, ``energy_per_atom_eV``, ``settings_hash``,
        ``settings``, ``start``, ``magnetic_order`` and ``structure_uuid``.
    """
    entry, count = outcome.get_dict(), len(structure.sites)
    return orm.Dict(
        {
            "formula": structure.get_pymatgen().composition.reduced_formula,
            "n_atoms": count,
            "energy_eV": entry["energy_eV"],
            "energy_per_atom_eV": entry["energy_eV"] / count,
            "settings_hash": entry["settings"]["hash"],
            "structure_uuid": structure.uuid,
            **{key: entry.get(key) for key in ("settings", "start", "magnetic_order", "note")},
        }
    )


def outcome_of_starts(tried: Mapping[str, tuple[orm.ProcessNode, Relaxation]], engine: type[Engine]) -> dict[str, Any]:
    """Return status, reason, energy, figures and settings of a crystal: those of its lowest end, and all starts.

    :param tried: start -> its process and what became of the crystal there.
    """
    good = [start for start, (_, found) in tried.items() if found.reason is None]
    # Cells of two orders may differ in size. All failed: the first start says why.
    chosen = min(good, key=lambda start: energy_per_atom(tried[start][1])) if good else next(iter(tried))
    node, relaxation = tried[chosen]
    outcome: dict[str, Any] = {
        "status": RELAXED if good else FAILED,
        "reason": relaxation.reason,
        "exit_status": node.exit_status,
        "workchain_uuid": node.uuid,
        "engine": engine.name,
        "start": chosen,
    }
    if len(tried) > 1:
        outcome["starts"] = {
            start: {
                "energy_per_atom_eV": energy_per_atom(found) if found.reason is None else None,
                "reason": found.reason,
                "workchain_uuid": process.uuid,
                "magnetic_order": end_of(start, found),
                **found.figures,
            }
            for start, (process, found) in tried.items()
        }
    if good and relaxation.structure is not None:
        outcome |= {"energy_eV": relaxation.energy, "magnetic_order": end_of(chosen, relaxation), **relaxation.figures}
        outcome["note"] = engine.note(relaxation.structure, list(tried))
    return outcome


def energy_per_atom(relaxation: Relaxation) -> float:
    """Return the energy of a crystal that was relaxed, in eV per atom."""
    assert relaxation.energy is not None
    assert relaxation.structure is not None
    return relaxation.energy / len(relaxation.structure.sites)


def better_energy(outcome: dict[str, Any], relaxation: Relaxation, engine: Engine, node: orm.ProcessNode) -> Relaxation:
    """Put the energy that was computed after a relaxation into its outcome, and return both in one.

    A relaxed crystal without that energy has failed: no other energy of its may meet those of the others.

    :param node: the process that computed it.
    """
    found = engine.read_energy(node)
    if found.reason is not None:
        outcome |= {"status": FAILED, "reason": f"relaxed, but its energy is not known: {found.reason}"}
        return relaxation
    outcome |= {"relaxation_energy_eV": relaxation.energy, "energy_eV": found.energy, "energy_uuid": node.uuid}
    outcome |= {key: value for key, value in found.figures.items() if key in OF_THE_ENERGY}
    sources = {**relaxation.sources, **found.sources}
    return Relaxation(relaxation.structure, found.energy, None, relaxation.figures, sources)


def end_of(start: str, relaxation: Relaxation) -> str | None:
    """Return the magnetic order that a relaxation ended in, None where it failed or nothing is said of it."""
    if relaxation.structure is None:
        return None
    if "total_magnetization" not in relaxation.figures:
        return NONMAGNETIC if start == NONMAGNETIC else None
    figures, sites = relaxation.figures, relaxation.structure.get_site_kindnames()
    count = sum(name in carriers(relaxation.structure) for name in sites)
    return order_found(figures["total_magnetization"], figures["absolute_magnetization"], count)

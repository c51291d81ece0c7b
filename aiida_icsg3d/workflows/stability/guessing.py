"""Structures of compounds that nobody gave: prototypes of other compounds, of which a potential finds the lowest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from aiida import orm
from aiida.engine import calcfunction

from icsg3d_models.relaxation.table import read_table

from ...dft.ancestry import coming_from

USABLE = ("relaxed", "not_converged")
RIVALS = 0.01
"""eV/atom; a second prototype that the potential has no further above the lowest is computed too."""
MOST = 2  # of one formula
ALIKE = 0.002
"""eV/atom; of crystals that the potential cannot tell apart the one with fewer sites stands before the others."""
GUESSED = "decorate_prototypes"
"""Function name of the process that every guessed structure comes from."""


@calcfunction
def decorate_prototypes(formula: orm.Str, most_sites: orm.Int) -> dict[str, orm.StructureData]:
    """Return a compound in every prototype of its kind that is small enough, as ``FORMULA_NUMBER``.

    See :func:`icsg3d_models.phases.prototypes.structures_of`; the label of a structure names its prototype.
    """
    from icsg3d_models.phases.prototypes import structures_of

    found = {}
    for number, one in enumerate(structures_of(formula.value, most_sites=most_sites.value)):
        structure = orm.StructureData(pymatgen=one.structure)
        structure.label = f"{formula.value} as {one.prototype.mineral} ({one.prototype.aflow})"
        found[f"{formula.value}_{number}"] = structure
    return found


def lowest(rows: Iterable[Mapping[str, Any]], formula: str) -> list[str]:
    """Return the ids of the lowest crystals of a formula, the lowest first, and of equal ones the smaller first.

    :param rows: of the table of the stage relax.
    """
    mine = [
        row
        for row in rows
        if row["id"].rpartition("_")[0] == formula and row["status"] in USABLE and row["energy_per_atom"] is not None
    ]
    least = min((row["energy_per_atom"] for row in mine), default=0.0)
    near = [row for row in mine if row["energy_per_atom"] - least <= RIVALS]
    near.sort(key=lambda row: (round((row["energy_per_atom"] - least) / ALIKE), row["n_sites"]))
    return [str(row["id"]) for row in near]


def ranked(job: orm.CalcJobNode, formulas: Iterable[str]) -> tuple[dict[str, orm.StructureData], dict[str, str]]:
    """Return identifier -> structure of the lowest prototypes, and formula -> why there is none.

    :param job: of the stage relax.
    """
    if "table" not in job.outputs:
        why = f"its prototypes could not be ranked, {job.process_label}<{job.pk}>: {job.exit_message}"
        return {}, dict.fromkeys(formulas, why)
    with job.outputs.table.as_path() as path:
        rows = read_table(path)
    chosen: dict[str, orm.StructureData] = {}
    missing: dict[str, str] = {}
    for formula in formulas:
        found = different(lowest(rows, formula), job.outputs.crystals)[:MOST]
        if not found:
            missing[formula] = (
                f"none of its prototypes could be relaxed by the potential, {job.process_label}<{job.pk}>"
            )
        chosen |= {identifier: job.outputs.crystals[identifier] for identifier in found}
    return chosen, missing


def different(names: Iterable[str], crystals: Mapping[str, orm.StructureData]) -> list[str]:
    """Return the names without those whose crystal is one that stands before: two prototypes may relax into one."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher = StructureMatcher()
    kept: dict[str, Any] = {}
    for name in names:
        crystal = crystals[name].get_pymatgen()
        if not any(matcher.fit(other, crystal) for other in kept.values()):
            kept[name] = crystal
    return list(kept)


def guessed_formulas(energies: Iterable[orm.Dict]) -> list[str]:
    """Return the formulas whose energies are all of guessed structures: a lower one of theirs may exist.

    :param energies: stored, by :func:`aiida_icsg3d.workflows.relaxations.record_energy`.
    """
    nodes = {node.pk: str(node.get_dict()["formula"]) for node in energies if node.pk is not None}
    guesses = coming_from(nodes, lambda _, function: function == GUESSED)
    known = {formula for pk, formula in nodes.items() if pk not in guesses}
    return sorted({formula for pk, formula in nodes.items() if pk in guesses} - known)


def fill_ranking(builder: Any, code: orm.AbstractCode, settings: dict[str, Any]) -> None:
    """Set the ranking of guessed structures on the builder, or namespace, of a ReferencesWorkChain."""
    builder["ranking"].code = code
    # which is lowest is clear long before the last meV
    builder["ranking"].settings = {"fmax": 0.1, "max_steps": 100, "hull": False, **settings}
    builder["ranking"].metadata.options = {"max_wallclock_seconds": 43200}

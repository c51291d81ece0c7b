"""The summary of a discovery run, made from the outputs of its stages so that its provenance is kept."""

from __future__ import annotations

from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Dict, List, Node

from icsg3d_models.screening.ranking import STAGES

from ..values import storable
from .relaxations import RELAXED, describe_relaxation


@calcfunction
def summarise_run(**parts: Any) -> Dict:
    """Return ``funnel`` and ``candidates`` of a run, as far as it got.

    :param parts: any of the results ``sample``, ``rebuild``, ``screen``, ``prerelax`` and ``validate``, the
        ``prerelaxation``, the ``verdicts`` and the screen's ``selected`` (Dict each), ``notes`` (List), and the
        namespaces ``generated`` and ``relaxed`` (id -> StructureData).
    :return: ``funnel``: sampled, rebuilt, the stages of the screening, relaxed, failed; ``candidates``:
        best first, one entry for each selected crystal: ``id``, ``uuid``, its row of the screening table,
        ``prerelax`` (how the potential found it, ``chosen``: why it went to DFT, ``set_aside``: why not; or None),
        ``relax`` (its entry of the results of the DFT, lengths and volumes beside the generated crystal, or None),
        ``verdict`` (or None) and ``relaxed_uuid``; ``estimate``: which hull the estimates are against; ``notes``.
    """
    results = {name: node.get_dict() for name, node in parts.items() if isinstance(node, Dict)}
    generated: dict[str, Node] = parts.get("generated", {})
    relaxed: dict[str, Node] = parts.get("relaxed", {})
    relaxations, verdicts = results.get("validate", {}), results.get("verdicts", {})
    selected = results.get("selected", {"ids": [], "rows": {}})
    stand = results.get("prerelaxation")
    candidates = [
        {
            **selected["rows"][name],
            "id": name,
            "uuid": generated[name].uuid if name in generated else None,
            "prerelax": prerelaxation_of(name, stand),
            "relax": {
                **relaxations[name],
                **(beside(generated[name], relaxed[name], relaxations[name]) if stand and name in relaxed else {}),
                **energies_of(verdicts.get(name)),
            } if name in relaxations else None,
            "verdict": verdicts.get(name),
            "relaxed_uuid": relaxed[name].uuid if name in relaxed else None,
        }
        for name in (stand["ids"] if stand else selected["ids"])
    ]  # fmt: skip
    content: dict[str, Any] = {"funnel": funnel(results), "candidates": candidates}
    if stand:
        content["estimate"] = results.get("prerelax", {}).get("tables", {}).get("hull")
    if isinstance(parts.get("notes"), List):
        content["notes"] = parts["notes"].get_list()
    return Dict(storable(content))


def prerelaxation_of(name: str, stand: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return how a candidate stood after the pre-relaxation, None where there was none."""
    if stand is None:
        return None
    return {
        **stand["rows"].get(name, {}),
        "chosen": stand["chosen"].get(name),
        "set_aside": stand["set_aside"].get(name),
    }


def beside(generated: Any, relaxed: Any, relaxation: dict[str, Any]) -> dict[str, Any]:
    """Return how the relaxed crystal stands beside the generated one, where DFT began from a pre-relaxed one.

    The displacement from where DFT began is kept as ``rmsd_from_prerelaxed``.
    """
    if relaxation["status"] != RELAXED:
        return {}
    described = describe_relaxation(generated, relaxed, relaxation["energy_eV"])
    return {**described, "rmsd_from_prerelaxed": relaxation.get("rmsd_angstrom")}


def energies_of(verdict: dict[str, Any] | None) -> dict[str, Any]:
    """Return what a verdict says in numbers, by the names that tables and the report have for it; {} without one.

    ``dft_formation_energy`` and ``dft_e_above_hull`` in eV/atom, ``dft_hull``: functional, phases, what it lacks.
    """
    if verdict is None or verdict["e_above_hull"] is None:
        return {}
    return {
        "dft_formation_energy": verdict["formation_energy_per_atom"],
        "dft_e_above_hull": verdict["e_above_hull"],
        "dft_hull": {"functional": verdict["label"], "phases": verdict["phases"], "missing": verdict["lacks"]},
        "dft_decomposition": verdict["decomposition"],
    }


def funnel(results: dict[str, Any]) -> dict[str, int]:
    """Return how many crystals were left after each stage; 0 after a stage that was not reached.

    A stage of the screening that was not judged, such as ``novel`` without a reference, is not there.

    :param results: of the stages ``sample``, ``rebuild``, ``screen`` and ``validate``, as far as there are any.
    """

    def count(stage: str, *keys: str) -> int:
        value: Any = results.get(stage, {})
        for key in keys:
            value = value.get(key, {})
        return int(value or 0)

    judged = results.get("screen", {}).get("tables", {}).get("funnel")
    stages = [key for key in STAGES[1:] if key in (judged or ("valid", "unique", "novel", "selected"))]
    outcomes = [entry["status"] for entry in results.get("validate", {}).values()]
    return {
        "sampled": count("sample", "counts", "samples"),
        "rebuilt": count("rebuild", "counts", "rebuilt"),
        **{key: count("screen", "tables", "funnel", key) for key in stages},
        "relaxed": outcomes.count("relaxed"),
        "failed": outcomes.count("failed"),
    }

"""The summary of a discovery run, made from the outputs of its stages so that its provenance is kept."""

from __future__ import annotations

from statistics import median
from typing import Any

from aiida.engine import calcfunction
from aiida.orm import Dict, List, Node, SinglefileData

from icsg3d_models.screening.ranking import STAGES
from icsg3d_models.screening.table import PREDICTED, read_table

from ..parsers.rebuild import link_label
from ..values import storable
from .relaxations import RELAXED, describe_relaxation
from .stages.stage import last_job

OF_MODES = ("dynamically_stable", "lowest_frequency_THz")
"""What phonons say, among the figures of a relaxed crystal; THz, negative: imaginary."""


@calcfunction
def summarise_run(**parts: Any) -> Dict:
    """Return ``funnel`` and ``candidates`` of a run, as far as it got.

    :param parts: any of the results ``sample``, ``rebuild``, ``screen``, ``prerelax`` and ``validate``, the
        ``prerelaxation``, the ``verdicts``, the ``modes`` and the screen's ``selected`` (Dict each), its
        ``table``, ``asked``, the settings of the sampling, ``notes`` (List), and the namespaces
        ``generated`` and ``relaxed`` (id -> StructureData).
    :return: ``funnel``: sampled, rebuilt, the stages of the screening, relaxed, failed; ``candidates``:
        best first, one entry for each selected crystal: ``id``, ``uuid``, its row of the screening table,
        ``prerelax`` (how the potential found it, ``chosen``: why it went to DFT, ``set_aside``: why not; or None),
        ``relax`` (its entry of the results of the DFT, lengths and volumes beside the generated crystal, or None),
        ``verdict`` (or None) and ``relaxed_uuid``; ``estimate``: which hull the estimates are against; ``notes``;
        ``aim``: what the samples aimed at, and how those that did stand beside those that did not.
    """
    results = {name: node.get_dict() for name, node in parts.items() if isinstance(node, Dict)}
    generated: dict[str, Node] = parts.get("generated", {})
    relaxed: dict[str, Node] = parts.get("relaxed", {})
    relaxations, verdicts = results.get("validate", {}), results.get("verdicts", {})
    modes = results.get("modes", {})
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
                **{key: modes[name][key] for key in OF_MODES if name in modes and modes[name][key] is not None},
            } if name in relaxations else None,
            "verdict": verdicts.get(name),
            "relaxed_uuid": relaxed[name].uuid if name in relaxed else None,
        }
        for name in (stand["ids"] if stand else selected["ids"])
    ]  # fmt: skip
    content: dict[str, Any] = {"funnel": funnel(results), "candidates": candidates}
    if stand:
        content["estimate"] = results.get("prerelax", {}).get("tables", {}).get("hull")
    aim = results.get("asked", {})
    if aim.get("unaimed") and isinstance(parts.get("table"), SinglefileData):
        with parts["table"].open(mode="r") as stream:
            content["aim"] = {"targets": aim["targets"], **beside_unaimed(read_table(stream), aim)}
    if isinstance(parts.get("notes"), List):
        content["notes"] = parts["notes"].get_list()
    return Dict(storable(content))


def gathered(ctx: Any, screen_results: str, asked: Dict | None) -> dict[str, Any]:
    """Return the parts of :func:`summarise_run` that a run has so far; {} where no stage has results.

    :param ctx: of a DiscoverWorkChain.
    :param screen_results: name of the results of the screening among the outputs of the process that did it.
    :param asked: settings of the sampling.
    """
    parts: dict[str, Any] = {}
    for stage, label, name in (
        ("generate", "sample_results", "sample"),
        ("generate", "results", "rebuild"),
        ("screen", screen_results, "screen"),
        ("screen", "selected", "selected"),
        ("validate", "results", "validate"),
        ("verdict", "verdicts", "verdicts"),
        ("phonons", "results", "modes"),
    ):
        if stage in ctx and label in ctx[stage].outputs:
            parts[name] = ctx[stage].outputs[label]
    if not parts:
        return {}
    if ctx.get("selected"):
        parts["generated"] = {link_label(name): node for name, node in ctx.selected.items()}
    if "prerelaxation" in ctx:
        parts["prerelaxation"] = ctx.prerelaxation
        parts["prerelax"] = last_job(ctx.prerelax).outputs.results
    if "screen" in ctx and "table" in ctx.screen.outputs:
        parts["table"] = ctx.screen.outputs.table
        if asked is not None:
            parts["asked"] = asked
    if ctx.get("notes"):
        parts["notes"] = List(ctx.notes)
    if "validate" in ctx and "relaxed" in ctx.validate.outputs:
        parts["relaxed"] = dict(ctx.validate.outputs.relaxed)
    return parts


def beside_unaimed(rows: list[dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    """Return how the aimed samples stand beside the unaimed, the first ones: counts and medians of what was predicted.

    :param rows: of the screening; ``asked``: settings of the sampling.
    """
    first = asked["unaimed"]
    groups = {"unaimed": (first, range(first)), "aimed": (asked["n_samples"] - first, range(first, asked["n_samples"]))}
    found = {}
    for name, (samples, numbers) in groups.items():
        mine = [row for row in rows if number_of(row["id"]) in numbers]
        found[name] = {
            "samples": samples,
            "structure_valid": sum(row.get("structure_valid") is True for row in mine),
            "unique": sum(row.get("structure_valid") is True and row.get("unique") is True for row in mine),
            "selected": sum(row.get("selected") is True for row in mine),
        }
        for target in asked["targets"]:
            values = [value for row in mine if isinstance(value := row.get(PREDICTED + target), float)]
            found[name][f"median_{PREDICTED}{target}"] = median(values) if values else None
    return found


def number_of(name: str) -> int:
    """Return the number of a sample, -1 where the name has none."""
    digits = name.lstrip("s")
    return int(digits) if digits.isdigit() else -1


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
        "dft_hull": {
            "functional": verdict["label"],
            "phases": verdict["phases"],
            "missing": verdict["lacks"],
            "lower_by": verdict.get("lower_by"),
            "guessed": verdict.get("guessed", []),
        },
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

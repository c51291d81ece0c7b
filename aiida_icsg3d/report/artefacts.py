"""The files of a run that other programs read: a table, a zip of CIFs, and the figures."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icsg3d_models.data.writers import write_cif

from ..campaigns.asked import asked_for
from ..campaigns.campaign import Campaign
from ..campaigns.graph import OF_ONE_JOB, is_one_job, output, results_of
from .export import entries_of

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

RELAX_COLUMNS = (
    "status", "exit_status", "reason", "energy_eV", "energy_per_atom_eV", "a", "b", "c", "spacegroup_symbol",
    "spacegroup_number", "volume_initial", "volume_relaxed", "volume_change_percent", "rmsd_angstrom", "workchain_uuid",
    "total_magnetization", "magnetic_order", "band_gap_eV", "dynamically_stable", "lowest_frequency_THz",
)  # fmt: skip
VERDICT_COLUMNS = ("dft_e_above_hull", "dft_formation_energy")
SAID = ("status", "counts", "seed", "device", "versions", "wall_time_seconds", "peak_memory_bytes")
"""What the results of a stage say of themselves."""
PRERELAX_COLUMNS = ("potential", "status", "rmsd", "volume_change", "spacegroup_after", "left_prototype", "chosen",
                    "set_aside", "reason")  # fmt: skip


def write_candidates(campaign: Campaign, path: Path) -> Path:
    """Write all screened candidates, best first: the screening table, UUIDs, what the potential (`prerelax_...`) and
    what DFT said (`dft_...`)."""
    names = list(dict.fromkeys(name for c in campaign.candidates for name in c.row if name not in ("uuid", "relax")))
    dft = [f"dft_{name}" for name in RELAX_COLUMNS]
    before = PRERELAX_COLUMNS if any(c.prerelax for c in campaign.candidates) else ()
    names = [name for name in names if name != "estimated_hull"]
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [*(names or ["id"]), "structure_uuid", "relaxed_uuid",
                                         *(f"prerelax_{name}" for name in before), *VERDICT_COLUMNS, *dft])  # fmt: skip
        writer.writeheader()
        for candidate in campaign.candidates:
            row: dict[str, Any] = {name: candidate.row.get(name) for name in names}
            relaxed = campaign.relaxed.get(candidate.id)
            if "formula" in row:
                row["formula"] = candidate.formula
            row.update(structure_uuid=candidate.uuid, relaxed_uuid=relaxed.uuid if relaxed else None)
            row.update({f"prerelax_{name}": (candidate.prerelax or {}).get(name) for name in before})
            row.update({name: (candidate.relax or {}).get(name) for name in VERDICT_COLUMNS})
            for name, column in zip(RELAX_COLUMNS, dft, strict=True):
                row[column] = (candidate.relax or {}).get(name)
            writer.writerow({key: "" if value is None else value for key, value in row.items()})
    return path


def write_cifs(campaign: Campaign, path: Path) -> Path:
    """Write the generated and relaxed crystals of the selected candidates into a zip, with the symmetry found."""
    write_cif(entries_of(campaign, campaign.best), path)
    return path


def stage_facts(node: ProcessNode) -> list[dict[str, Any]]:
    """Return one entry for each stage of a run: what it was, how it ended, how long it took, what it said.

    Wall time is the program's own where it wrote one, else creation to last change of the node.
    """
    facts = []
    jobs = sorted(node.called_descendants, key=lambda n: n.ctime)
    for job in jobs:
        if job.process_type is None or not hasattr(job, "get_job_id"):
            continue
        name = job.process_type.rsplit(":", 1)[-1]
        # one job that did the work of several has one entry for each
        parts = [
            (f"icsg3d.{stage}", found) for stage in OF_ONE_JOB if is_one_job(job) and (found := results_of(job, stage))
        ]
        facts += [facts_of(job, *part) for part in parts or [(name, output(job, "results"))]]
    return facts


def facts_of(job: Any, stage: str, results: Any) -> dict[str, Any]:
    """Return what a job was, how it ended, and what it said of one stage."""
    entry: dict[str, Any] = {
        "stage": stage,
        "pk": job.pk,
        "uuid": job.uuid,
        "state": job.process_state.value if job.process_state else "created",
        "exit_status": job.exit_status,
        "elapsed_seconds": round((job.mtime - job.ctime).total_seconds(), 1),
    }
    content: dict[str, Any] = results.get_dict() if results is not None else {}
    return entry | {name: content[name] for name in SAID if name in content}


def models_of(node: ProcessNode) -> list[dict[str, Any]]:
    """Return label, UUID, hash and card of every trained model and dataset that went into a run."""
    found: dict[str, dict[str, Any]] = {}
    for process in [node, *node.called_descendants]:
        for triple in process.base.links.get_incoming().all():
            data = triple.node
            if data.node_type.startswith("data.icsg3d."):
                kind = data.node_type.split(".")[2]
                facts = {"kind": kind, "uuid": data.uuid, "pk": data.pk, "label": data.label}
                found[data.uuid] = facts | {k: v for k, v in data.base.attributes.all.items() if k != "filename"}
    return sorted(found.values(), key=lambda entry: entry["pk"])


def write_metrics(campaign: Campaign, path: Path) -> Path:
    """Write funnel, times, versions, seeds and models of a run as JSON."""
    node = campaign.node
    stages = stage_facts(node)
    totals: dict[str, float] = {}
    for entry in stages:
        seconds = entry.get("wall_time_seconds", entry["elapsed_seconds"])
        totals[entry["stage"]] = round(totals.get(entry["stage"], 0.0) + float(seconds), 1)
    versions: dict[str, Any] = {}
    for entry in stages:
        versions.update(entry.get("versions") or {})
    content = {
        "format_version": 1,
        "workchain": {"pk": node.pk, "uuid": node.uuid, "state": state(node), "exit_status": node.exit_status,
                      "exit_message": node.exit_message, "started": node.ctime.isoformat(),
                      "elapsed_seconds": round((node.mtime - node.ctime).total_seconds(), 1)},
        "asked_for": asked_for(node),
        "funnel": campaign.funnel,
        "wall_seconds_by_stage": totals,
        "versions": versions | (node.base.attributes.get("version", None) or {}),
        "seeds": {entry["stage"]: entry["seed"] for entry in stages if "seed" in entry},
        "models": models_of(node),
        "stages": stages,
        "relaxations": {c.id: c.relax for c in campaign.candidates if c.relax},
    }  # fmt: skip
    path.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
    return path


def state(node: ProcessNode) -> str:
    """Return the state of a process in a word."""
    return node.process_state.value if node.process_state else "created"

"""Small made-up content of every file that a stage reads or writes, without torch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from safetensors.numpy import save_file

from icsg3d_models.crystals.batch import Crystals, write_crystals
from icsg3d_models.data.datasets import Dataset
from icsg3d_models.relaxation.table import write_table
from icsg3d_models.results import RESULTS_FILE, Report

PEROVSKITE = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
FORMULAS = {  # numbers of A, B, X and a (Å)
    "SrTiO3": (38, 22, 8, 3.91), "InO3F": (49, 9, 8, 4.2), "BaZrO3": (56, 40, 8, 4.19), "KMgF3": (19, 12, 9, 3.99),
}  # fmt: skip


def crystals(count: int) -> Crystals:
    """Return cubic perovskites s000000, s000001, ..., by turns."""
    kinds = [list(FORMULAS.values())[i % len(FORMULAS)] for i in range(count)]
    return Crystals.from_arrays(
        [np.eye(3) * (a + 0.001 * i) for i, (_, _, _, a) in enumerate(kinds)],
        [PEROVSKITE] * count,
        [np.array([z_a, z_b, z_x, z_x, z_x]) for z_a, z_b, z_x, _ in kinds],
        [f"s{i:06d}" for i in range(count)],
    )


def write_dataset(path: Path, count: int = 8, name: str = "made-up") -> Path:
    """Write a dataset file."""
    energy = np.linspace(-1, 1, count)
    energy[0] = np.nan
    split = np.zeros(count, dtype=np.uint8)
    split[-2:] = 1, 2
    units = {"formation_energy_per_atom": "eV/atom"}
    Dataset(crystals(count), {"formation_energy_per_atom": energy}, split, units, name, "nobody").write(path)
    return path


def write_model(path: Path, network: str, seed: int = 0, **config: Any) -> Path:
    """Write a model file of a network with one small weight."""
    card: dict[str, Any] = {"data": {"name": "made-up"}, "seed": seed, "rate": 0.1 + 0.2}
    card["validation"] = {"loss": float("nan")}
    metadata = {
        "format": "icsg3d-model",
        "format_version": "1",
        "network": network,
        "config": json.dumps({"width": 8, **config}),
        "card": json.dumps(card),
    }
    save_file({"weight": np.full(4, seed, dtype=np.float32)}, path, metadata=metadata)
    return path


def write_crystal_file(path: Path, batch: Crystals) -> Path:
    """Write a crystal file."""
    with h5py.File(path, "w") as file:
        write_crystals(file.create_group("crystals"), batch)
    return path


def write_metrics(path: Path, epochs: int = 3) -> Path:
    """Write metrics.csv, with one empty cell."""
    rows = [f"{e},{10 * e},{1 / e},{'' if e == 1 else 0.5 / e}" for e in range(1, epochs + 1)]
    path.write_text("\n".join(["epoch,step,train_loss,loss", *rows]) + "\n")
    return path


def write_screening(path: Path, batch: Crystals, selected: Sequence[str]) -> Path:
    """Write screening.csv."""
    header = (
        "rank,id,formula,n_sites,spacegroup_symbol,spacegroup_number,a,b,c,alpha,beta,gamma,volume,"
        "predicted_formation_energy_per_atom,uncertainty_formation_energy_per_atom,"
        "structure_valid,composition_valid,unique,duplicate_of,novel,selected"
    )
    lines = [header]
    for index, (name, formula) in enumerate(zip(batch.ids, batch.formulas(), strict=True)):
        a, rank = batch.cell[index, 0, 0], selected.index(name) + 1 if name in selected else ""
        lines.append(
            f"{rank},{name},{formula},5,Pm-3m,221,{a},{a},{a},90,90,90,{a**3},{-1 + 0.1 * index},0.02,"
            f"true,true,true,,true,{'true' if name in selected else 'false'}"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def write_evaluation(directory: Path, batch: Crystals) -> None:
    """Write evaluation.json, evaluation.md and evaluation.csv."""
    figure = {"name": "match_rate", "label": "match rate", "unit": "fraction", "better": "higher", "value": 0.75}
    figures = [{**figure, "reference": 1.0}, {**figure, "name": "match_rmse", "value": None}]
    content = {"format_version": 1, "figures": figures, "conditions": {"sha256": {"crystals.h5": "ab"}, "seed": 7}}
    (directory / "evaluation.json").write_text(json.dumps(content))
    (directory / "evaluation.md").write_text("| figure | value |\n|---|---|\n| match rate | 75.00 |\n")
    (directory / "evaluation.csv").write_text("\n".join(["id,rms", *(f"{name},0.01" for name in batch.ids)]) + "\n")


def write_relaxed(directory: Path, batch: Crystals, failed: Sequence[str]) -> None:
    """Write relax.csv and relaxed.h5: crystals that shrink by one percent along each axis; some fail."""
    kept = [i for i, name in enumerate(batch.ids) if name not in failed]
    part = batch.take(kept)
    write_crystal_file(directory / "relaxed.h5", replace(part, cell=0.99 * part.cell))
    rows: list[dict[str, Any]] = []
    for index, (name, formula) in enumerate(zip(batch.ids, batch.formulas(), strict=True)):
        row = {"id": name, "formula": formula, "n_sites": 5, "potential": "made-up", "status": "failed", "reason": "no"}
        if index in kept:
            row |= {"status": "relaxed", "converged": True, "energy": -40.0 - index, "energy_per_atom": -8 - index / 5}
            row |= {"estimated_e_above_hull": 0.01 * index, "estimated_formation_energy_per_atom": -3.0, "reason": ""}
        rows.append(row)
    write_table(directory / "relax.csv", rows)
    (directory / "relax.jsonl").write_text("{}\n")


def write_stage(
    directory: Path, stage: str, status: str = "completed", message: str = "", file: str = RESULTS_FILE, **plan: Any
) -> dict[str, Any]:
    """Write into ``directory`` what a stage leaves behind, and return its results.

    :param file: name of the results.
    :param plan: ``network``, ``epochs`` and ``elements`` (train), ``count`` (crystals), ``selected`` (ids).
    """
    report = Report(stage, directory, seed=plan.get("seed", 7), quiet=True, file=file)
    report.progress(1, 1)
    count = plan.get("count", 4)
    if stage == "prepare":
        write_dataset(directory / "dataset.h5")
        report.counts["crystals"] = 8
    elif stage == "train":
        write_metrics(directory / "metrics.csv", plan.get("epochs", 3))
        config = {"elements": plan["elements"]} if "elements" in plan else {}
        write_model(directory / "model.safetensors", plan.get("network", "vae"), plan.get("seed", 0), **config)
        report.scalars["validation_loss"] = float("nan")
    elif stage == "sample":
        (directory / "fields.h5").write_bytes(b"fields")
        report.counts["samples"] = count
    elif stage == "segment":
        (directory / "segments.h5").write_bytes(b"segments")
        report.counts["samples"] = count
    elif stage == "rebuild":
        write_crystal_file(directory / "crystals.h5", crystals(count))
        report.counts.update(samples=count, rebuilt=count)
        report.tables["reasons"] = {"ok": count}
    elif stage == "relax" and status == "input_incompatible":
        pass  # it ends before the first crystal
    elif stage == "relax":
        batch = replace(crystals(len(plan["ids"])), ids=plan["ids"]) if "ids" in plan else crystals(count)
        write_relaxed(directory, batch, plan.get("failed", []))
        report.counts.update(crystals=count, relaxed=count - len(plan.get("failed", [])))
    elif stage == "screen":
        batch, selected = crystals(count), list(plan.get("selected", ["s000002", "s000001"]))
        write_screening(directory / "screening.csv", batch, selected)
        report.tables["selected"] = selected
        funnel = dict.fromkeys(("crystals", "valid", "unique", "novel"), count)
        report.tables["funnel"] = {**funnel, "selected": len(selected)}
    elif stage == "evaluate":
        write_evaluation(directory, crystals(count))
        report.scalars.update(match_rate=0.75, match_rmse=float("nan"))
    return report.write(status, message)

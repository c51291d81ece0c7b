"""A discovery run built by hand: stored nodes and links as the real processes leave them, in a second."""

from __future__ import annotations

import csv
import io
import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import ProcessState
from ase.build import bulk
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.data import CrystalDatasetData, TrainedModelData
from aiida_icsg3d.data.pretrained import pretrained_fingerprint
from aiida_icsg3d.workflows.summary import energies_of
from icsg3d_models.stability.verdict import Energy, judge

ASKED = {"n_samples": 8, "elements": ["O", "Pb"], "targets": {"gap": 1.5}, "guidance": 2.0, "batch_size": 4}
COLUMNS = (
    "rank", "id", "formula", "n_sites", "spacegroup_symbol", "spacegroup_number", "a", "b", "c", "alpha",
    "beta", "gamma", "volume", "predicted_formation_energy_per_atom", "uncertainty_formation_energy_per_atom",
    "structure_valid", "composition_valid", "unique", "duplicate_of", "novel", "selected",
    "novel_composition", "reason",
)  # fmt: skip
CRYSTALS = {  # id -> A, B, X, a (Å), predicted formation energy (eV/atom)
    "s000002": ("Pb", "Ti", "O", 3.97, -1.12),
    "s000005": ("Ba", "Nb", "N", 4.12, 0.02),
    "s000001": ("Sr", "Ti", "O", 3.93, 0.10),
    "s000007": ("K", "Mg", "F", 4.02, 0.31),
}
PHASES = [Energy(*one) for one in (("Pb", 0.0), ("Ti", 0.0), ("O2", 0.0), ("PbO", -1.2), ("PbO2", -0.9), ("TiO2", -3.3),
                                   ("Ti2O3", -3.1))]  # fmt: skip
"""Made-up energies, eV/atom: PbTiO3 at -2.40 lies 0.06 above PbO and TiO2."""


@dataclass
class Discovery:
    """The nodes that the tests look at."""

    workchain: orm.WorkChainNode
    crystals: dict[str, orm.StructureData] = field(default_factory=dict)
    relaxed: dict[str, orm.StructureData] = field(default_factory=dict)
    models: dict[str, TrainedModelData] = field(default_factory=dict)
    dataset: CrystalDatasetData | None = None
    jobs: dict[str, orm.CalcJobNode] = field(default_factory=dict)


def perovskite(a_site: str, b_site: str, x_site: str, a: float, shift: float = 0.0) -> Structure:
    """Return a cubic perovskite with the B site at the corner, as the Perov-5 data have it."""
    sites = [[0.5 + shift, 0.5, 0.5], [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    return Structure(Lattice.cubic(a), [a_site, b_site, x_site, x_site, x_site], sites)


def model_file(path: Path, network: str) -> Path:
    """Write a model file with one weight, in the safetensors layout."""
    metadata = {
        "format": "icsg3d-model",
        "format_version": "1",
        "network": network,
        "config": "{}",
        "card": json.dumps({"data": "made up <b>", "seed": 3}),
    }
    weight = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = json.dumps({"__metadata__": metadata, "w": weight}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<f", 1.0))
    return path


def process(
    kind: type[orm.ProcessNode],
    process_type: str,
    inputs: dict[str, orm.Data],
    caller: orm.ProcessNode | None,
    computer: orm.Computer | None = None,
    call_label: str | None = None,
) -> Any:
    """Return a stored process with its inputs and its caller linked, still running."""
    node = kind(process_type=process_type, **({"computer": computer} if computer else {}))
    node.set_process_label(process_type.rsplit(":", 1)[-1])
    if issubclass(kind, orm.CalcJobNode):
        node.set_option("resources", {"num_machines": 1})
    node.set_process_state(ProcessState.RUNNING)
    work = issubclass(kind, orm.WorkflowNode)
    for label, data in inputs.items():
        link = LinkType.INPUT_WORK if work else LinkType.INPUT_CALC
        node.base.links.add_incoming(data.store() if not data.is_stored else data, link, label)
    if caller is not None:
        link = LinkType.CALL_WORK if work else LinkType.CALL_CALC
        node.base.links.add_incoming(caller, link, call_label or f"call_{node.uuid[:8]}")
    return node.store()


def finish(node: orm.ProcessNode, outputs: dict[str, orm.Data], exit_status: int = 0, message: str = "") -> None:
    """Attach outputs and end a process."""
    link = LinkType.RETURN if isinstance(node, orm.WorkflowNode) else LinkType.CREATE
    for label, data in outputs.items():
        data.base.links.add_incoming(node, link, label)
        data.store()
    node.set_process_state(ProcessState.FINISHED)
    node.set_exit_status(exit_status)
    node.set_exit_message(message)
    node.seal()


def results(stage: str, seconds: float, tables: dict[str, Any] | None = None, **counts: int) -> orm.Dict:
    """Return what the parser of a stage attaches."""
    return orm.Dict({"status": "completed", "stage": stage, "seed": 7, "device": "cpu", "counts": counts,
                     "tables": tables or {},
                     "wall_time_seconds": seconds, "versions": {"torch": "2.13.0", "smact": "4.0.0"}})  # fmt: skip


def screening_rows(reason: str) -> list[dict[str, Any]]:
    """Return the rows of the screening table; one crystal is invalid for ``reason``."""
    rows = []
    for rank, (name, (a_site, b_site, x_site, a, energy)) in enumerate(CRYSTALS.items(), start=1):
        good = name != "s000007"
        rows.append(dict.fromkeys(COLUMNS, "") | {
            "rank": rank if good else "", "id": name, "formula": f"{b_site}{a_site}{x_site}3", "n_sites": 5,
            "spacegroup_symbol": "Pm-3m", "spacegroup_number": 221, "a": a, "b": a, "c": a, "alpha": 90, "beta": 90,
            "gamma": 90, "volume": a**3, "predicted_formation_energy_per_atom": energy,
            "uncertainty_formation_energy_per_atom": 0.05, "structure_valid": True, "composition_valid": good,
            "unique": True, "novel": name != "s000001", "selected": rank <= 2, "novel_composition": True,
            "reason": "" if good else reason,
        })  # fmt: skip
    return rows


def as_table(rows: Iterable[dict[str, Any]]) -> orm.SinglefileData:
    """Return the table as a node."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return orm.SinglefileData(io.BytesIO(stream.getvalue().encode()), filename="screening.csv")


def build_discovery(
    folder: Path,
    summary: bool = True,
    trained_here: bool = True,
    reason: str = "not neutral",
    judged: bool = False,
) -> Discovery:
    """Store a discovery run: two candidates selected, one relaxed by DFT, the relaxation of the other failed.

    :param summary: whether the run came to its end; else it is still running, without outputs of its own.
    :param trained_here: whether the models were trained in this profile, from a dataset.
    :param reason: why the last crystal was set aside; tests put markup here.
    :param judged: whether the relaxed crystal has a verdict, against made-up energies of its phases, and
        novelty a reference.
    """
    computer = local_computer(folder)
    found = Discovery(process(orm.WorkChainNode, "aiida.workflows:icsg3d.discover", {}, None))
    models: dict[str, TrainedModelData] = {}
    if trained_here:
        elements = {"rock": orm.StructureData(ase=bulk("NaCl", "rocksalt", a=5.64)),
                    "zinc": orm.StructureData(ase=bulk("ZnS", "zincblende", a=5.41))}  # fmt: skip
        found.dataset = CrystalDatasetData.from_structures(elements, name="made-up", shares=(0.5, 0.5, 0.0)).store()
    for network in ("unet", "vae", "prior", "cgcnn"):
        node = TrainedModelData(model_file(folder / f"{network}.safetensors", network))
        if found.dataset is not None:
            job = process(orm.CalcJobNode, "aiida.calculations:icsg3d.train", {"dataset": found.dataset, **(
                {"unet": models["unet"]} if network == "vae" else {})}, None, computer)  # fmt: skip
            finish(job, {"model": node, "results": results("train", 61.0)})
        models[network] = node.store()
    found.models = models

    generate = process(orm.WorkChainNode, "aiida.workflows:icsg3d.generate", {}, found.workchain)
    stage = process(orm.WorkChainNode, "aiida.workflows:icsg3d.stage.sample", {}, generate)
    sample = process(orm.CalcJobNode, "aiida.calculations:icsg3d.sample",
                     {"vae": models["vae"], "prior": models["prior"], "settings": orm.Dict(ASKED)},
                     stage, computer)  # fmt: skip
    fields = orm.RemoteData(remote_path=str(folder / "sample"), computer=computer)
    finish(sample, {"remote_folder": fields, "results": results("sample", 4.0, samples=8)})
    stage = process(orm.WorkChainNode, "aiida.workflows:icsg3d.stage.segment", {}, generate)
    segment = process(orm.CalcJobNode, "aiida.calculations:icsg3d.segment",
                      {"unet": models["unet"], "fields_folder": fields}, stage, computer)  # fmt: skip
    segments = orm.RemoteData(remote_path=str(folder / "segment"), computer=computer)
    finish(segment, {"remote_folder": segments, "results": results("segment", 3.0)})
    stage = process(orm.WorkChainNode, "aiida.workflows:icsg3d.stage.rebuild", {}, generate)
    rebuild = process(orm.CalcJobNode, "aiida.calculations:icsg3d.rebuild",
                      {"fields_folder": fields, "segments_folder": segments}, stage, computer)  # fmt: skip
    for name, (a_site, b_site, x_site, a, _) in CRYSTALS.items():
        found.crystals[name] = orm.StructureData(pymatgen=perovskite(a_site, b_site, x_site, a, 0.01))
    crystals = orm.FolderData()
    born = {f"crystals__{name}": node for name, node in found.crystals.items()}
    finish(rebuild, {"retrieved": crystals, "results": results("rebuild", 1.0, rebuilt=4), **born})
    finish(generate, {})
    reference = {"reference": pretrained_fingerprint("perov5")} if judged else {}
    screening = process(orm.WorkChainNode, "aiida.workflows:icsg3d.screen", {}, found.workchain)
    stage = process(orm.WorkChainNode, "aiida.workflows:icsg3d.stage.screen", {}, screening)
    screen = process(orm.CalcJobNode, "aiida.calculations:icsg3d.screen",
                     {"crystals_folder": crystals, "predictors__cgcnn": models["cgcnn"], **reference}, stage,
                     computer)  # fmt: skip
    rows = screening_rows(reason)
    table = as_table(rows)
    passed = {"valid": 3, "unique": 3, "novel": 2, "selected": 2}
    finish(screen, {"table": table, "results": results("screen", 2.0, {"funnel": passed})})
    finish(screening, {"table": table})
    found.jobs = {"sample": sample, "segment": segment, "rebuild": rebuild, "screen": screen}
    relaxations = relax(found, computer, reason, summary)
    if summary:
        funnel = {
            "sampled": 8,
            "rebuilt": 4,
            "valid": 3,
            "unique": 3,
            "novel": 2,
            "selected": 2,
            "relaxed": 1,
            "failed": 1,
        }
        chosen = [row | {"uuid": found.crystals[row["id"]].uuid, "relax": relaxations.get(row["id"])} for row in rows]
        if judged:
            verdict = judge({"x": Energy("PbTiO3", -2.40)}, PHASES, "LDA")["x"].as_dict()
            chosen[0] |= {"verdict": verdict, "relax": relaxations["s000002"] | energies_of(verdict)}
        content = orm.Dict({"funnel": funnel, "candidates": chosen[:2]}).store()
        finish(found.workchain, {"summary": content, "table": table,
                                 **{f"relaxed__{name}": node for name, node in found.relaxed.items()}})  # fmt: skip
    return found


def local_computer(folder: Path) -> orm.Computer:
    """Return a stored, configured computer of this machine."""
    plugins = {"transport_type": "core.local", "scheduler_type": "core.direct"}
    _, computer = orm.Computer.collection.get_or_create(
        label="here", hostname="localhost", workdir=str(folder), **plugins
    )
    computer.store().configure()
    return computer


def relax(found: Discovery, computer: orm.Computer, reason: str, ended: bool) -> dict[str, dict[str, Any]]:
    """Add the validation: PbTiO3 shrinks from 3.97 to 3.88 Å, the other one fails, or still runs."""
    inputs = {f"structures__{name}": found.crystals[name] for name in list(CRYSTALS)[:2]}
    validate = process(orm.WorkChainNode, "aiida.workflows:icsg3d.validate", inputs, found.workchain)
    outcomes: dict[str, dict[str, Any]] = {}
    for name in list(CRYSTALS)[:2]:
        chain = process(orm.WorkChainNode, "aiida.workflows:quantumespresso.pw.relax",
                        {"structure": found.crystals[name]}, validate, call_label=f"relax_{name}")  # fmt: skip
        job = process(orm.CalcJobNode, "aiida.calculations:quantumespresso.pw", {"structure": found.crystals[name]},
                      chain, computer)  # fmt: skip
        outcomes[name] = {"status": "failed", "reason": f"PwCalculation ended with 410: {reason}", "exit_status": 401,
                          "workchain_uuid": chain.uuid}  # fmt: skip
        if name == "s000002":
            found.relaxed[name] = orm.StructureData(pymatgen=perovskite("Pb", "Ti", "O", 3.88))
            finish(job, {"output_structure": found.relaxed[name]})
            energy = orm.Dict({"energy": -5120.5}).store()
            finish(chain, {"output_structure": found.relaxed[name], "output_parameters": energy})
            outcomes[name] |= {
                "status": "relaxed", "reason": None, "exit_status": 0, "energy_eV": -5120.5,
                "energy_per_atom_eV": -1024.1, "volume_initial": 3.97**3, "volume_relaxed": 3.88**3,
                "volume_change_percent": 100 * ((3.88 / 3.97) ** 3 - 1),
                "a": 3.88, "b": 3.88, "c": 3.88, "spacegroup_symbol": "Pm-3m", "spacegroup_number": 221,
                "rmsd_angstrom": 0.016,
            }  # fmt: skip
        elif ended:
            finish(job, {}, 410, reason)
            finish(chain, {}, 401, reason)
    if ended:
        finish(validate, {"results": orm.Dict(outcomes).store()})
    return outcomes

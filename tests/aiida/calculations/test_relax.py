"""The job that relaxes: what it takes, and every relaxed crystal linked once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import h5py
import pytest
from aiida.engine import run_get_node
from aiida.orm import Dict, SinglefileData

from aiida_icsg3d.calculations.relax import RelaxCalculation
from aiida_icsg3d.parsers.rebuild import structures
from icsg3d_models.crystals.batch import read_crystals
from icsg3d_models.relaxation.table import read_table
from tests.aiida import made_up
from tests.aiida.calculations.test_calculations import refuse


@pytest.fixture
def nodes() -> dict[str, Any]:
    """Return two crystals."""
    return {name: node.store() for name, node in structures(made_up.crystals(2), seed=1)}


def test_crystals_as_nodes_are_written(fake_code: Any, nodes: Any, prepared: Any) -> None:
    references = SinglefileData(io.BytesIO(b"x"), filename="phases.csv").store()
    given = {"code": fake_code(), "structures": nodes, "references": references, "settings": {"references_label": "x"}}
    options = {"max_wallclock_seconds": 1000}
    info, settings = prepared("icsg3d.relax", {**given, "metadata": {"options": options}})
    assert settings == {
        "crystals": "crystals.h5", "references": "references.csv", "references_label": "x", "resume_from": None,
        "deadline_seconds": 900.0,
    }  # fmt: skip
    with h5py.File(io.BytesIO(info.files["crystals.h5"])) as file:
        crystals = read_crystals(file["crystals"])
    assert crystals.ids == ("s000000", "s000001")
    assert crystals.volumes == pytest.approx(made_up.crystals(2).volumes)


def test_an_earlier_job_is_gone_on_with(fake_code: Any, remote: Any, prepared: Any) -> None:
    folder = remote()
    given = {"code": fake_code(), "crystals_folder": folder, "parent_folder": folder}
    info, settings = prepared("icsg3d.relax", given)
    assert settings["resume_from"] == "earlier.jsonl"
    path = folder.get_remote_path()
    assert (folder.computer.uuid, f"{path}/relax.jsonl", "earlier.jsonl") in info.remote_symlink_list


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, "crystals are given by nothing"),
        ({"crystals_folder": True, "structures": True}, "by structures and by crystals_folder"),
        ({"structures": True, "settings": {"only": ["other"]}}, "settings.only names other"),
        ({"structures": True, "settings": {"references_label": "x"}}, "belongs to the input `references`"),
        ({"structures": True, "settings": {"potential": {"name": "mace"}}}, "no potential of that name"),
        ({"structures": True, "settings": {"table": "x.csv"}}, "set by the CalcJob"),
        ({"structures": True, "settings": {"hull": False, "second": {"name": "chgnet"}}}, "without `hull`"),
    ],
)
def test_refused(change: dict[str, Any], message: str, fake_code: Any, nodes: Any, remote: Any) -> None:
    given = {"code": fake_code(), "settings": Dict(change.get("settings", {}))}
    given |= {"structures": nodes} if "structures" in change else {}
    given |= {"crystals_folder": remote()} if "crystals_folder" in change else {}
    assert message in refuse("icsg3d.relax", given)


def test_through_the_engine(fake_code: Any, nodes: Any) -> None:
    inputs = {"code": fake_code(relax={"count": 40, "failed": ["s000003"]}), "structures": nodes}
    outputs, node = run_get_node(RelaxCalculation, **inputs)
    assert node.is_finished_ok, node.exit_message
    assert len(outputs["crystals"]) == 39
    crystal = outputs["crystals"]["s000002"]
    assert crystal.is_stored
    assert crystal.label == "BaZrO3 s000002"
    assert crystal.description == "made-up, relaxed"
    assert crystal.creator.pk == node.pk
    assert crystal.cell[0][0] == pytest.approx(0.99 * made_up.crystals(3).cell[2, 0, 0])
    with outputs["table"].as_path() as path:
        rows = {row["id"]: row for row in read_table(path)}
    assert rows["s000002"]["estimated_e_above_hull"] == pytest.approx(0.02)
    assert rows["s000003"]["status"] == "failed"
    assert rows["s000003"]["energy"] is None


def test_out_of_time_keeps_what_is_done(parsed: Any, tmp_path: Path) -> None:
    made_up.write_stage(tmp_path, "relax", "walltime", "the deadline came", count=3)
    outputs, node = parsed("relax", tmp_path)
    assert node.exit_status == 400
    assert {"results", "table", "crystals"} <= set(outputs)

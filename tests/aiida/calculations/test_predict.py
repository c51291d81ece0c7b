"""The job that predicts crystal structures: what it takes, every distinct crystal linked once, and its command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiida.orm import CalcJobNode, Dict, QueryBuilder, StructureData
from click.testing import CliRunner, Result

from aiida_icsg3d.cli.commands.predict import cmd_predict
from aiida_icsg3d.data.pretrained import pretrained_models
from tests.aiida.calculations.test_calculations import refuse


def models(name: str) -> dict[str, Any]:
    """Return the shipped models that the job takes."""
    return {key: node for key, node in pretrained_models(name).items() if key != "predictors"}


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("perov5", {"composition": "CaTiO3"}, "composition, n_atoms: cannot be asked of these models"),
        ("general", {"composition": "CaTiO3", "space_group": 221}, "space_group"),
        ("general", {"composition": "Xx2"}, "Xx"),
        ("general", {"composition": "C8", "most_atoms": 0}, "most_atoms"),
        ("general", {"composition": "C8", "vae": "other.safetensors"}, "set by the CalcJob"),
    ],
)
def test_refused(name: str, settings: dict[str, Any], message: str, fake_code: Any) -> None:
    assert message in refuse("icsg3d.predict", {"code": fake_code(), **models(name), "settings": Dict(settings)})


@pytest.fixture
def run_command(fake_code: Any) -> Callable[..., Result]:
    """Return what runs the command with the real program behind the job."""
    code = fake_code(predict={"real": True})

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cmd_predict, [*arguments, "--code", code.full_label, "--models", "general"])

    return run


def newest() -> Any:
    """Return the node of the last job."""
    return QueryBuilder().append(CalcJobNode, tag="job").order_by({"job": {"id": "desc"}}).first(flat=True)


def test_sodium_chloride(run_command: Callable[..., Result]) -> None:
    shown = run_command("NaCl", "--most-atoms", "4", "--n-samples", "6")
    assert shown.exit_code == 0, shown.output
    node = newest()
    table = node.outputs.table.get_content().splitlines()
    assert table[0].startswith("rank,id,formula,n_atoms,space_group")
    assert f"distinct crystals; PredictCalculation {node.pk}" in shown.output
    crystals = dict(node.outputs.crystals)
    best = next(crystal for crystal in crystals.values() if crystal.description.startswith("rank 1, "))
    assert isinstance(best, StructureData)
    assert {crystal.get_composition(mode="reduced").get("Na") for crystal in crystals.values()} == {1}
    assert {crystal.creator.pk for crystal in crystals.values()} == {node.pk}


def test_tables_and_crystals_that_disagree(parsed: Any, tmp_path: Path, run_command: Callable[..., Result]) -> None:
    assert run_command("NaCl", "--n-samples", "3").exit_code == 0
    node = newest()
    for name in node.outputs.retrieved.list_object_names():
        (tmp_path / name).write_bytes(node.outputs.retrieved.get_object_content(name, mode="rb"))
    lines = (tmp_path / "predicted.csv").read_text().splitlines(keepends=True)
    (tmp_path / "predicted.csv").write_text("".join(lines).replace(",n2_", ",x2_").replace("\nn2_", "\nx2_"))
    _, ended = parsed("predict", tmp_path)
    assert ended.exit_status == 304
    assert "do not hold the same crystals" in ended.exit_message

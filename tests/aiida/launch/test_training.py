"""A training is checked before anything starts, and builds its dataset itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida import orm

from aiida_icsg3d.launch import Training, plan_training
from aiida_icsg3d.setup import prepare_code

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")


@pytest.fixture
def source(localhost: orm.Computer, tmp_path: Path) -> Path:
    """Return a file of crystals, beside a code."""
    prepare_code(localhost, "icsg3d", None, Path("/bin/true"))
    path = tmp_path / "crystals.csv"
    path.write_text("material_id,cif,heat_all\n")
    return path


def test_the_dataset_is_built_by_the_run_itself(source: Path) -> None:
    """With `--submit` the preparation ran in the foreground."""
    options = {"train": {"account": "materials"}, "prepare": {"max_wallclock_seconds": 60}}
    properties = {"formation_energy_per_atom": "heat_all"}
    request = Training(source=source, properties=properties, epochs={"unet": 3}, options=options)
    before = orm.QueryBuilder().append(orm.Node).count()
    builder: Any = request.builder()
    assert orm.QueryBuilder().append(orm.Node).count() == before
    assert builder.prepare.settings["properties"] == {"formation_energy_per_atom": "heat_all"}
    assert builder.prepare.settings["name"] == "crystals"
    assert builder.prepare.metadata.options["max_wallclock_seconds"] == 60
    assert builder.unet.train.settings["optimiser"]["max_epochs"] == 3
    assert builder.unet.train.metadata.options["account"] == "materials"
    assert builder.cgcnn.train.settings["targets"] == ["formation_energy_per_atom"]
    plan = plan_training(request, builder)
    assert plan.planned == {"PrepareCalculation": 1, "TrainCalculation": 4}
    assert "train the unet, 3 epochs" in plan.text


def test_a_dataset_that_is_there(source: Path, dataset: Any) -> None:
    request = Training(dataset=dataset.pk)
    builder: Any = request.builder()
    assert builder.dataset.pk == dataset.pk
    assert "PrepareCalculation" not in plan_training(request, builder).planned


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({}, "nothing to train on: give --source, or --dataset"),
        ({"dataset": 987654}, "there is no node 987654"),
        ({"source": Path("/nowhere.csv"), "properties": {"a": "b"}}, "/nowhere.csv: no such file or folder"),
        ({"source": "SOURCE"}, "dataset 'crystals' has no property for the cgcnn to predict"),
        ({"source": "SOURCE", "dataset": 1}, "--source and --dataset are both given"),
        ({"dataset": 1, "properties": {"gap": "gap"}, "name": "x"}, "--property, --name cannot change it"),
        ({"source": "SOURCE", "properties": {"gap": "gap"}, "units": {"gpa": "eV"}}, "a unit for gpa, which no"),
        ({"source": "SOURCE", "properties": {"gap": "gap"}, "conditions": ["heat"]}, "has no heat; it has gap"),
        ({"source": "SOURCE", "properties": {"a": "b"}, "options": {"sample": {}}}, "key 'sample' is not known"),
        ({"source": "SOURCE", "properties": {"a": "b"}, "protocol": "slow"}, "protocol 'slow'"),
    ],
)
def test_what_is_refused_at_once(source: Path, asked: dict[str, Any], message: str) -> None:
    given = {name: source if value == "SOURCE" else value for name, value in asked.items()}
    with pytest.raises(ValueError, match=message):
        Training(**given).builder()

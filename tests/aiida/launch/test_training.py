"""A training is checked before anything starts, and builds its dataset itself."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.launch import Training, plan_training
from aiida_icsg3d.setup import prepare_code
from tests.aiida.made_up import PEROVSKITE

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")


@pytest.fixture
def source(localhost: orm.Computer, tmp_path: Path) -> Path:
    """Return a file of crystals, beside a code."""
    prepare_code(localhost, "icsg3d", None, Path("/bin/true"))
    path = tmp_path / "crystals.csv"
    with open(path, "w", newline="") as stream:
        rows = csv.writer(stream)
        rows.writerow(("material_id", "cif", "heat_all"))
        for number, (metal, a) in enumerate([("Sr", 3.9), ("Ba", 4.0), ("Ca", 3.85), ("Sr", 3.95)]):
            crystal = Structure(Lattice.cubic(a), [metal, "Ti", *"OOO"], PEROVSKITE)
            rows.writerow((f"c{number}", crystal.to(fmt="cif"), -1.0 - number))
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
    assert orm.QueryBuilder().append(orm.Node).count() == before  # the source is read, and not stored
    assert "train the unet, 3 steps of 32 crystals, each seen 3 times" in plan.text
    assert "beforehand: 4 crystals of 3 compositions to train on" in plan.text
    assert "beforehand: 5 of 5 elements are in fewer than 5 training crystals" in plan.text
    assert "beforehand: the validation part is empty" in plan.text


def test_data_that_cannot_be_read_end_it_before_the_work(source: Path) -> None:
    """It was found out by the first job."""
    source.write_text("material_id,cif,heat_all\na,nothing,1\n")
    request = Training(source=source, properties={"formation_energy_per_atom": "heat_all"})
    with pytest.raises(ValueError, match="not one of 1 crystals can be used"):
        plan_training(request, request.builder())


def test_time_by_earlier_steps(source: Path, dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiida_icsg3d.launch.plan.earlier_seconds_per_step", lambda *asked: [0.5, 0.5])
    request = Training(dataset=dataset.pk, epochs=dict.fromkeys(("unet", "vae", "prior", "cgcnn"), 40))
    assert plan_training(request, request.builder()).expected == {"TrainCalculation": 4 * 40 * 0.5}


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

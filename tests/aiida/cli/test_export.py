"""`candidates export`: every format, which crystals, and what is refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ase.io import read
from click.testing import CliRunner, Result

from aiida_icsg3d.cli import cmd_root
from aiida_icsg3d.cli.commands.candidates import export
from icsg3d_models.data.writers import FORMATS
from tests.aiida.discovery_graph import Discovery, build_discovery


@pytest.fixture(scope="module")
def run(aiida_profile: object, tmp_path_factory: pytest.TempPathFactory) -> Discovery:
    """Return a run that ended."""
    return build_discovery(tmp_path_factory.mktemp("run"))


def exported(run: Discovery, *words: Any) -> Result:
    """Run the command on a run."""
    return CliRunner().invoke(cmd_root, ["candidates", "export", str(run.workchain.pk), *map(str, words)])


def test_the_command_knows_every_format() -> None:
    assert set(export.FORMATS) == set(FORMATS)


def test_selected_crystals_before_and_after_dft(run: Discovery, tmp_path: Path) -> None:
    result = exported(run, "-o", tmp_path / "all.zip")
    assert result.exit_code == 0, result.output
    assert "3 crystals" in result.output
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        names = ["001_PbTiO3_s000002_generated", "001_PbTiO3_s000002_relaxed", "002_BaNbN3_s000005_generated"]
        assert archive.namelist() == [f"{name}.cif" for name in names]


def test_one_candidate_as_extxyz_with_what_is_known(run: Discovery, tmp_path: Path) -> None:
    result = exported(run, "s000002", "-F", "extxyz", "-c", "relaxed", "-o", tmp_path / "one")
    assert result.exit_code == 0, result.output
    atoms = read(tmp_path / "one.extxyz")
    assert atoms.info["uuid"] == run.relaxed["s000002"].uuid
    assert atoms.info["formula"] == "PbTiO3"
    assert atoms.info["predicted_formation_energy_per_atom"] == -1.12
    assert atoms.cell.lengths() == pytest.approx([3.88] * 3)


def test_every_screened_crystal_as_optimade(run: Discovery, tmp_path: Path) -> None:
    result = exported(run, "--all", "-F", "optimade", "-c", "generated", "-o", tmp_path / "all.json")
    assert result.exit_code == 0, result.output
    resources = json.loads((tmp_path / "all.json").read_text())["data"]
    assert [r["attributes"]["chemical_formula_descriptive"] for r in resources] == [
        "PbTiO3", "BaNbN3", "SrTiO3", "KMgF3"
    ]  # fmt: skip
    assert resources[0]["attributes"]["_icsg3d_uuid"] == run.crystals["s000002"].uuid


def test_what_is_not_there_is_refused_in_a_sentence(run: Discovery, tmp_path: Path) -> None:
    for words, reason in (
        (("s9",), "has no candidate 's9'"),
        (("s000002", "--all"), "give one of the two"),
        (("s000005", "-c", "relaxed"), "no crystal to write"),
    ):
        result = exported(run, *words, "-o", tmp_path / "none.zip")
        assert result.exit_code == 1
        assert reason in result.output
    assert not list(tmp_path.iterdir())

"""The stage with ASE's effective medium theory and pair potentials: fast, and known to the last digit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.crystal_file import read_crystal_file, write_crystal_file
from icsg3d_models.relaxation import relax as stage
from icsg3d_models.relaxation.table import read_table
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import RelaxSettings

EMT_NAME = "ase:ase.calculators.emt.EMT"
FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])


def copper(length: float = 3.7) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return length * np.eye(3), FCC, np.full(4, 29)


def write(folder: Path, **crystals: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    cells, fracs, numbers = zip(*crystals.values(), strict=True)
    write_crystal_file(folder / "crystals.h5", Crystals.from_arrays(cells, fracs, numbers, list(crystals)))


def run(folder: Path, **values: Any) -> tuple[dict[str, dict[str, Any]], Report]:
    report = Report("relax", folder, quiet=True)
    settings = {"potential": {"name": EMT_NAME}, "hull": False, "optimiser": "LBFGS", **values}
    stage.run(RelaxSettings.model_validate(settings), report)
    return {row["id"]: row for row in read_table(folder / "relax.csv")}, report


def test_copper_finds_its_lattice_constant_and_the_others_go_on(tmp_path: Path) -> None:
    cell, frac, numbers = copper()
    write(
        tmp_path,
        good=copper(),
        overlapping=(cell, np.array([[0, 0, 0], [0, 0, 0.1], [0.5, 0, 0.5], [0.5, 0.5, 0]]), numbers),
        unknown=(cell, frac, np.full(4, 92)),  # EMT has no uranium
        far=(3 * cell, frac, numbers),
    )
    rows, report = run(tmp_path, max_steps=60)
    good = rows["good"]
    assert good["status"] == "relaxed"
    assert good["volume"] ** (1 / 3) == pytest.approx(3.59, abs=0.01)  # of EMT, ASE's documentation
    atoms = bulk("Cu", "fcc", a=good["volume"] ** (1 / 3), cubic=True)
    atoms.calc = EMT()
    assert good["energy"] == pytest.approx(atoms.get_potential_energy(), abs=1e-5)
    assert good["energy_per_atom"] == pytest.approx(good["energy"] / 4)
    assert good["volume_change"] == pytest.approx(100 * (good["volume"] / 3.7**3 - 1))
    assert abs(good["pressure"]) < 0.5
    assert (good["spacegroup_before"], good["spacegroup_after"], good["symmetry"]) == (225, 225, "kept")
    assert good["rmsd"] == pytest.approx(0, abs=1e-6)
    assert good["left_prototype"] is False
    assert rows["overlapping"]["status"] == "not_valid"
    assert "0.37 Å apart" in rows["overlapping"]["reason"]
    assert rows["unknown"]["status"] == "failed"
    assert "No EMT-potential for U" in rows["unknown"]["reason"]
    assert [row["formula"] for row in rows.values()] == ["Cu", "Cu", "U", "Cu"]
    relaxed = read_crystal_file(tmp_path / "relaxed.h5")
    assert relaxed.ids == tuple(name for name, row in rows.items() if row["energy"] is not None)
    assert relaxed.volumes[0] == pytest.approx(good["volume"])
    assert report.counts["crystals"] == 4
    assert report.counts["failed"] == report.counts["not_valid"] == 1


def test_a_crystal_that_blows_up_is_given_up(tmp_path: Path) -> None:
    write(tmp_path, squeezed=copper(2.6), good=copper())
    rows, _ = run(tmp_path, max_volume_change=2.0)
    assert rows["squeezed"]["status"] == "blown_up"
    assert "the volume became 2" in rows["squeezed"]["reason"]
    assert rows["good"]["status"] == "relaxed"


def test_too_few_steps_are_said(tmp_path: Path) -> None:
    write(tmp_path, good=copper())
    rows, _ = run(tmp_path, max_steps=1)
    assert rows["good"]["status"] == "not_converged"
    assert rows["good"]["converged"] is False
    assert "left after 1 steps" in rows["good"]["reason"]
    assert len(read_crystal_file(tmp_path / "relaxed.h5")) == 1


def simple_cubic(noise: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return copper on a simple cubic lattice, two cells along each axis: a saddle, far from its minimum."""
    frac = np.stack(np.meshgrid(*3 * [[0, 0.5]], indexing="ij"), -1).reshape(-1, 3)
    moved = frac + noise * np.random.default_rng(0).normal(size=frac.shape)
    return 2 * 2.4 * np.eye(3), moved, np.full(8, 29)


def test_symmetry_kept_lost_and_gained(tmp_path: Path) -> None:
    write(tmp_path, cubic=simple_cubic(0.003))
    free, _ = run(tmp_path, max_steps=300)
    assert free["cubic"]["spacegroup_before"] == 221
    assert free["cubic"]["symmetry"] in ("lost", "changed")
    assert "symmetry" in free["cubic"]["reason"]
    (tmp_path / "relax.jsonl").unlink()
    kept, _ = run(tmp_path, keep_symmetry=True)
    assert (kept["cubic"]["spacegroup_after"], kept["cubic"]["symmetry"]) == (221, "kept")
    assert kept["cubic"]["energy"] > free["cubic"]["energy"] + 0.1


def test_a_crystal_gains_symmetry(tmp_path: Path) -> None:
    _cell, frac, numbers = copper(3.6)
    write(
        tmp_path,
        bent=(np.diag([3.6, 3.6, 4.0]), frac + 0.02 * np.array([[0, 0, 1], 3 * [0], 3 * [0], 3 * [0]]), numbers),
    )
    rows, _ = run(tmp_path, symmetry_tolerance=0.01)
    assert rows["bent"]["symmetry"] == "gained"
    assert rows["bent"]["spacegroup_after"] == 225
    assert rows["bent"]["rmsd"] == pytest.approx(0.02, abs=0.02)


def test_a_rerun_goes_on_where_a_kill_left_off(tmp_path: Path) -> None:
    write(tmp_path, one=copper(3.7), two=copper(3.5), three=copper(3.65))
    whole, _ = run(tmp_path)
    journal = (tmp_path / "relax.jsonl").read_text(encoding="utf-8")
    lines = journal.splitlines(keepends=True)
    # the kill came while the second crystal was written
    (tmp_path / "relax.jsonl").write_text("".join(lines[:2]) + lines[2][:40], encoding="utf-8")
    again, report = run(tmp_path)
    assert report.counts["done_before"] == 1

    def same(rows: dict[str, dict[str, Any]]) -> Any:
        return {name: {k: v for k, v in row.items() if k != "seconds"} for name, row in rows.items()}

    assert same(again) == same(whole)
    assert len((tmp_path / "relax.jsonl").read_text(encoding="utf-8").splitlines()) == 4


def test_a_journal_of_other_settings_is_refused(tmp_path: Path) -> None:
    write(tmp_path, one=copper())
    run(tmp_path)
    with pytest.raises(StageError, match="of a run with another fmax") as caught:
        run(tmp_path, fmax=0.1)
    assert caught.value.status == "input_incompatible"
    write(tmp_path, one=copper(3.6))
    with pytest.raises(StageError, match="another crystals"):
        run(tmp_path)


def test_a_damaged_journal_is_refused(tmp_path: Path) -> None:
    write(tmp_path, one=copper())
    (tmp_path / "relax.jsonl").write_text("no json\n", encoding="utf-8")
    with pytest.raises(StageError, match="remove it to start afresh"):
        run(tmp_path)


def test_the_deadline_keeps_what_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, one=copper(), two=copper(3.5))
    relax_one = stage.relax_one

    def slow(*args: Any) -> dict[str, Any]:
        entry = relax_one(*args)
        monkeypatch.setattr("icsg3d_models.relaxation.relax.time.monotonic", lambda: 1e12)
        return entry

    monkeypatch.setattr(stage, "relax_one", slow)
    with pytest.raises(StageError, match="after 1 of 2 crystals") as caught:
        run(tmp_path, deadline_seconds=3600)
    assert caught.value.status == "walltime"
    monkeypatch.undo()
    assert [row["id"] for row in read_table(tmp_path / "relax.csv")] == ["one"]
    rows, report = run(tmp_path, deadline_seconds=3600)
    assert report.counts["done_before"] == 1
    assert list(rows) == ["one", "two"]


def test_an_earlier_journal_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, one=copper())
    run(tmp_path)
    (tmp_path / "relax.jsonl").rename(tmp_path / "earlier.jsonl")
    _, report = run(tmp_path, resume_from="earlier.jsonl")
    assert report.counts["done_before"] == 1
    (tmp_path / "relax.jsonl").unlink()
    with pytest.raises(StageError, match="no journal there"):
        run(tmp_path, resume_from="none.jsonl")


def test_only_some_crystals(tmp_path: Path) -> None:
    write(tmp_path, one=copper(), two=copper(3.5))
    rows, _ = run(tmp_path, only=["two"])
    assert list(rows) == ["two"]
    with pytest.raises(StageError, match="names three"):
        run(tmp_path, only=["three"])


def test_nothing_relaxed(tmp_path: Path) -> None:
    cell, frac, _ = copper()
    write(tmp_path, unknown=(cell, frac, np.full(4, 92)))
    with pytest.raises(StageError, match="No EMT-potential for U") as caught:
        run(tmp_path)
    assert caught.value.status == "nothing_relaxed"
    assert len(read_table(tmp_path / "relax.csv")) == 1


def test_hull_and_spread_of_energies_on_a_scale_of_their_own(tmp_path: Path) -> None:
    """Cu3Au by EMT against EMT's own copper and gold; the second potential is the first in other words."""
    lines = ["# label: EMT", "formula,energy_per_atom"]
    for symbol in ("Cu", "Au"):
        atoms = bulk(symbol, "fcc", a={"Cu": 3.59, "Au": 4.06}[symbol])
        atoms.calc = EMT()
        lines.append(f"{symbol},{atoms.get_potential_energy():.6f}")
    (tmp_path / "phases.csv").write_text("\n".join(lines), encoding="utf-8")
    cell, frac, _numbers = copper(3.75)
    write(tmp_path, alloy=(cell, frac, np.array([79, 29, 29, 29])))
    potential = {"name": EMT_NAME, "scale": "EMT"}
    rows, report = run(
        tmp_path, potential=potential, second={**potential, "arguments": {"asap_cutoff": True}}, hull=True,
        references="phases.csv",
    )  # fmt: skip
    alloy = rows["alloy"]
    expected = alloy["energy_per_atom"] - (0.75 * float(lines[2][3:]) + 0.25 * float(lines[3][3:]))
    assert alloy["estimated_formation_energy_per_atom"] == pytest.approx(expected, abs=1e-5)
    assert alloy["estimated_e_above_hull"] == pytest.approx(expected, abs=1e-5)  # nothing else competes
    assert alloy["decomposition"] == "0.750 Cu + 0.250 Au"
    assert alloy["known_formula"] is False
    assert 0 < alloy["spread"] < 0.1
    assert report.tables["hull"]["kind"] == "estimate"
    assert report.tables["hull"]["label"] == "EMT"
    assert set(report.inputs) == {"crystals", "references"}


def test_a_label_without_a_file(tmp_path: Path) -> None:
    write(tmp_path, one=copper())
    with pytest.raises(StageError, match="belongs to a file of `references`") as caught:
        run(tmp_path, hull=True, references_label="PBE")
    assert caught.value.status == "settings_rejected"


def test_energies_of_another_scale_are_refused(tmp_path: Path) -> None:
    write(tmp_path, one=copper())
    with pytest.raises(StageError, match="an energy of unknown settings against a hull of 'MP2020'") as caught:
        run(tmp_path, hull=True)
    assert caught.value.status == "input_incompatible"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ase:os.system", "no class of ASE calculators"),
        ("ase:ase.build.bulk", "no class of ASE calculators"),
        ("ase:no_such_package.Calculator", "is not installed here"),
        ("ase:ase.calculators.emt.NoSuchClass", "no class of ASE calculators"),
    ],
)
def test_only_calculators_are_called(tmp_path: Path, name: str, words: str) -> None:
    write(tmp_path, one=copper())
    with pytest.raises(StageError, match=words) as caught:
        run(tmp_path, potential={"name": name, "arguments": {"command": "false"}})
    assert caught.value.status == "settings_rejected"


def test_a_model_file_is_recorded_and_belongs_to_the_run(tmp_path: Path) -> None:
    write(tmp_path, one=copper())
    model = tmp_path / "model.txt"
    model.write_text("weights")
    potential = {"name": "ase:tests.models.relaxation.calculators.FromFile", "arguments": {"model": str(model)}}
    _, report = run(tmp_path, potential=potential)
    assert len(report.inputs["potential:model"]) == 64
    model.write_text("other weights")
    with pytest.raises(StageError, match="another potential:model"):
        run(tmp_path, potential=potential)


def test_arguments_that_a_calculator_refuses(tmp_path: Path) -> None:
    write(tmp_path, one=copper())
    with pytest.raises(StageError, match="cannot be made with the arguments model"):
        run(tmp_path, potential={"name": "ase:ase.calculators.eam.EAM", "arguments": {"model": "x", "potential": 1}})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"potential": {"name": "mace"}}, "no potential of that name"),
        ({"potential": {"name": "ase:os.system('x')"}}, "no potential of that name"),
        ({"potential": {"name": "chgnet", "scale": "mp"}}, "takes no scale"),
        ({"hull": False, "second": {"name": "chgnet"}}, "without `hull`"),
        ({"fmax": 0}, "greater than 0"),
        ({"max_volume_change": 1}, "greater than 1"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        RelaxSettings.model_validate(settings)


def test_the_journal_is_json_and_says_what_run_it_is_of(tmp_path: Path) -> None:
    write(tmp_path, one=copper())
    run(tmp_path)
    header, entry = map(json.loads, (tmp_path / "relax.jsonl").read_text(encoding="utf-8").splitlines())
    assert header["format_version"] == 1
    assert header["fmax"] == 0.02
    assert np.shape(entry["cell"]) == (3, 3)
    assert entry["numbers"] == [29] * 4

"""Who goes to DFT after the pre-relaxation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.engine import run_get_node
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.campaigns.asked import aim_in_words
from aiida_icsg3d.workflows.choosing import choose_candidates
from aiida_icsg3d.workflows.discover import DiscoverWorkChain
from aiida_icsg3d.workflows.summary import beside_unaimed
from icsg3d_models.relaxation.table import write_table


def rock_salt(a: float, anion: str = "O", shift: float = 0.0) -> orm.StructureData:
    """Return a crystal of two atoms, its origin moved."""
    lattice = Lattice.from_parameters(a, a, a, 60, 60, 60)
    return orm.StructureData(pymatgen=Structure(lattice, ["Mg", anion], [[shift] * 3, [0.5 + shift] * 3]))


def row(name: str, height: float | None, status: str = "relaxed", **more: Any) -> dict[str, Any]:
    """Return a row of relax.csv."""
    return {"id": name, "formula": "MgO", "status": status, "potential": "made-up", "n_sites": 2,
            "estimated_e_above_hull": height, "reason": "", **more}  # fmt: skip


def decide(folder: Path, rows: list[dict[str, Any]], count: int, crystals: dict[str, orm.StructureData]) -> Any:
    """Return what is chosen of the rows, in whose order the screening had them."""
    write_table(folder / "relax.csv", rows)
    ids = [entry["id"] for entry in rows]
    selected = orm.Dict({"ids": ids, "rows": {name: {"id": name, "formula": "MgO"} for name in ids}})
    rule = orm.Dict({"count": count, "shares": {"best": 1.0}})
    table = orm.SinglefileData(folder / "relax.csv")
    return choose_candidates(selected=selected, table=table, rule=rule, crystals=crystals).get_dict()


def test_ranked_by_the_estimate_and_equal_crystals_once(tmp_path: Path) -> None:
    rows = [row("high", 0.2, formula="MgS"), row("twin", 0.02), row("low", 0.01), row("lost", None, "blown_up")]
    crystals = {"high": rock_salt(3.7, "S"), "twin": rock_salt(2.98, shift=0.3), "low": rock_salt(2.98)}
    found = decide(tmp_path, rows, 2, crystals)
    assert found["ids"] == ["low", "high", "lost", "twin"]
    assert found["chosen"] == {"low": "best", "high": "best"}
    assert found["set_aside"]["twin"] == "pre-relaxation: became the crystal of low"
    assert "blown_up" in found["set_aside"]["lost"]
    assert found["rows"]["low"]["estimated_e_above_hull"] == pytest.approx(0.01)


def test_an_element_that_the_potential_does_not_know_comes_last_but_comes(tmp_path: Path) -> None:
    rows = [row("odd", None, "unknown_element", reason="no Po"), row("low", 0.3)]
    found = decide(tmp_path, rows, 2, {"low": rock_salt(2.98)})
    assert found["ids"] == ["low", "odd"]
    assert set(found["chosen"]) == {"low", "odd"}


@pytest.fixture
def models(model: Any) -> dict[str, Any]:
    """Return a full set of models."""
    return {"vae": model("vae"), "unet": model("unet"), "prior": model("prior"), "predictors": {"a": model("cgcnn")}}


def test_the_chain_ranks_by_the_pre_relaxation(fake_code: Any, models: Any, dataset: Any) -> None:
    """The screening had s000002 first; the potential (made up) has s000001 lower, and says so in the summary."""
    builder = DiscoverWorkChain.get_builder_from_protocol(
        {"icsg3d": fake_code()}, models=models, reference=dataset, n_relaxations=0, n_samples=4
    )
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    first, second = outputs["summary"].get_dict()["candidates"]
    assert (first["id"], second["id"]) == ("s000001", "s000002")
    assert first["prerelax"]["estimated_e_above_hull"] == pytest.approx(0.01)
    assert set(outputs["prerelaxed"]) == {"s000001", "s000002"}
    job = outputs["prerelaxed"]["s000001"].creator
    assert job.inputs.settings.get_dict()["only"] == ["s000002", "s000001"]
    assert job.inputs.crystals_folder.creator.process_label == "RebuildCalculation"


def test_a_failed_pre_relaxation_is_said_and_the_run_goes_on(fake_code: Any, models: Any, dataset: Any) -> None:
    code = fake_code(relax={"status": "input_incompatible", "message": "chgnet: not installed here"})
    builder = DiscoverWorkChain.get_builder_from_protocol(
        {"icsg3d": code}, models=models, reference=dataset, n_relaxations=0, n_samples=4
    )
    outputs, node = run_get_node(builder)
    assert node.is_finished_ok, node.exit_message
    summary = outputs["summary"].get_dict()
    assert [entry["id"] for entry in summary["candidates"]] == ["s000002", "s000001"]
    assert "chgnet: not installed here" in summary["notes"][0]
    assert summary["candidates"][0]["prerelax"] is None


def test_what_the_potential_had_no_time_for_is_not_lost(tmp_path: Path) -> None:
    write_table(tmp_path / "relax.csv", [row("done", 0.1)])
    rows = {name: {"id": name, "formula": "MgO"} for name in ("waiting", "done")}
    found = choose_candidates(
        selected=orm.Dict({"ids": ["waiting", "done"], "rows": rows}),
        table=orm.SinglefileData(tmp_path / "relax.csv"),
        rule=orm.Dict({"count": 2, "shares": {"best": 1.0}}),
        crystals={"done": rock_salt(2.98)},
    ).get_dict()
    assert found["ids"] == ["done", "waiting"]
    assert list(found["chosen"]) == ["done", "waiting"]
    assert found["set_aside"] == {}


def test_aimed_samples_beside_the_others() -> None:
    rows = [
        {"id": f"s{n:06d}", "structure_valid": True, "unique": n != 3, "selected": n > 3, "predicted_heat": value}
        for n, value in enumerate([1.0, 2.0, 0.1, 0.1, 0.2])
    ]
    found = beside_unaimed(rows, {"n_samples": 6, "unaimed": 2, "targets": {"heat": 0.0}})
    assert found["unaimed"] == {
        "samples": 2, "structure_valid": 2, "unique": 2, "selected": 0, "median_predicted_heat": 1.5,
    }  # fmt: skip
    assert found["aimed"] == {
        "samples": 4, "structure_valid": 3, "unique": 2, "selected": 1, "median_predicted_heat": 0.1,
    }  # fmt: skip
    (words,) = aim_in_words({"targets": {"heat": 0.0}, **found})
    assert words == (
        "aim heat 0; 4 aimed samples: median prediction +0.10, 2 different crystals, 1 selected; 2 unaimed samples: "
        "median prediction +1.50, 2 different crystals, 0 selected"
    )
    assert aim_in_words(None) == []

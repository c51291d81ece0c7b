"""The engine for potentials behind the door: one job for all crystals, figures and reasons from its table."""

from __future__ import annotations

from typing import Any

import pytest
from aiida.engine import run_get_node
from aiida.orm import Int, StructureData

from aiida_icsg3d.dft.errors import CrystalError
from aiida_icsg3d.dft.fingerprint import SettingsDifferError, check_same
from aiida_icsg3d.dft.potential import PotentialEngine
from aiida_icsg3d.parsers.rebuild import structures
from aiida_icsg3d.workflows.validate import ValidateWorkChain
from tests.aiida import made_up
from tests.aiida.dft.crystals import iron, rock_salt, with_u


def crystals(count: int = 3) -> dict[str, StructureData]:
    return {name: node.store() for name, node in structures(made_up.crystals(count), seed=1)}


def builder(code: Any, **settings: Any) -> Any:
    overrides = {"engine": "potential", "potential": {"settings": settings}}
    return ValidateWorkChain.get_builder_from_protocol(code, crystals(), overrides=overrides)


def test_one_job_relaxes_all(fake_code: Any) -> None:
    code = fake_code(relax={"count": 3, "failed": ["s000001"]})
    outputs, node = run_get_node(builder(code, potential={"name": "chgnet"}))
    assert node.is_finished_ok, node.exit_message
    assert [child.process_label for child in node.called if "Relax" in child.process_label] == ["RelaxCalculation"]
    results = outputs["results"].get_dict()
    assert results["s000000"]["status"] == "relaxed"
    assert results["s000000"]["energy_eV"] == pytest.approx(-40)
    assert results["s000002"]["estimated_e_above_hull"] == pytest.approx(0.02)
    assert "not of DFT" in results["s000000"]["note"]
    assert results["s000001"]["status"] == "failed"
    assert results["s000001"]["reason"] == "failed: no"
    assert sorted(outputs["relaxed"]) == ["s000000", "s000002"]
    assert outputs["relaxed"]["s000002"].creator.process_label == "RelaxCalculation"
    settings = outputs["energies"]["s000000"].get_dict()["settings"]
    assert settings["common"] == {"engine": "potential", "name": "chgnet", "arguments": {}, "scale": None}


def test_energies_of_two_potentials_never_meet(fake_code: Any) -> None:
    code = fake_code()
    mine = PotentialEngine(builder(code, potential={"name": "chgnet"})).expected_settings(["Ti", "O"])
    others = PotentialEngine(builder(code)).expected_settings(["Ti", "O"])
    with pytest.raises(SettingsDifferError, match="'7net-0' and 'chgnet'"):
        check_same({"TiO2": others, "TiO": mine})


def test_out_of_time_goes_on_after_the_crystals_that_are_done(fake_code: Any) -> None:
    late = {"count": 2, "status": "walltime", "message": "the deadline came"}
    code = fake_code(relax=[late, {"kill": True}, {"count": 3}])
    outputs, node = run_get_node(builder(code))
    assert node.is_finished_ok, node.exit_message
    assert {entry["status"] for entry in outputs["results"].get_dict().values()} == {"relaxed"}
    first, second, third = (child for child in node.called if child.process_label == "RelaxCalculation")
    assert second.inputs.parent_folder.uuid == first.outputs.remote_folder.uuid
    assert "parent_folder" not in third.inputs  # the one that was killed left no journal


def test_out_of_time_says_which_were_not_reached(fake_code: Any) -> None:
    code = fake_code(relax={"count": 2, "status": "walltime", "message": "the deadline came"})
    run = builder(code)
    run.max_retries = Int(0)
    outputs, node = run_get_node(run)
    assert node.is_finished_ok
    results = outputs["results"].get_dict()
    assert results["s000001"]["status"] == "relaxed"
    assert results["s000002"]["reason"].startswith("not reached: RelaxCalculation<")
    assert "400: the deadline came" in results["s000002"]["reason"]


def test_settings_are_checked_before_anything_runs(fake_code: Any) -> None:
    with pytest.raises(ValueError, match="did you mean fmax"):
        builder(fake_code(), fmx=0.1)
    overrides = {"engine": "potential", "potential": {"colour": 1}}
    with pytest.raises(ValueError, match="colour is not known"):
        ValidateWorkChain.get_builder_from_protocol(fake_code(), crystals(), overrides=overrides)


def test_what_a_potential_would_lose_is_refused(fake_code: Any) -> None:
    """Kinds, Hubbard terms and the missing period of a layer were dropped without a word."""
    engine = PotentialEngine(builder(fake_code()))
    layer = rock_salt("Mg")
    layer.pbc = (True, True, False)
    for crystal, words in ((iron(("Fe1", "Fe2")), "kinds Fe1, Fe2"), (with_u(iron(), "Fe"), "Hubbard"),
                           (layer, "not periodic")):  # fmt: skip
        with pytest.raises(CrystalError, match=f"{words}.*engine potential cannot take it"):
            engine.starts("x", crystal)
    assert engine.starts("x", iron()) == ("lowest",)

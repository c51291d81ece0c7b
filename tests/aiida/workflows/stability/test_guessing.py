"""Structures of compounds that nobody gave."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.engine import calcfunction

from aiida_icsg3d.workflows.stability.guessing import (
    decorate_prototypes,
    different,
    fill_ranking,
    guessed_formulas,
    lowest,
    ranked,
)
from aiida_icsg3d.workflows.stability.judging import judge_candidates
from aiida_icsg3d.workflows.stability.references import ReferencesWorkChain
from icsg3d_models.relaxation.table import write_table
from tests.aiida.process_nodes import finished
from tests.aiida.workflows.stability.test_verdict import energy, inputs  # noqa: F401

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")


def row(name: str, energy: float | None, status: str = "relaxed", sites: int = 2) -> dict[str, Any]:
    return {
        "id": name,
        "status": status,
        "energy_per_atom": energy,
        "formula": name.partition("_")[0],
        "n_sites": sites,
    }


def test_the_lowest_and_what_is_near_it() -> None:
    rows = [row("MgO_0", -5.0), row("MgO_1", -5.995), row("MgO_2", -6.0), row("MgO_3", None, "failed"),
            row("MgO_4", -9.0, "blown_up"), row("MgO2_0", -7.0)]  # fmt: skip
    assert lowest(rows, "MgO") == ["MgO_2", "MgO_1"]
    assert lowest(rows[:2], "MgO") == ["MgO_1"]
    twins = [row("MgO_0", -6.0001, sites=8), row("MgO_1", -6.0)]
    assert lowest(twins, "MgO") == ["MgO_1", "MgO_0"]  # a tenth of a meV says nothing; two atoms are cheaper than eight
    assert lowest(rows, "TiO2") == []


def test_two_prototypes_that_became_one_crystal_are_taken_once() -> None:
    found = decorate_prototypes(orm.Str("MgO"), orm.Int(2))
    names = list(found)
    crystals = {"first": found[names[0]], "again": found[names[0]], "other": found[names[1]]}
    assert different(["first", "again", "other"], crystals) == ["first", "other"]


def test_prototypes_of_a_rock_salt_hold_rock_salt() -> None:
    found = decorate_prototypes(orm.Str("MgO"), orm.Int(2))
    groups = {node.get_pymatgen().get_space_group_info()[0] for node in found.values()}
    assert "Fm-3m" in groups
    assert all(len(node.sites) == 2 for node in found.values())
    assert any("Halite" in node.label or "Rock" in node.label for node in found.values()), [
        node.label for node in found.values()
    ]


@pytest.fixture
def chain(inputs: Any, workchain: Callable[..., Any], fake_code: Any) -> Any:  # noqa: F811
    inputs.elements = orm.List(["Pb", "O"])
    inputs.formulas = orm.List(["PbO2", "Pb7O11"])
    inputs.most_sites = orm.Int(3)
    fill_ranking(inputs, fake_code(), {})
    return workchain(ReferencesWorkChain, inputs)


def test_what_is_ranked_and_taken(chain: Any, tmp_path: Path) -> None:
    assert chain.look_up() is None
    chain.choose()
    assert chain.ctx.guessed == ["PbO2"]
    assert chain.ctx.missing == {
        "Pb7O11": "no prototype of its kind is small enough; give its structure in `structures`"
    }
    names = sorted(chain.ctx.guesses)
    assert len(names) > 2
    assert chain.should_rank()
    write_table(tmp_path / "relax.csv", [row(name, -5.0 - (name == names[1])) for name in names])
    crystals = {f"crystals__{name}": orm.StructureData(pymatgen=chain.ctx.guesses[name].get_pymatgen())
                for name in names}  # fmt: skip
    chain.ctx.ranking = finished(ReferencesWorkChain, {"table": orm.SinglefileData(tmp_path / "relax.csv"), **crystals})
    chain.take_lowest()
    assert set(chain.ctx.structures) == {"Pb", "O", names[1]}


def test_a_ranking_that_failed_leaves_the_others(chain: Any) -> None:
    chain.look_up()
    chain.choose()
    chosen, missing = ranked(finished(ReferencesWorkChain, {}, 310, "chgnet: not installed"), ["PbO2"])
    assert chosen == {}
    assert "chgnet: not installed" in missing["PbO2"]


def test_a_guess_is_told_from_the_graph() -> None:
    """Of a formula with a structure of its own the guess does no harm."""

    @calcfunction
    def record(structure: orm.StructureData, formula: orm.Str) -> orm.Dict:
        return orm.Dict({"formula": formula.value})

    guess = next(iter(decorate_prototypes(orm.Str("MgO"), orm.Int(2)).values()))
    own = orm.StructureData(pymatgen=guess.get_pymatgen()).store()
    energies = [record(guess, orm.Str("MgO")), record(guess, orm.Str("TiO2")), record(own, orm.Str("TiO2"))]
    assert guessed_formulas(energies) == ["MgO"]
    assert guessed_formulas([]) == []


def test_a_verdict_names_what_was_guessed_and_how_to_get_what_is_missing() -> None:
    phases = {"pb": energy("Pb", 0.0), "o": energy("O2", 0.0), "po": energy("PbO", -1.0), "ti": energy("TiO2", -3.0)}
    candidates = {"x": energy("PbO2", 0.5), "y": energy("MgO", 0.5)}
    guessed = orm.List(["PbO", "TiO2"])
    found = judge_candidates(orm.Dict({}), guessed, orm.List([]), candidates=candidates, phases=phases).get_dict()
    assert found["x"]["guessed"] == ["PbO"]
    assert found["x"]["words"].endswith("; structure guessed from prototypes: PbO")
    assert "`aiida-icsg3d references --elements Mg,O` computes them" in found["y"]["words"]

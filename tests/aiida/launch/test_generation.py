"""A request is checked before anything starts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiida import orm

from aiida_icsg3d.launch import Generation, plan_generation
from aiida_icsg3d.launch.defaults.screening import screening_of
from aiida_icsg3d.setup import prepare_code
from aiida_icsg3d.workflows.discover import DiscoverWorkChain
from tests.aiida.pseudo_families import make_family

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")
ELEMENTS = {"Pb": 82, "Ti": 22, "O": 8}


@pytest.fixture
def request_(localhost: orm.Computer, model: Callable[..., Any], tmp_path: Path) -> Callable[..., Generation]:
    """Return a factory of requests in a profile with codes, models and pseudopotentials."""
    prepare_code(localhost, "icsg3d", None, Path("/bin/true"))
    prepare_code(localhost, "pw", "quantumespresso.pw", Path("/bin/true"))
    prepare_code(localhost, "ph", "quantumespresso.ph", Path("/bin/true"))
    make_family(tmp_path, "SSSP/1.3/PBE/efficiency")
    names = [
        str(model(network, elements=sorted(ELEMENTS.values())).pk) for network in ("vae", "unet", "prior", "cgcnn")
    ]

    def build(**asked: Any) -> Generation:
        return Generation(**{"models": names, "elements": ["Pb", "Ti", "O"], **asked})

    return build


def quiet(_: str) -> None:
    """Take what a request says."""


def test_builder_and_plan(request_: Callable[..., Generation]) -> None:
    request = request_(n_samples=8, n_relaxations=3, n_phonons=2, seed=5, options={"sample": {"account": "materials"}})
    found = request.resolve(quiet)
    builder: Any = request.build(found)
    assert builder.generate.sample.settings["n_samples"] == 8
    assert builder.generate.sample.metadata.options["account"] == "materials"
    assert "account" not in builder.generate.rebuild.metadata.options
    assert builder.n_relaxations.value == 3
    assert builder.n_phonons.value == 2
    plan = plan_generation(request, found)
    assert plan.planned == {"SampleCalculation": 1, "SegmentCalculation": 1, "RebuildCalculation": 1,
                            "ScreenCalculation": 1, "RelaxCalculation": 1, "PwRelaxWorkChain": 3,
                            "PhononsWorkChain": 2}  # fmt: skip
    assert "sample 8 samples" in plan.text


def program(folder: Path, potentials: list[str]) -> Path:
    """Return a program that says which potentials it has."""
    path = folder / "icsg3d-with-potentials"
    path.write_text(f"#!/bin/sh\necho '{json.dumps({'version': '1', 'potentials': potentials})}'\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("potentials", "taken", "words"),
    [
        (["7net-0", "chgnet"], "chgnet", ""),
        (["7net-0"], "7net-0", "chgnet is not installed where"),
        ([], None, r"no potential is installed where .* `pip install 'aiida-icsg3d\[relax\]'` there brings them"),
    ],
)
def test_the_potential_that_is_there_is_taken(
    request_: Callable[..., Generation], localhost: orm.Computer, tmp_path: Path, potentials: list[str],
    taken: str | None, words: str,
) -> None:  # fmt: skip
    prepare_code(localhost, "other", None, program(tmp_path, potentials))
    said: list[str] = []
    request = request_(n_relaxations=0, code="other@localhost")
    builder: Any = request.build(request.resolve(said.append))
    assert bool(words) == any(re.search(words, line) for line in said if words)
    if taken is None:
        assert "settings" not in builder.prerelax or not builder.prerelax.get("code")
        with pytest.raises(ValueError, match="--prerelax: no potential"):
            request_(n_relaxations=0, code="other@localhost", prerelax=True).resolve(quiet)
    else:
        assert builder.prerelax.settings.get_dict()["potential"]["name"] == taken


def test_no_pre_relaxation_where_none_is_wanted(request_: Callable[..., Generation]) -> None:
    request = request_(n_relaxations=0, prerelax=False)
    found = request.resolve(quiet)
    assert "RelaxCalculation" not in plan_generation(request, found).planned
    assert not request.build(found)["prerelax"].get("code")


def test_shipped_perovskites_aim_at_stability_and_say_so(request_: Callable[..., Generation]) -> None:
    """A quarter of the samples aims at nothing; whoever names a target, or wants no aim, gets none."""
    said: list[str] = []
    request = request_(models=("perov5",), n_relaxations=0, n_samples=40)
    builder: Any = request.build(request.resolve(said.append))
    settings = builder.generate.sample.settings.get_dict()
    assert settings["targets"] == {"formation_energy_per_atom": 0.0}
    assert (settings["unaimed"], settings["guidance"]) == (10, 2.0)
    assert any("heat relative to competing phases 0 eV/atom, guidance 2; the first 10" in line for line in said)
    request_(models=("perov5",), n_relaxations=0, n_samples=40, guidance=1.5).resolve(said.append)
    assert any("0 eV/atom, guidance 1.5; the first 10" in line for line in said)
    for other in ({"aim": False}, {"targets": {"formation_energy_per_atom": 0.5}}):
        request = request_(models=("perov5",), n_relaxations=0, **other)
        settings = request.build(request.resolve(quiet)).generate.sample.settings.get_dict()
        assert settings.get("targets", {}) == other.get("targets", {})
        assert "unaimed" not in settings


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"pw_code": "ph@localhost"}, r"ph@localhost runs quantumespresso\.ph; here one for quantumespresso\.pw"),
        ({"pw_code": "icsg3d@localhost"}, r"icsg3d@localhost is given for icsg3d and for pw\.x"),
        ({"code": "pw@localhost"}, r"pw@localhost runs quantumespresso\.pw"),
        ({"code": "icsg3d@cluster"}, r"there is no code 'icsg3d@cluster'.*`aiida-icsg3d setup FILE`"),
        ({"elements": ["Pb", "Tii", "O"]}, r"'Tii' is no chemical symbol; close to it are Ti"),
        ({"elements": ["Fe"]}, r"none of the elements Fe can be used \(the model: O, Pb, Ti"),
        ({"pseudo_family": "SSSP/9"}, r"family 'SSSP/9' is not installed"),
        ({"models": ["perov6"]}, r"no pretrained model perov6"),
        ({"spread": 0.5}, r"--spread is a width around --base"),
        ({"interpolate": True}, r"--interpolate goes from one crystal of --base to another; 0 given"),
        ({"reference": 987654}, r"--reference 987654: there is no such node"),
        ({"n_samples": 0}, r"--n-samples 0: at least one"),
        ({"n_relaxations": -1}, r"--n-relaxations -1"),
        ({"n_phonons": 3}, r"--phonons 3: give 0 to --n-relaxations, which is 2"),
        ({"n_phonons": 1, "engine": "potential"}, r"--phonons 1: .* by pw\.x, and not with the engine"),
        ({"n_phonons": 1, "hubbard": ["Ti-3d=4"]}, r"--phonons 1: .* not with Hubbard terms"),
        ({"hubbard": ["Fe-3d=5"]}, r"Hubbard terms for Fe; the elements of the run are Pb, Ti, O"),
        ({"engine": "potential", "pseudo_family": "SSSP/9"}, r"--pseudo-family is for pw\.x"),
        ({"stage_codes": {"relax": "icsg3d@localhost"}}, r"--code-relax is the code of the engine potential"),
        ({"engine": "potential", "options": {"pw": {}}}, r"key 'pw' is not known.*; nothing is computed by pw\.x"),
        ({"asked": {"composition": "PbTiN3"}}, r"PbTiN3 cannot be made: N cannot be used"),
    ],
)  # fmt: skip
def test_what_is_refused_at_once(request_: Callable[..., Generation], asked: dict[str, Any], message: str) -> None:
    """The program of the wrong plugin was found out after the sampling."""
    with pytest.raises(ValueError, match=message):
        request_(**asked).resolve(quiet)


def test_looking_stores_nothing(localhost: orm.Computer) -> None:
    """Neither the shipped models nor a pseudopotential family are put into the profile by a plan."""
    prepare_code(localhost, "icsg3d", None, Path("/bin/true"))
    prepare_code(localhost, "pw", "quantumespresso.pw", Path("/bin/true"))
    before = [orm.QueryBuilder().append(kind).count() for kind in (orm.Node, orm.Group)]
    request, said = Generation(elements=["Pb", "Ti", "O"]), []
    found = request.resolve(said.append, store=False)
    request.build(found)
    assert "relax the best by DFT" in plan_generation(request, found).text
    assert any("one would be downloaded or made" in line for line in said)
    assert [orm.QueryBuilder().append(kind).count() for kind in (orm.Node, orm.Group)] == before


def test_method_reaches_builder_and_plan(request_: Callable[..., Generation]) -> None:
    mine = {"validation": {"relax": {"base_relax": {"kpoints_distance": 0.4}}}, "verdict": {"compute": True},
            "screen": {"screen": {"settings": {"top": 7}}}}  # fmt: skip
    request = request_(spin="collinear", electronic_type="insulator", hubbard=["Ti-3d=4"], overrides=mine)
    found = request.resolve(quiet)
    builder: Any = request.build(found)
    assert builder.validation.spin_type.value == "collinear"
    assert builder.validation.electronic_type.value == "insulator"
    assert builder.validation.hubbard.get_dict() == {"Ti": {"3d": 4.0}}
    assert builder.validation.relax.base_relax.kpoints_distance == 0.4
    assert builder.verdict.references.compute.value is True
    assert builder.screen.screen.settings["top"] == 7
    text = plan_generation(request, found).text
    assert "spin collinear, insulator occupations, U Ti-3d 4 eV" in text
    assert "kpoints_distance 0.4" in text
    assert "compute the energies of elements and competing phases" in text


def test_a_potential_needs_no_pw(request_: Callable[..., Generation], workchain: Callable[..., Any]) -> None:
    request = request_(engine="potential", pw_code="nothing@nowhere", n_relaxations=3,
                       options={"relax": {"account": "materials"}})  # fmt: skip
    found = request.resolve(quiet)
    assert found.family is None
    builder: Any = request.build(found)
    assert builder.validation.engine.value == "potential"
    assert builder.validation.potential.code.label == "icsg3d"
    assert builder.validation.potential.metadata.options["account"] == "materials"
    assert "pseudo_family" not in builder.validation
    workchain(DiscoverWorkChain, builder)  # checks all inputs together
    plan = plan_generation(request, found)
    assert plan.planned["RelaxCalculation"] == 1
    assert "PwRelaxWorkChain" not in plan.planned
    assert "energies: the potential 7net-0, no DFT" in plan.text


def test_ranked_by_the_height_above_the_hull_where_it_is_predicted() -> None:
    """Formation energies of two compositions say nothing of which of them falls apart."""
    said: list[str] = []
    model = SimpleNamespace(config={"elements": [8], "targets": ["formation_energy_per_atom", "e_above_hull"]})
    found = screening_of({"predictors": {"cgcnn": model}}, ["O"], "a reference", said.append)
    assert found["rank_by"] == "e_above_hull"
    assert said == ["candidates are ranked by their predicted energy above the hull"]


@pytest.mark.parametrize(("target", "ranked"), [("formation_energy_per_atom", True), ("tolerance_factor", False)])
def test_no_ranking_by_what_no_model_predicts(target: str, ranked: bool) -> None:
    """The screening refused it after all the sampling, as the tutorial is written."""
    said: list[str] = []
    model = SimpleNamespace(config={"elements": [8], "targets": [target]})
    found = screening_of({"predictors": {"cgcnn": model}}, ["O"], "a reference", said.append)
    assert ("rank_by" not in found) is ranked
    assert ("predict tolerance_factor, not formation_energy_per_atom" in "".join(said)) is not ranked

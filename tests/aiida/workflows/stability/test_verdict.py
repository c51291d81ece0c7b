"""References and verdicts: what is found in the profile, what would be computed, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.common.links import LinkType
from aiida.engine import calcfunction
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.dft.engines import engine_class
from aiida_icsg3d.dft.fingerprint import Settings, SettingsDifferError
from aiida_icsg3d.dft.known_energies import generated_ones, known_energies
from aiida_icsg3d.workflows.discover_builder import fill
from aiida_icsg3d.workflows.stability.judging import check_settings, judge_candidates
from aiida_icsg3d.workflows.stability.references import OF_ONE_CRYSTAL, ReferencesWorkChain
from aiida_icsg3d.workflows.validate import ValidateWorkChain
from tests.aiida.pseudo_families import make_family

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")
COMMON = {"functional": "LDA", "ecutwfc_Ry": 30.0}


def energy(formula: str, per_atom: float, md5: str = "a", common: dict[str, Any] | None = None) -> orm.Dict:
    """Return a stored energy as a relaxation leaves it."""
    structure = Structure(Lattice.cubic(4.0), *_sites(formula))
    node = orm.StructureData(pymatgen=structure).store()
    settings = Settings(common or COMMON, {str(e): {"pseudo_md5": md5} for e in structure.composition.elements})
    content = {
        "formula": structure.composition.reduced_formula,
        "energy_per_atom_eV": per_atom,
        "structure_uuid": node.uuid,
        "settings": settings.as_dict(),
        "settings_hash": settings.hash,
    }
    return orm.Dict(content).store()


def _sites(formula: str) -> tuple[list[str], list[list[float]]]:
    from pymatgen.core import Composition

    species = [str(e) for e, n in Composition(formula).items() for _ in range(int(n))]
    return species, [[0.1 * i, 0.07 * i, 0.03 * i] for i in range(len(species))]


@pytest.fixture
def inputs(localhost: orm.Computer, tmp_path: Path) -> Any:
    """Return the inputs of a ReferencesWorkChain, of a family of Pb, Ti and O."""
    make_family(tmp_path, "made up", stringencies=("low", "normal"))
    code = orm.InstalledCode(
        computer=localhost, filepath_executable="/bin/true", label="pw", default_calc_job_plugin="quantumespresso.pw"
    ).store()
    filled = ValidateWorkChain.get_builder_from_protocol(
        code, pseudo_family="made up", overrides={"cutoff_elements": ["Pb", "Ti", "O"]}
    )
    builder = ReferencesWorkChain.get_builder()
    fill(builder.validation, filled, "metadata", *OF_ONE_CRYSTAL)
    builder.elements = orm.List(["Pb", "O"])
    return builder


def test_energies_of_other_settings_never_meet() -> None:
    candidates = {"x": energy("PbO", -2.0)}
    phases = {"pb": energy("Pb", 0.0), "o": energy("O2", 0.0)}
    check_settings(candidates, phases)
    for wrong in (energy("O2", 0.0, md5="b"), energy("O2", 0.0, common={**COMMON, "ecutwfc_Ry": 40.0})):
        with pytest.raises(SettingsDifferError, match="cannot be compared"):
            check_settings(candidates, {**phases, "o": wrong})


def test_the_verdict_is_a_node() -> None:
    candidates = {"x": energy("PbO", -2.0), "y": energy("PbO2", 0.5)}
    phases = {"pb": energy("Pb", 0.0), "o": energy("O2", 0.0), "again": candidates["x"]}
    missing, none = orm.Dict({"Ti": "no file"}), orm.List([])
    found = judge_candidates(missing, none, none, candidates=candidates, phases=phases).get_dict()
    # its own energy of an earlier run is no phase to be judged against
    assert found["x"]["e_above_hull"] == pytest.approx(-2.0)
    assert found["x"]["words"].startswith("PbO, 2.000 eV/atom below all known phases (LDA, ")
    assert found["y"]["e_above_hull"] > 0.5
    assert found["x"]["missing"] == {}


def test_energies_of_a_potential_are_judged_too() -> None:
    """They have no functional: the verdict raised a KeyError."""
    common = {"engine": "potential", "name": "chgnet"}
    candidates = {"x": energy("PbO", -2.0, common=common)}
    phases = {"pb": energy("Pb", 0.0, common=common), "o": energy("O2", 0.0, common=common)}
    found = judge_candidates(orm.Dict({}), orm.List([]), orm.List([]), candidates=candidates, phases=phases).get_dict()
    assert "(chgnet, 2 phases" in found["x"]["words"]
    assert Settings.from_dict(candidates["x"].get_dict()["settings"]).method == "chgnet"


def test_what_is_known_is_found_by_its_settings(inputs: Any, workchain: Callable[..., Any]) -> None:
    engine = engine_class("quantum_espresso")(workchain(ReferencesWorkChain, inputs).inputs.validation)
    settings = engine.expected_settings(["Pb", "O"])
    assert settings.common["ecutwfc_Ry"] == 40.0  # of O, the highest
    assert settings.common["energy_kpoints"] == {"compounds": 0.3, "elements": 0.15, "molecules": "gamma"}

    def store(elements: dict[str, Any], common: dict[str, Any]) -> orm.Dict:
        other = Settings(common, elements)
        content = {"formula": "PbO", "energy_per_atom_eV": -1.0, "settings": other.as_dict()}
        return orm.Dict({**content, "settings_hash": other.hash}).store()

    right = store(dict(settings.elements), dict(settings.common))
    store({"Pb": {"pseudo_md5": "other"}, "O": settings.elements["O"]}, dict(settings.common))
    store(dict(settings.elements), {**settings.common, "degauss_Ry": 0.5})
    assert [node.uuid for node in known_energies(settings, ["Pb", "O"])] == [right.uuid]
    assert known_energies(settings, ["Pb"]) == []


def test_a_generated_crystal_is_no_reference_of_its_formula(
    inputs: Any, workchain: Callable[..., Any], localhost: orm.Computer
) -> None:
    """MgTiO3 as a perovskite would be judged against itself: its verdict was 0.000 eV/atom above the hull."""
    chain = workchain(ReferencesWorkChain, inputs)
    assert chain.look_up() is None
    rebuild = orm.CalcJobNode(computer=localhost, process_type="aiida.calculations:icsg3d.rebuild").store()
    made = energy("PbO", -1.0).get_dict()
    structure = orm.StructureData(pymatgen=orm.load_node(made["structure_uuid"]).get_pymatgen())
    structure.base.links.add_incoming(rebuild, link_type=LinkType.CREATE, link_label="crystals__s000001")

    @calcfunction
    def record(structure: orm.StructureData) -> orm.Dict:
        return orm.Dict(made)

    generated = record(structure.store())
    chain.ctx.known = [generated]
    chain.ctx.missing, chain.ctx.structures = {}, {}
    inputs.formulas = orm.List(["PbO"])
    assert generated_ones([generated, energy("Pb", 0.0)]) == {generated.pk}
    assert chain.known_formulas() == set()
    chain.ctx.known = [generated, energy("PbO", -2.0)]
    assert chain.known_formulas() == {"PbO"}


def test_what_stands_behind_the_models_is_not_walked(localhost: orm.Computer) -> None:
    """Behind the models of a late round stand the crystals of all before: a query for ancestors took minutes there."""

    def link(node: Any, kind: LinkType, *sources: orm.Node) -> Any:
        for number, source in enumerate(sources):
            node.base.links.add_incoming(source, link_type=kind, link_label=f"n{number}")
        return node.store()

    data: Any = orm.Int(0).store()
    for _ in range(24):  # each time two ways up
        ways = []
        for _ in range(2):
            step = link(orm.CalcFunctionNode(), LinkType.INPUT_CALC, data)
            ways.append(link(orm.Int(1), LinkType.CREATE, step))
        data = link(orm.Int(2), LinkType.CREATE, link(orm.CalcFunctionNode(), LinkType.INPUT_CALC, *ways))
    job = orm.CalcJobNode(computer=localhost, process_type="aiida.calculations:icsg3d.rebuild")
    crystal = link(orm.Int(3), LinkType.CREATE, link(job, LinkType.INPUT_CALC, data))
    generated = link(orm.Dict({}), LinkType.CREATE, link(orm.CalcFunctionNode(), LinkType.INPUT_CALC, crystal))
    other = link(orm.Dict({}), LinkType.CREATE, link(orm.CalcFunctionNode(), LinkType.INPUT_CALC, orm.Int(4).store()))
    assert generated_ones([generated, other]) == {generated.pk}


def test_what_would_be_computed(inputs: Any, workchain: Callable[..., Any]) -> None:
    inputs.elements = orm.List(["Pb", "O", "Xe"])
    inputs.formulas = orm.List(["PbO", "Pb7O11", "XePbO3"])
    chain = workchain(ReferencesWorkChain, inputs)
    assert chain.look_up() is None
    chain.choose()
    assert set(chain.ctx.structures) == {"Pb", "O", "PbO_0"}
    assert chain.ctx.molecules == ["O"]
    assert chain.ctx.moments == {"O": {"O": 1.0}}
    assert "family" in chain.ctx.missing["Xe"]
    assert "give it as one of `structures`" in chain.ctx.missing["Pb7O11"]
    assert chain.should_compute()


def test_looking_up_only(inputs: Any, workchain: Callable[..., Any]) -> None:
    inputs.compute = orm.Bool(False)
    chain = workchain(ReferencesWorkChain, inputs)
    chain.look_up()
    chain.choose()
    assert not chain.should_compute()
    assert chain.ctx.missing == dict.fromkeys(("Pb", "O"), "not in the profile, and nothing was to be computed")


def test_structures_that_are_too_large_are_left_out(inputs: Any, workchain: Callable[..., Any]) -> None:
    inputs.formulas = orm.List(["PbO"])
    inputs.most_sites = orm.Int(2)
    chain = workchain(ReferencesWorkChain, inputs)
    chain.look_up()
    chain.choose()
    assert "4 sites, more than `most_sites`, 2" in chain.ctx.missing["PbO"]

"""The engine Quantum ESPRESSO: starts, parameters and settings of crystals of every kind, without running pw.x."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.common import AttributeDict
from aiida.engine.processes.utils import prune_mapping

from aiida_icsg3d.dft.errors import CrystalError
from aiida_icsg3d.dft.quantum_espresso import QuantumEspresso
from aiida_icsg3d.dft.quantum_espresso.pw_settings import settings_of
from aiida_icsg3d.workflows.validate import ValidateWorkChain
from tests.aiida.dft.crystals import disordered, iron, nickel_oxide, rock_salt, with_u
from tests.aiida.pseudo_families import make_family

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")


@pytest.fixture
def build(localhost: orm.Computer, tmp_path: Path) -> Callable[..., Any]:
    """Return a factory of builders for oxides of iron, nickel and titanium."""
    code = orm.InstalledCode(
        computer=localhost, filepath_executable="/bin/true", label="pw", default_calc_job_plugin="quantumespresso.pw"
    ).store()
    make_family(tmp_path, "made up", elements="Ti Fe Ni O", stringencies=("low", "normal"))

    def builder(**kwargs: Any) -> Any:
        return ValidateWorkChain.get_builder_from_protocol(code, pseudo_family="made up", **kwargs)

    return builder


@pytest.fixture
def engine(build: Callable[..., Any]) -> Callable[..., QuantumEspresso]:
    """Return a factory of engines."""
    return lambda **kwargs: engine_of(build(**kwargs))


def engine_of(builder: Any) -> QuantumEspresso:
    """Return the engine of the inputs in a builder."""
    return QuantumEspresso(AttributeDict(prune_mapping(dict(builder))))


def system(engine: QuantumEspresso, structure: orm.StructureData, start: str) -> dict[str, Any]:
    """Return the namelist SYSTEM of one relaxation."""
    inputs = engine.process({"a": structure}, start)[1]
    content: dict[str, Any] = inputs.base_relax.pw.parameters.get_dict()["SYSTEM"]
    return content


def test_without_a_moment_nothing_is_polarised(engine: Any) -> None:
    made = engine()
    assert made.starts("a", rock_salt("Ti")) == ("nonmagnetic",)
    assert not {"nspin", "starting_magnetization"} & set(system(made, rock_salt("Ti"), "nonmagnetic"))


def test_both_orders_of_a_magnetic_oxide(engine: Any) -> None:
    made, oxide = engine(), nickel_oxide(("Ni", "Ni"))
    assert made.starts("a", oxide) == ("ferromagnetic", "antiferromagnetic")
    parallel = system(made, oxide, "ferromagnetic")
    assert parallel["nspin"] == 2
    assert parallel["starting_magnetization"] == pytest.approx({"Ni": 5 / 18, "O": 0})
    inputs = made.process({"a": made.dress(oxide, "antiferromagnetic")}, "antiferromagnetic")[1]
    content = inputs.base_relax.pw.parameters.get_dict()["SYSTEM"]
    assert content["starting_magnetization"] == pytest.approx({"Ni1": 5 / 18, "Ni2": -5 / 18, "O": 0})
    assert set(inputs.base_relax.pw.pseudos) == {"Ni1", "Ni2", "O"}
    assert inputs.structure.get_site_kindnames() == ["Ni1", "Ni2", "O", "O"]


def test_one_site_with_a_moment_starts_ferromagnetic(engine: Any) -> None:
    assert engine().starts("a", rock_salt("Fe")) == ("ferromagnetic",)


def test_spin_off_and_the_note_about_it(engine: Any) -> None:
    made = engine(spin_type="none")
    assert made.starts("a", rock_salt("Fe")) == ("nonmagnetic",)
    assert "nspin" not in system(made, rock_salt("Fe"), "nonmagnetic")
    assert "computed without spin, though Fe may carry a moment" in made.note(rock_salt("Fe"), ["nonmagnetic"])
    assert made.note(rock_salt("Ti"), ["nonmagnetic"]) is None
    assert made.note(rock_salt("Fe"), ["ferromagnetic", "antiferromagnetic"]) is None
    assert "no antiferromagnetic order of Fe" in made.note(rock_salt("Fe"), ["ferromagnetic"])


def test_spin_for_all(engine: Any) -> None:
    made = engine(spin_type="collinear")
    assert made.starts("a", rock_salt("Ti")) == ("ferromagnetic",)
    assert system(made, rock_salt("Ti"), "ferromagnetic")["nspin"] == 2


def test_moments_that_are_given(build: Any) -> None:
    builder = build(structures={"a": rock_salt("Fe")})
    builder.moments = orm.Dict({"a": {"Fe": 2.0, "O": 0.5}})
    made = engine_of(builder)
    assert made.starts("a", rock_salt("Fe")) == ("given",)
    moments = system(made, rock_salt("Fe"), "given")["starting_magnetization"]
    assert moments == pytest.approx({"Fe": 2 / 16, "O": 0.5 / 6})
    builder.moments = orm.Dict({"a": {"Fe": 2.0}})
    with pytest.raises(CrystalError, match="O must be in both"):
        system(engine_of(builder), rock_salt("Fe"), "given")


def test_spin_in_the_overrides_is_the_order(engine: Any) -> None:
    chosen = {"nspin": 2, "starting_magnetization": {"Fe": -0.3, "O": 0.0}}
    made = engine(overrides={"relax": {"base_relax": {"pw": {"parameters": {"SYSTEM": chosen}}}}})
    assert made.starts("a", rock_salt("Fe")) == ("given",)
    assert chosen.items() <= system(made, rock_salt("Fe"), "given").items()


def test_insulators_have_fixed_occupations(engine: Any) -> None:
    content = system(engine(electronic_type="insulator"), rock_salt("Ti"), "nonmagnetic")
    assert content["occupations"] == "fixed"
    assert not {"smearing", "degauss"} & set(content)


def test_the_protocol_adds_nothing_to_ours(engine: Any) -> None:
    parameters = engine().process({"a": rock_salt("Ti")}, "nonmagnetic")[1].base_relax.pw.parameters.get_dict()
    assert parameters == {
        "CONTROL": {"calculation": "vc-relax", "forc_conv_thr": 2.5e-3, "tprnfor": True, "tstress": True,
                    "etot_conv_thr": pytest.approx(2e-4)},
        "SYSTEM": {"nosym": False, "occupations": "smearing", "smearing": "cold", "degauss": 0.02,
                   "ecutwfc": pytest.approx(50), "ecutrho": pytest.approx(400)},
        "ELECTRONS": {"electron_maxstep": 80, "mixing_beta": 0.7, "conv_thr": pytest.approx(2e-7)},
        "CELL": {"cell_dofree": "all", "press_conv_thr": 5.0},
    }  # fmt: skip


def test_positions_alone(engine: Any) -> None:
    made = engine(overrides={"relax": {"base_relax": {"pw": {"parameters": {"CONTROL": {"calculation": "relax"}}}}}})
    parameters = made.process({"a": rock_salt("Ti")}, "nonmagnetic")[1].base_relax.pw.parameters.get_dict()
    assert parameters["CONTROL"]["calculation"] == "relax"
    assert "CELL" not in parameters


def test_one_cutoff_for_a_chemical_space(engine: Any) -> None:
    titanium = iron(("Ti", "Ti")).clone()
    titanium = orm.StructureData(cell=titanium.cell)
    titanium.append_atom(position=(0, 0, 0), symbols="Ti")
    assert system(engine(), titanium, "nonmagnetic")["ecutwfc"] == pytest.approx(20)
    made = engine(overrides={"cutoff_elements": ["O", "Ti"]})
    assert system(made, titanium, "nonmagnetic")["ecutwfc"] == pytest.approx(50)


def test_what_cannot_be_taken(engine: Any) -> None:
    made = engine()
    with pytest.raises(CrystalError, match=r"element `Pb`.*choose a pseudopotential family"):
        made.process({"a": rock_salt("Pb")}, "nonmagnetic")
    with pytest.raises(CrystalError, match="is shared"):
        made.starts("a", disordered("Fe Ti", [0.5, 0.5]))


def test_hubbard_terms_by_element(engine: Any) -> None:
    made = engine(hubbard={"Fe": {"3d": 4.0}})
    structure = made.process({"a": rock_salt("Fe")}, "ferromagnetic")[1].structure
    assert [(t.atom_manifold, t.value, t.hubbard_type) for t in structure.hubbard.parameters] == [("3d", 4.0, "U")]
    assert not hasattr(made.process({"a": rock_salt("Ti")}, "nonmagnetic")[1].structure, "hubbard")
    own = with_u(rock_salt("Fe"), "Fe", u=6.0)
    assert made.process({"a": own}, "ferromagnetic")[1].structure.hubbard.parameters[0].value == 6.0


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"spin_type": "up"}, "received 'up'; accepted are auto, none, collinear"),
        ({"electronic_type": "superconductor"}, "accepted are metal, insulator"),
        ({"hubbard": {"Xx": {"3d": 1}}}, "'Xx' is no element"),
        ({"hubbard": {"Fe": {"d": 1}}}, "hubbard.Fe: received"),
        ({"hubbard": {"Fe": {"3d": -1}}}, "received U = -1"),
        ({"overrides": {"spin": "auto"}}, "validate.spin: no such key; there are engine"),
        ({"overrides": {"engine": "abacus"}}, "engine 'abacus' is not known; there are quantum_espresso"),
    ],
)
def test_refused_by_name(build: Any, kwargs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**kwargs)


def test_moments_for_no_crystal(build: Any) -> None:
    builder = build(structures={"a": rock_salt("Fe")})
    builder.moments = orm.Dict({"b": {"Fe": 2.0}})
    spec = ValidateWorkChain.spec().inputs
    error = spec.validate(spec.pre_process(prune_mapping(dict(builder))))
    assert "moments for b, which are no structures; there are a" in error.message


def test_settings_of_an_energy(engine: Any) -> None:
    made = engine(hubbard={"Fe": {"3d": 4.0}})
    found = {
        name: settings_of(made.process({"a": crystal}, start)[1], "auto")
        for name, crystal, start in (
            ("FeO", rock_salt("Fe"), "ferromagnetic"), ("TiO", rock_salt("Ti"), "nonmagnetic"),
        )
    }  # fmt: skip
    assert found["FeO"].differences(found["TiO"]) == []
    assert found["FeO"].hash == found["TiO"].hash
    assert found["FeO"].elements["Fe"]["hubbard"] == {"U 3d": 4.0}
    assert len(found["FeO"].elements["O"]["pseudo_md5"]) == 32
    other = engine(spin_type="none")
    without = settings_of(other.process({"a": rock_salt("Fe")}, "nonmagnetic")[1], "none")
    assert without.differences(found["FeO"]) == [
        "spin_type: 'none' and 'auto'", "Fe hubbard: None and {'U 3d': 4.0}",
    ]  # fmt: skip

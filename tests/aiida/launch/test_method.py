"""How energies are computed: said on the command line or in a file, checked, shown, and handed on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from aiida_icsg3d.cli import options
from aiida_icsg3d.dft.engines import ENGINES
from aiida_icsg3d.dft.quantum_espresso import pw_engine
from aiida_icsg3d.launch.method import Method, hubbard_terms
from aiida_icsg3d.launch.overrides import SAID_BY_OPTIONS, flat, read_overrides
from aiida_icsg3d.workflows.protocols import load_protocol


def test_the_choices_of_the_command_line_are_those_of_the_engines() -> None:
    assert tuple(ENGINES) == options.ENGINES
    assert options.SPIN_TYPES == pw_engine.SPIN_TYPES
    assert options.ELECTRONIC_TYPES == pw_engine.ELECTRONIC_TYPES


def test_hubbard_terms_as_they_are_written() -> None:
    assert hubbard_terms(["Fe-3d=5.3", "O-2p=4", "Fe-4s=1e-1"]) == {"Fe": {"3d": 5.3, "4s": 0.1}, "O": {"2p": 4.0}}
    for wrong, message in (
        ("Fe=5.3", "write ELEMENT-MANIFOLD=U with U in eV, for example Fe-3d=5.3"),
        ("Fe-3d=-5", "U = -5.0; it must be a number of eV, 0 or more"),
        ("Fe-3d=5.3.1", "write ELEMENT-MANIFOLD=U"),
        ("Fe-3x=1", "write ELEMENT-MANIFOLD=U"),
        ("Fr3-3d=1", "write ELEMENT-MANIFOLD=U"),
        ("Xx-3d=1", "'Xx' is no chemical symbol"),
    ):
        with pytest.raises(ValueError, match=message):
            Method(hubbard=[wrong])
    with pytest.raises(ValueError, match="Fe-3d is given twice"):
        hubbard_terms(["Fe-3d=5", "Fe-3d=6"])


def test_what_is_said_goes_above_the_protocol_and_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("validation: {symmetry_precision: 0.02, relax: {base_relax: {kpoints_distance: 0.2}}}")
    method = Method(spin="none", hubbard=["Fe-3d=5.3"], overrides=path)
    merged = method.merged
    assert merged["spin_type"] == "none"
    assert merged["hubbard"] == {"Fe": {"3d": 5.3}}
    assert merged["relax"]["base_relax"]["kpoints_distance"] == 0.2
    assert merged["relax"]["base_relax"]["pw"]["parameters"]["SYSTEM"]["degauss"] == 0.02  # of the protocol, as before
    shown = method.describe()
    assert "quantum_espresso, spin none, metal occupations, U Fe-3d 5.3 eV" in shown
    assert f"by {path}: validation.symmetry_precision 0.02; validation.relax.base_relax.kpoints_distance 0.2" in shown
    assert "spin auto, metal occupations, no Hubbard terms" in Method().describe()
    assert Method(engine="potential").describe() == "energies: the potential 7net-0, no DFT"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("validaton: {}", "validaton: no such key; there are .*validation"),
        ("validation: {spin: none}", r"validation.spin: no such key; there are engine, .*spin_type"),
        ("validation: {relax: {base_relax: {kpoint_distance: 1}}}",
         r"validation.relax.base_relax.kpoint_distance is no input; accepted here: .*kpoints_distance"),
        ("validation: {relax: {base_relax: {pw: {parameters: {system: {degauss: 0.1}}}}}}",
         r"parameters.system is no namelist of pw.x; there are CONTROL, SYSTEM"),
        ("validation: {relax: {base_relax: {pw: {parameters: {SYSTEM: 3}}}}}", "SYSTEM: received 3; a mapping"),
        ("validation: {spin_type: up}", "spin_type: received 'up'; accepted are auto, none, collinear"),
        ("validation: {hubbard: {Fe: 3}}", r"hubbard.Fe: received 3; give manifold -> U in eV"),
        ("validation: {engine: vasp}", "engine 'vasp' is not known; there are quantum_espresso, potential"),
        ("validation: {potential: {settings: {fmx: 1}}}", "validation.potential: .*did you mean fmax"),
        ("validation: 3", "validation: a mapping is needed there, received 3"),
        ("generate: {sample: {settings: {guidanc: 2}}}", "generate.sample: .*guidance"),
        ("generate: {sample: {settings: {n_samples: 5}}}", "n_samples: leave it out and say it with --n-samples"),
        ("generate: {sample: {settings: {targets: {gap: 5}}}}", "targets: leave it out and say it with --target"),
        ("screen: {screen: {settings: {seed: 1}}}", "screen.screen.settings.seed: .*--seed"),
        ("n_relaxations: 3", "n_relaxations: leave it out and say it with --n-relaxations"),
        ("train: {max_iterations: 3}", "train: a run with given models trains none"),
        ("validation: {a", "line 1: not valid YAML"),
        ("- 3", "received a list; a mapping"),
    ],
)  # fmt: skip
def test_a_file_is_refused_by_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        Method(overrides=path)
    if not message.startswith(("spin_type", "hubbard")):
        assert str(path) in str(error.value)


def test_options_that_a_file_contradicts_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("validation: {spin_type: none, hubbard: {Fe: {3d: 1.0}}}")
    with pytest.raises(ValueError, match=r"--spin auto and validation.spin_type of .*mine.yaml are both given"):
        Method(spin="auto", overrides=path)
    with pytest.raises(ValueError, match=r"--hubbard and validation.hubbard"):
        Method(hubbard=["Fe-3d=5"], overrides=path)
    assert Method(overrides=path).merged["hubbard"] == {"Fe": {"3d": 1.0}}
    with pytest.raises(ValueError, match=r"--spin, --hubbard says how pw\.x computes"):
        Method(engine="potential", spin="auto", hubbard=["Fe-3d=5"])
    with pytest.raises(ValueError, match="Hubbard terms for Fe; the elements of the run are Ti, O"):
        Method(hubbard=["Fe-3d=5"]).check_elements(["Ti", "O"])


def test_keys_said_by_options_are_keys_of_the_protocols() -> None:
    """A name of the table that no protocol or stage knows would guard nothing."""
    from icsg3d_models.settings import STAGES

    for key in SAID_BY_OPTIONS:
        part, _, rest = key.partition(".")
        if ".settings." in key:
            stage, _, name = rest.partition(".settings.")
            fields = STAGES[stage].model_fields
            assert name in fields or part == "screen", key
        elif rest:
            assert rest in (load_protocol("validate") if part == "validation" else load_protocol("discover")[part]), key
        else:
            assert part in load_protocol("discover")


def test_a_whole_protocol_written_to_a_file_is_taken(tmp_path: Path) -> None:
    content: dict[str, Any] = {"validation": load_protocol("validate", "balanced")}
    content["validation"].pop("pseudo_family")
    path = tmp_path / "all.yaml"
    path.write_text(yaml.safe_dump(content))
    assert dict(flat(read_overrides(path, "balanced"))) == dict(flat(content))

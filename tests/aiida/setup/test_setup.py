"""Computer, codes and models that are named on a command line: found, made, or missed with a way out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiida import orm

from aiida_icsg3d.setup import (
    CodeError,
    ModelsError,
    collect_models,
    find_code,
    find_reference,
    known_elements,
    prepare_code,
    prepare_localhost,
    samples_around_base,
)
from aiida_icsg3d.setup.__main__ import main
from tests.aiida.pseudo_families import make_family

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")
NETWORKS = ("vae", "unet", "prior", "cgcnn")


def test_localhost_is_made_once(tmp_path: Path) -> None:
    computer = prepare_localhost("here", tmp_path)
    assert prepare_localhost("here").pk == computer.pk
    assert computer.get_workdir() == str(tmp_path)
    assert computer.get_minimum_job_poll_interval() == 1
    assert computer.get_configuration()["safe_interval"] == 0
    assert "OMP_NUM_THREADS=1" in computer.get_prepend_text()


def test_code_with_another_path_becomes_another_code(tmp_path: Path) -> None:
    computer = prepare_localhost("here", tmp_path)
    first = prepare_code(computer, "pw", "quantumespresso.pw", Path("/bin/true"))
    assert prepare_code(computer, "pw", "quantumespresso.pw", Path("/bin/true")).pk == first.pk
    second = prepare_code(computer, "pw", "quantumespresso.pw", Path("/bin/false"))
    assert second.pk != first.pk
    assert orm.load_code("pw@here").pk == second.pk
    assert str(first.filepath_executable) == "/bin/true"


def test_code_is_found_or_the_command_is_named(tmp_path: Path) -> None:
    computer = prepare_localhost("here", tmp_path)
    icsg3d = prepare_code(computer, "icsg3d", None, Path("/bin/true"))
    assert find_code("icsg3d@here", "icsg3d.sample", "icsg3d").pk == icsg3d.pk
    with pytest.raises(
        CodeError, match=r"no code 'pw@here' \(there are: icsg3d@here\); .*-L pw -Y here -D quantum.*pw\.x"
    ):
        find_code("pw@here", "quantumespresso.pw", "pw.x")


def test_code_of_another_program(tmp_path: Path) -> None:
    prepare_code(prepare_localhost("here", tmp_path), "pw", "quantumespresso.pw", Path("/bin/true"))
    with pytest.raises(CodeError, match=r"pw@here runs quantumespresso\.pw; here one for icsg3d\.sample is needed"):
        find_code("pw@here", "icsg3d.sample", "icsg3d")


def test_computer_that_is_not_configured(tmp_path: Path) -> None:
    computer = orm.Computer(
        "far", "far.example", transport_type="core.ssh_async", scheduler_type="core.slurm", workdir="/scratch"
    ).store()
    prepare_code(computer, "icsg3d", None, Path("/bin/true"))
    with pytest.raises(CodeError, match=r"run `verdi computer configure core\.ssh_async far`"):
        find_code("icsg3d@far", "icsg3d.sample", "icsg3d")


def test_models_by_pk_and_by_path(model: Callable[..., Any], tmp_path: Path) -> None:
    nodes = {network: model(network) for network in NETWORKS}
    names = [str(nodes[network].pk) for network in NETWORKS[:3]]
    with nodes["cgcnn"].as_path() as path:
        copy = tmp_path / "copy.safetensors"
        copy.write_bytes(path.read_bytes())
    models = collect_models([*names, str(copy)])
    assert {name: models[name].pk for name in NETWORKS[:3]} == {name: nodes[name].pk for name in NETWORKS[:3]}
    assert [node.uuid for node in models["predictors"].values()] == [nodes["cgcnn"].uuid]
    assert find_reference(names, models) is None


def test_models_for_any_shape_without_a_prior_sample_around_crystals(model: Callable[..., Any]) -> None:
    nodes = [model("vae", spacing=0.4), model("unet", spacing=0.4), model("cgcnn")]
    models = collect_models([str(node.pk) for node in nodes])
    assert "prior" not in models
    assert samples_around_base(models)
    assert not samples_around_base({**models, "prior": model("prior", spacing=0.4)})
    assert not samples_around_base(collect_models([str(model(network, 5).pk) for network in NETWORKS[:4]]))


def test_elements_that_both_networks_know() -> None:
    models = {
        "vae": SimpleNamespace(config={"elements": [8, 22, 82]}),
        "unet": SimpleNamespace(config={"elements": [8, 82]}),
    }
    assert known_elements(models) == {"O", "Pb"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nonsense"], "no pretrained model nonsense"),
        (["987654"], "'987654' is no file, and no node"),
        (["./nowhere.safetensors"], "is no file, and no node"),
        (["vae", "unet"], "no prior, no cgcnn among the models given"),
        (["vae", "other vae"], "two models are vae networks"),
        (["integer"], "Int without models among its outputs"),
    ],
)
def test_models_that_make_no_set(model: Callable[..., Any], names: list[str], message: str) -> None:
    stored = {"integer": orm.Int(1).store()}
    stored |= {"vae": model("vae"), "unet": model("unet"), "other vae": model("vae", 1)} if len(names) > 1 else {}
    given = [str(stored[name].pk) if name in stored else name for name in names]
    with pytest.raises(ModelsError, match=message):
        collect_models(given)


def test_module_sets_everything_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_family(tmp_path, "SSSP/1.3/PBE/efficiency")
    arguments = ["--pw", "/bin/true", "--icsg3d", "/bin/true", "--workdir", str(tmp_path)]
    assert main(arguments) == 0
    assert main(arguments) == 0
    assert orm.load_code("pw@localhost").default_calc_job_plugin == "quantumespresso.pw"
    assert "pseudopotentials SSSP/1.3/PBE/efficiency: O, Pb, Ti" in capsys.readouterr().out


def test_module_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--pw", str(tmp_path / "pw.x"), "--icsg3d", "/bin/true", "--workdir", str(tmp_path)]) == 1
    assert "pw.x: no such program" in capsys.readouterr().err

"""The examples: the options that they had from the first release on, and a run through the fake program."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiida import orm
from click.testing import CliRunner

EXAMPLES = Path(__file__).parents[2] / "examples"
OPTIONS = {
    "generate_perovskites": "--elements --n-samples --n-relaxations --seed --models --base --spread --interpolate "
    "--guidance --reference --target --composition --anonymous-formula --n-atoms --crystal-system --code --code-sample "
    "--code-segment --code-rebuild --code-screen --pw-code --options --protocol --pseudo-family --output --submit",
    "train_perovskites": "--source --dataset --property --cif-column --id-column --name --target --condition "
    "--protocol --epochs-unet --epochs-vae --epochs-prior --epochs-cgcnn --seed --code --submit",
}


def load(name: str) -> ModuleType:
    """Return an example as a module."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", OPTIONS)
def test_no_option_is_lost(name: str) -> None:
    known = {flag for option in load(name).main.params for flag in option.opts}
    assert set(OPTIONS[name].split()) - known == set()
    help_text = CliRunner().invoke(load(name).main, ["--help"]).output
    assert "None" not in help_text


def test_an_example_is_a_page() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 75, path.name


@pytest.fixture
def example_run(
    fake_code: Callable[..., orm.InstalledCode], model: Callable[..., Any], tmp_path: Path, capfd: Any
) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs generate_perovskites.py with the fake program."""
    models = [str(model(network, elements=[8, 22, 38]).pk) for network in ("vae", "unet", "prior", "cgcnn")]
    code = fake_code()

    def run(*arguments: str) -> tuple[int, str, str]:
        words = ["--code", code.full_label, "--models", *models, "--output", str(tmp_path / "out"), *arguments]
        with pytest.raises(SystemExit) as ended:
            load("generate_perovskites").main(words)
        shown = capfd.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err

    return run


def test_dry_run_stores_nothing(example_run: Callable[..., tuple[int, str, str]]) -> None:
    before = orm.QueryBuilder().append(orm.Node).count()
    status, out, err = example_run("--elements", "Sr", "O", "--n-relaxations", "0", "--dry-run")
    assert (status, err) == (0, "")
    assert "sample 64 samples" in out
    assert orm.QueryBuilder().append(orm.Node).count() == before


def test_a_mistake_in_one_sentence(example_run: Callable[..., tuple[int, str, str]]) -> None:
    status, _, err = example_run("--elements", "Pb", "Tii", "O")
    assert status == 1
    assert "'Tii' is no chemical symbol; close to it are Ti" in err
    assert "Traceback" not in err
    assert sys.exc_info() == (None, None, None)

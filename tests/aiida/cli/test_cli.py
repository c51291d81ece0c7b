"""The commands: help in words, tables, and one sentence for every mistake."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import click
import pytest
from aiida import orm
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from aiida_icsg3d import cli as cli_package
from aiida_icsg3d.cli import cmd_root
from tests.aiida.discovery_graph import Discovery, build_discovery, model_file
from tests.aiida.process_nodes import process


@pytest.fixture(scope="module")
def run(aiida_profile: object, tmp_path_factory: pytest.TempPathFactory) -> Discovery:
    """Return a run that ended."""
    return build_discovery(tmp_path_factory.mktemp("run"))


@pytest.fixture
def cli(aiida_profile: object) -> Callable[..., Result]:
    """Return a function that runs `aiida-icsg3d` with arguments."""

    def invoke(*arguments: object, command: Any = cmd_root) -> Result:
        words = [str(argument) for argument in arguments]
        return CliRunner().invoke(command, words, obj=None)

    return invoke


def test_report(cli: Callable[..., Result], run: Discovery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiida_icsg3d.report.pictures.picture.DPI", 30)
    result = cli("report", run.workchain.pk, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "index.html").is_file()
    assert "sampled 8" in result.output
    assert "picture.png" in result.output


def test_report_of_something_else(cli: Callable[..., Result], run: Discovery, tmp_path: Path) -> None:
    result = cli("report", run.jobs["sample"].pk, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "give the PK or UUID of a DiscoverWorkChain" in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "out").exists()


def test_candidates_list(cli: Callable[..., Result], run: Discovery) -> None:
    result = cli("candidates", "list", run.workchain.pk)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    first = next(i for i, line in enumerate(lines) if "PbTiO3" in line)
    second = next(i for i, line in enumerate(lines) if "BaNbN3" in line)
    assert first < second
    assert "SrTiO3" not in result.output  # screened, not selected
    assert "SrTiO3" in cli("candidates", "list", run.workchain.pk, "-e", "Sr").output
    assert "SrTiO3" in cli("candidates", "list", "-f", "SrTiO3").output
    assert "no candidate fits" in cli("candidates", "list", run.workchain.pk, "-e", "U").output


def test_candidates_list_by_an_unknown_key(cli: Callable[..., Result], run: Discovery) -> None:
    result = cli("candidates", "list", run.workchain.pk, "-k", "colour")
    assert result.exit_code == 1
    assert "no candidate has 'colour'; there are " in result.output


def test_candidates_show(cli: Callable[..., Result], run: Discovery) -> None:
    result = cli("candidates", "show", run.workchain.pk, "s000002")
    assert run.crystals["s000002"].uuid in result.output
    assert "-1024.1" in result.output
    assert cli("candidates", "show", run.workchain.pk, "s9").exit_code == 1


def test_candidates_lineage(cli: Callable[..., Result], run: Discovery) -> None:
    result = cli("candidates", "lineage", run.relaxed["s000002"].uuid)
    assert result.exit_code == 0, result.output
    stages = [line.split()[0] for line in result.output.splitlines()[2:]]
    assert stages[0] == "dataset"
    assert stages[-1] == "relaxed"
    wrong = cli("candidates", "lineage", run.workchain.pk)
    assert wrong.exit_code != 0
    assert "Traceback" not in wrong.output


def test_candidates_failures_and_duplicates(cli: Callable[..., Result], run: Discovery) -> None:
    assert "PwCalculation ended with 410" in cli("candidates", "failures", run.workchain.pk).output
    assert "no duplicates among 2" in cli("candidates", "duplicates", run.workchain.pk).output
    twice = cli("candidates", "duplicates", run.workchain.pk, run.workchain.pk).output
    assert "no duplicates among 2" in twice  # a run named twice is looked at once


@pytest.mark.parametrize("what", ["bands", "phonons"])
def test_bands_and_phonons_of_what_was_not_relaxed(cli: Callable[..., Result], run: Discovery, what: str) -> None:
    refused = cli("candidates", what, run.workchain.pk, "s000005")
    assert refused.exit_code == 1
    assert "s000005: not relaxed; there are s000002" in refused.output


def test_status(cli: Callable[..., Result], run: Discovery) -> None:
    shown = cli("status", run.workchain.pk).output
    assert "finished" in shown
    assert "sampled 8 → rebuilt 4" in shown
    failed = process(
        "TrainAllWorkChain", False, node=orm.WorkChainNode(process_type="aiida.workflows:icsg3d.train_all")
    )
    inner = process("TrainWorkChain", False, failed)
    inner.set_process_state("excepted")
    inner.set_exception("Traceback\nValueError: the real reason")
    failed.set_process_state("finished")
    failed.set_exit_status(441)
    shown = cli("status", "--limit", 1).output
    assert f"{failed.pk}: TrainWorkChain<{inner.pk}> ended with an exception: ValueError: the real reason" in shown
    assert f"verdi process report {failed.pk}" in shown
    wrong = cli("status", run.crystals["s000002"].pk)
    assert wrong.exit_code != 0
    assert "Traceback" not in wrong.output


def test_models(cli: Callable[..., Result], run: Discovery, tmp_path: Path) -> None:
    assert run.models["vae"].sha256[:12] in cli("models", "list").output
    shown = cli("models", "show", run.models["vae"].pk).output
    assert "card.seed" in shown
    known = orm.QueryBuilder().append(type(run.models["vae"])).count()
    again = cli("models", "import", model_file(tmp_path / "copy.safetensors", "vae"))
    assert run.models["vae"].sha256[:12] in again.output
    assert orm.QueryBuilder().append(type(run.models["vae"])).count() == known  # the same content is the same node
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"PK\x03\x04 a torch archive")
    refused = cli("models", "import", bad)
    assert refused.exit_code == 1
    assert "pickle" in refused.output
    assert "Traceback" not in refused.output


def test_datasets(cli: Callable[..., Result], run: Discovery, tmp_path: Path) -> None:
    assert run.dataset is not None
    assert "made-up" in cli("data", "list").output
    shown = cli("data", "show", run.dataset.pk).output
    assert "Na S Cl Zn" in shown
    with run.dataset.as_path() as path:
        again = cli("import", path, "-l", "mine")
    assert run.dataset.content_hash[:12] in again.output
    assert "mine" in cli("data", "list").output
    no_dataset = tmp_path / "x.h5"
    no_dataset.write_text("nothing")
    assert "icsg3d prepare" in cli("data", "import", no_dataset).output


def test_verdi_data_is_the_same_tree(cli: Callable[..., Result], run: Discovery) -> None:
    from aiida.cmdline.commands.cmd_verdi import verdi

    assert run.dataset is not None
    mounted = partial(cli, "data", "icsg3d", command=verdi)
    assert "PbTiO3" in mounted("candidates", "list", run.workchain.pk).output
    # the names of the first release
    assert "cgcnn" in mounted("model", "list").output
    assert "prior" in mounted("model", "show", run.models["prior"].pk).output
    assert "made-up" in mounted("dataset", "list").output
    assert "Na S Cl Zn" in mounted("dataset", "show", run.dataset.pk).output
    assert "Na S Cl Zn" in cli("datasets", "show", run.dataset.pk).output


def commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the words of all commands of a group."""
    found = [path]
    context = click.Context(group)
    for name in group.list_commands(context) if isinstance(group, click.Group) else []:
        found += commands(group.get_command(context, name), (*path, name))
    return found


@pytest.mark.parametrize("words", commands(cmd_root), ids=" ".join)
def test_every_command_has_help(cli: Callable[..., Result], words: tuple[str, ...]) -> None:
    result = cli(*words, "--help")
    assert result.exit_code == 0
    text = result.output.split("Options:")[0].splitlines()[2:]
    assert any(line.strip() for line in text)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["gen"], ["generate"]),
        (["generate", "--prot"], ["--protocol"]),
        (["generate", "--protocol", ""], ["fast", "balanced", "stringent"]),
        (["generate", "--code", "complete-m"], ["complete-me@localhost"]),
        (["im"], ["import"]),
        (["data", "im"], ["import"]),
    ],
    ids=lambda value: " ".join(value),
)
def test_shell_completion(localhost: orm.Computer, words: list[str], expected: list[str]) -> None:
    label = {"label": "complete-me"}
    if not orm.QueryBuilder().append(orm.InstalledCode, filters=label).count():
        orm.InstalledCode(computer=localhost, filepath_executable="/bin/true", **label).store()
    completion = ShellComplete(cmd_root, {}, "aiida-icsg3d", "_AIIDA_ICSG3D_COMPLETE")
    assert [item.value for item in completion.get_completions(words[:-1], words[-1])] == expected


HEAVY = {"torch", "pymatgen", "plotly", "matplotlib", "scipy", "h5py", "aiida.orm", "aiida_pseudo"}


@pytest.mark.parametrize("words", [(), ("generate",), ("train",), ("candidates", "list")], ids=" ".join)
def test_help_imports_nothing_heavy(words: tuple[str, ...]) -> None:
    """What costs the time is told by name: a limit in seconds would fail on a busy machine."""
    script = (
        "import sys; from aiida_icsg3d.cli import cmd_root\n"
        f"try: cmd_root([*{words}, '--help'])\n"
        "except SystemExit: pass\n"
        f"print(*sorted({HEAVY} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_the_list_of_commands_imports_none() -> None:
    script = (
        "import sys; from aiida_icsg3d.cli import cmd_root\n"
        "try: cmd_root(['--help'])\n"
        "except SystemExit: pass\n"
        "print(*[name for name in sys.modules if name.startswith('aiida_icsg3d.cli.commands')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == ""


def test_no_command_imports_the_root() -> None:
    """They are registered from its table; an import back would be a circle."""
    for path in Path(cli_package.__file__).parent.rglob("*.py"):
        modules = [n.module for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
        assert path.name == "__init__.py" or not [name for name in modules if name and name.split(".")[-1] == "root"]


def test_a_campaign_that_is_gone_on_with_takes_limits_only(cli: Callable[..., Result], run: Discovery) -> None:
    """`--n-samples` was ignored without a word."""
    result = cli("campaign", "--continue", run.workchain.pk, "--rounds", 3, "--n-samples", 8, "--no-aim")
    assert result.exit_code == 1
    assert "--n-samples, --aim cannot be given with --continue" in " ".join(result.output.split())
    result = cli("campaign", "--continue", run.workchain.pk, "--rounds", 3)
    assert result.exit_code == 1
    assert "give the PK of a CampaignWorkChain" in " ".join(result.output.split())

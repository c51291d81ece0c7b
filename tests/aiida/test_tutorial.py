"""The tutorial, command after command as it is written, with the fake program in the place of hours of training.

The readers, the commands, the WorkChains and the report are real; networks and DFT are not. What is changed of a
command stands in :data:`CHANGED`. With real training and pw.x it takes an hour: `docs/tutorial.md` by hand.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from click.testing import CliRunner

from aiida_icsg3d.cli import cmd_root
from aiida_icsg3d.data import CrystalDatasetData
from aiida_icsg3d.setup import prepare_code
from icsg3d_models.crystals.elements import NUMBER
from tests.aiida.pseudo_families import make_family
from tests.aiida.test_examples import load

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"^    ((?:aiida-icsg3d|python) .*)$", re.MULTILINE)
NOT_HERE = ("aiida-icsg3d setup", "aiida-icsg3d doctor")
CHANGED = {
    "--n-relaxations 1": "--n-relaxations 0",  # no pw.x
    "--formula MgO --formula TiO2": "--formula MgO --dry-run",
    "--target tolerance_factor 1.0": "",  # the fake prior knows no condition
}
ELEMENTS = "Mg Pb Al Ti Si O"
PLANS = {"prepare": {"real": True}, "train": {"elements": [NUMBER[symbol] for symbol in ELEMENTS.split()]}}
"""What the fake program does of the stages: the dataset it makes as the real one does."""


@pytest.fixture
def tutorial(
    aiida_profile_clean: Any, fake_code: Callable[..., orm.InstalledCode], localhost: orm.Computer, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:  # fmt: skip
    """Return a folder to work in, in a profile that is set up."""
    prepare_code(localhost, "icsg3d", None, Path(fake_code(**PLANS).filepath_executable))
    prepare_code(localhost, "pw", "quantumespresso.pw", Path("/bin/true"))
    make_family(tmp_path, "SSSP/1.3/PBE/efficiency", ELEMENTS)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr("aiida_icsg3d.report.pictures.picture.DPI", 30)
    return folder


def test_every_command_in_its_order(tutorial: Path) -> None:
    written = COMMAND.findall((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    pk, said = "", {}
    for command in written:
        if command.startswith(NOT_HERE):
            continue
        for before, after in CHANGED.items():
            command = command.replace(before, after)
        words = shlex.split(re.sub(r"\bPK\b", pk, command))
        if "UUID" in words:
            words[words.index("UUID")] = newest(orm.StructureData, made_by="RebuildCalculation").uuid
        program: Any = load(Path(words[1]).stem).main if words[0] == "python" else cmd_root
        result = CliRunner().invoke(program, words[2:] if words[0] == "python" else words[1:])
        assert result.exit_code == 0, f"{command}\n{result.output}"
        said[command] = result.output
        if re.match(r"aiida-icsg3d (train|generate)", command) and "--dry-run" not in command:
            pk = str(newest(orm.WorkChainNode).pk)
    shown = "\n".join(said.values())
    assert "140 crystals in mine" in shown
    assert "read 140, used 140, rejected 0" in shown
    assert "train the vae" in shown
    assert "energies: quantum_espresso, spin auto, metal occupations" in shown  # of the references
    assert newest(CrystalDatasetData) is not None
    assert (tutorial / "results" / pk / "index.html").is_file()
    lineage = next(text for command, text in said.items() if "lineage" in command)
    assert "dataset" in lineage
    assert "RebuildCalculation" in lineage


def newest(kind: Any, made_by: str | None = None) -> Any:
    """Return the newest node of a kind: what a process made, or what no other process called."""
    found = orm.QueryBuilder().append(kind, tag="node").order_by({"node": {"id": "desc"}}).all(flat=True)
    if made_by is not None:
        return next(node for node in found if node.creator is not None and node.creator.process_label == made_by)
    return next(node for node in found if isinstance(node, orm.Data) or node.caller is None)

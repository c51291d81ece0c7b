"""What the examples read from the command line, without running anything."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_perovskites", EXAMPLES / "generate_perovskites.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_base_crystals_are_read_from_files(example: ModuleType, tmp_path: Path) -> None:
    crystal = Structure(Lattice.hexagonal(2.46, 6.7), ["C"] * 2, [[0, 0, 0.25], [1 / 3, 2 / 3, 0.25]])
    path = tmp_path / "my--graphite (1).cif"
    crystal.to(str(path))
    base = example.read_base([path])
    assert list(base) == ["base_1_my_graphite_1"]
    structure = base["base_1_my_graphite_1"]
    assert structure.label == "my--graphite (1)"
    assert np.allclose(structure.cell_lengths, [2.46, 2.46, 6.7])
    (tmp_path / "empty.cif").write_text("")
    with pytest.raises(ValueError, match=r"empty.cif: no crystal can be read from it"):
        example.read_base([tmp_path / "empty.cif"])
    with pytest.raises(ValueError, match=r"nowhere.cif: no such file"):
        example.read_base([tmp_path / "nowhere.cif"])


def test_elements_that_somebody_lacks_are_left_out(example: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    known = {"the model": {"Pb", "O", "C"}, "the family": {"O", "C"}}
    assert example.choose_elements(["O", "Pb", "O"], known) == ["O"]
    assert "Pb left out: the family lacks it" in capsys.readouterr().out
    with pytest.raises(ValueError, match="none of the elements Pb can be used"):
        example.choose_elements(["Pb"], known)


def test_help_shows_only_defaults_that_there_are(
    example: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["generate_perovskites.py", "--help"])
    with pytest.raises(SystemExit):
        example.parse_arguments()
    shown = capsys.readouterr().out
    assert "default: None" not in shown
    assert "(default: 64)" in shown

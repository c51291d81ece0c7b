"""The labels of the AFLOW benchmark: what a path says, what it does not, and that nothing else of a file changes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from icsg3d_models.data.datasets import read_dataset
from icsg3d_models.data.prepare import run as prepare
from icsg3d_models.results import Report
from icsg3d_models.settings import PrepareSettings

FILE = Path(__file__).parents[2] / "benchmarks" / "quality" / "aflow_labels.py"


@pytest.fixture(scope="module")
def labels() -> ModuleType:
    spec = importlib.util.spec_from_file_location("aflow_labels", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("path", "symbols", "expected"),
    [
        ("aflowlib:AFLOWDATA/LIB3_RAW/AgAlO/T0009.ABC:LDAU2", {"Ag", "Al", "O"}, ("dft_u", "path")),
        ("aflowlib:AFLOWDATA/LIB3_RAW/AlBO/T0009.ABC", {"Al", "B", "O"}, ("dft", "path")),
        ("aflowlib:AFLOWDATA/LIB3_RAW/Ba_svOTi_sv/AB3C_cP5_221_a_c_b.ABC", {"Ba", "Ti", "O"}, ("dft", "path")),
        ("aflowlib:AFLOWDATA/ICSD_WEB/CUB/Ba1O3Ti1_ICSD_1", {"Ba", "Ti", "O"}, ("dft_u", "elements")),
        ("aflowlib:AFLOWDATA/ICSD_WEB/CUB/Ba1O3Zr1_ICSD_1", {"Ba", "Zr", "O"}, ("dft", "elements")),
    ],
)
def test_scheme(labels: ModuleType, path: str, symbols: set[str], expected: tuple[str, str]) -> None:
    assert labels.scheme(path, symbols) == expected


FRAME = """2
Lattice="{a} 0 0 0 {a} 0 0 0 {a}" Properties=species:S:1:pos:R:3 enthalpy_atom={h} source=x:AFLOWDATA/{path} pbc="T T T"
{metal} 0 0 0
O 2 2 2
"""


def test_a_file_becomes_two_properties(labels: ModuleType, tmp_path: Path) -> None:
    frames = [(4.0, -5.5, "LIB3_RAW/T:LDAU2", "Ti"), (4.2, -6.5, "LIB3_RAW/T", "Ba"), (4.4, -7.5, "LIB3_RAW/T", "Ti"),
              (4.6, -8.5, "ICSD_WEB/T_ICSD_1", "Fe")]  # fmt: skip
    source, target = tmp_path / "a.extxyz", tmp_path / "b.extxyz"
    source.write_text("".join(FRAME.format(a=a, h=h, path=path, metal=metal) for a, h, path, metal in frames))
    counts = labels.label(source, target)
    assert counts == {"dft_u, by path": 1, "dft, by path": 2, "dft_u, by elements": 1, "path against elements": 1}
    properties = {"enthalpy": "enthalpy_dft", "enthalpy_u": "enthalpy_dft_u"}
    prepare(PrepareSettings(source=str(target), properties=properties), Report("prepare", tmp_path, quiet=True))
    dataset = read_dataset(tmp_path / "dataset.h5")
    assert dataset.values("enthalpy").tolist() == pytest.approx([float("nan"), -6.5, -7.5, float("nan")], nan_ok=True)
    assert dataset.values("enthalpy_u").tolist() == pytest.approx([-5.5, float("nan"), float("nan"), -8.5], nan_ok=True)
    assert dataset.crystals.cell[:, 0, 0].tolist() == [a for a, *_ in frames]


def test_a_frame_without_a_source_is_refused(labels: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "a.extxyz").write_text("1\nenthalpy_atom=-1\nO 0 0 0\n")
    with pytest.raises(SystemExit, match="line 2 has no source"):
        labels.label(tmp_path / "a.extxyz", tmp_path / "b.extxyz")

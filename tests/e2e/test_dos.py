"""The real pw.x, dos.x and projwfc.x: densities of states of silicon with the settings of its relaxation."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from aiida import orm
from aiida.engine import run_get_node

from aiida_icsg3d.campaigns.properties.dos import densities_of
from aiida_icsg3d.dft.quantum_espresso.pw_dos import dos_builder
from aiida_icsg3d.report.charts.densities import draw_densities
from aiida_icsg3d.setup import prepare_code
from tests.e2e.test_bands import relaxed_silicon
from tests.e2e.test_pw import pw_code

__all__ = ("pw_code",)


@pytest.mark.e2e
def test_densities_of_silicon(pw_code: orm.InstalledCode) -> None:
    codes = []
    for name in ("dos", "projwfc"):
        executable = shutil.which(f"{name}.x")
        assert executable is not None, f"{name}.x is not on the PATH; tests/run.sh installs it with pw.x"
        codes.append(prepare_code(pw_code.computer, name, f"quantumespresso.{name}", Path(executable)))
    relaxed = relaxed_silicon(pw_code)
    assert densities_of(relaxed) is None
    _, node = run_get_node(dos_builder(relaxed, *codes))
    assert node.is_finished_ok, node.exit_message
    assert node.inputs.nscf.pw.parameters["SYSTEM"]["occupations"] == "tetrahedra"
    used = relaxed.creator.inputs.parameters["SYSTEM"]
    assert node.inputs.scf.pw.parameters["SYSTEM"] == used

    found = densities_of(relaxed)
    assert found is not None
    occupied = found.energy < 0.3
    electrons = np.trapezoid(found.total[0][occupied], found.energy[occupied])
    assert electrons == pytest.approx(8.0, abs=0.1)  # of two atoms
    assert found.at_fermi < 0.05
    assert set(found.by_element) == {"Si"}
    # the projection holds nearly all of what is occupied
    assert np.trapezoid(found.by_element["Si"][0][occupied], found.energy[occupied]) > 0.9 * electrons
    assert {trace.name for trace in draw_densities(found).data} == {"total", "Si"}

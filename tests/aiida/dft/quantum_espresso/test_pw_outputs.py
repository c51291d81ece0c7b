"""Figures of pw.x beside the energy: gap, pressure, force, magnetisation; Hubbard terms that were not read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiida import orm

from aiida_icsg3d.dft.quantum_espresso.pw_outputs import figures, gap, ignored_hubbard, residuals
from tests.aiida.dft.crystals import rock_salt, with_u

pytestmark = pytest.mark.usefixtures("aiida_profile")


def bands(*energies: list[list[float]]) -> orm.BandsData:
    """Return bands, (k, band) for each spin."""
    node = orm.BandsData()
    node.set_kpoints(np.zeros((len(energies[0]), 3)))
    node.set_bands(np.array(energies if len(energies) > 1 else energies[0]), units="eV")
    return node


@pytest.mark.parametrize(
    ("energies", "fermi", "found"),
    [
        (([[-5, 1, 4], [-4, 2, 5]],), [3.0, 3.0], {"band_gap_eV": 2.0}),
        (([[-5, 1, 4], [-4, 3.5, 5]],), [3.0, 3.0], {"band_gap_eV": None}),  # the second band crosses
        (([[-5, 1, 4], [-4, 2, 5]], [[-5, 3.5, 6], [-4, 3.6, 7]]), [3.0, 3.0], {"band_gap_eV": 1.5}),
        (([[-5, 1, 4], [-4, 2, 5]],), [], {}),
        (([[-5, 1], [-4, 2]],), [3.0, 3.0], {}),  # no empty band was computed
    ],
)
def test_gap(energies: Any, fermi: list[float], found: dict[str, Any]) -> None:
    assert gap(bands(*energies), fermi) == found


def trajectory() -> orm.TrajectoryData:
    """Return two steps, the last with a pressure of 2 GPa and a force of 0.5 eV/Å."""
    node = orm.TrajectoryData()
    node.set_trajectory(["Mg", "O"], np.zeros((2, 2, 3)))
    node.set_array("stress", np.array([np.eye(3) * 9, np.diag([1.0, 2.0, 3.0])]))
    node.set_array("forces", np.array([np.ones((2, 3)), [[0.3, 0.4, 0], [0, 0, -0.1]]]))
    return node


def test_pressure_and_force_of_the_last_step() -> None:
    assert residuals(trajectory()) == {
        "pressure_GPa": pytest.approx(2.0),
        "max_force_eV_per_angstrom": pytest.approx(0.5),
    }


def test_figures() -> None:
    parameters = orm.Dict({
        "creator_version": "6.7", "number_of_spin_components": 2, "total_magnetization": 2.0,
        "absolute_magnetization": 2.2, "fermi_energy": 3.0,
    })  # fmt: skip
    outputs = {
        "output_parameters": parameters, "output_trajectory": trajectory(),
        "output_band": bands([[-5, 1, 4], [-4, 2, 5]], [[-5, 3.5, 6], [-4, 3.6, 7]]),
    }  # fmt: skip
    assert figures(outputs) == {
        "total_magnetization": 2.0, "absolute_magnetization": 2.2, "program_version": "pw.x 6.7",
        "pressure_GPa": pytest.approx(2.0), "max_force_eV_per_angstrom": pytest.approx(0.5), "band_gap_eV": 1.5,
    }  # fmt: skip
    assert figures({"output_parameters": orm.Dict({"total_magnetization": 0.0})}) == {}


def test_hubbard_terms_that_an_old_program_skips() -> None:
    node: Any = SimpleNamespace(inputs=SimpleNamespace(structure=with_u(rock_salt("Fe"), "Fe")))
    said = {"creator_version": "6.7", "lda_plus_u_calculation": False}
    reason = ignored_hubbard(node, {"output_parameters": orm.Dict(said)})
    assert reason is not None
    assert "pw.x 6.7 ignored the Hubbard terms" in reason
    assert ignored_hubbard(node, {"output_parameters": orm.Dict({"lda_plus_u_calculation": True})}) is None
    node.inputs.structure = rock_salt("Fe")
    assert ignored_hubbard(node, {"output_parameters": orm.Dict(said)}) is None

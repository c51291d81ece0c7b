"""Modes against a Hessian made by hand, and the way down from a saddle, with ASE's effective medium theory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk
from ase.calculators.emt import EMT

from icsg3d_models.relaxation.modes import pushed
from icsg3d_models.relaxation.one_crystal import relax_one
from icsg3d_models.relaxation.optimise import Late
from icsg3d_models.relaxation.phonons import lowest_mode
from icsg3d_models.relaxation.potentials import Loaded, load
from icsg3d_models.settings import RelaxSettings
from icsg3d_models.settings.relax import PhononSettings, Potential
from tests.models.relaxation.test_relax import EMT_NAME, copper, run, write


@pytest.fixture(scope="module")
def emt() -> Loaded:
    return load(Potential(name=EMT_NAME), torch.device("cpu"))


def by_hand(atoms: Atoms) -> np.ndarray:
    """Return the frequencies in THz of a cell by central differences, ascending, imaginary ones negative."""
    step, rows = 1e-3, []
    for site in range(len(atoms)):
        for axis in range(3):
            forces = []
            for sign in (1, -1):
                moved = atoms.copy()
                moved.positions[site, axis] += sign * step
                moved.calc = EMT()
                forces.append(moved.get_forces().ravel())
            rows.append((forces[1] - forces[0]) / (2 * step))
    mass = np.repeat(atoms.get_masses(), 3)
    values = np.linalg.eigvalsh(np.array(rows) / np.sqrt(np.outer(mass, mass)))
    # eV / (Å² u) to THz
    return np.sign(values) * np.sqrt(np.abs(values)) / (2 * np.pi) * units.second * 1e-12


@pytest.mark.parametrize("crystal", ["Cu", "CuAu"])
def test_modes_of_a_cell_are_those_of_its_hessian(crystal: str, emt: Loaded) -> None:
    atoms = bulk("Cu", "fcc", a=3.59, cubic=True)
    if crystal == "CuAu":
        atoms = bulk("Cu", "fcc", a=3.87, cubic=True)
        atoms.numbers[:2] = 79
    mode = lowest_mode(atoms, emt, PhononSettings(displacement=0.005), (1, 1, 1), None)
    without = by_hand(atoms)
    optical = without[np.argsort(np.abs(without))[3:]]  # three translations are zero
    assert mode.frequency == pytest.approx(optical.min(), rel=0.01)
    assert mode.frequency > 2


def test_a_supercell_holds_the_modes_of_its_cells(emt: Loaded) -> None:
    """The four-atom cubic cell of copper and 2 x 2 x 2 of its primitive cell both hold the point X."""
    primitive = lowest_mode(bulk("Cu", "fcc", a=3.59), emt, PhononSettings(), (2, 2, 2), None)
    whole = bulk("Cu", "fcc", a=3.59).repeat((2, 2, 2))
    assert primitive.frequency == pytest.approx(by_hand(whole)[3], rel=0.02)


def test_a_saddle_has_an_imaginary_mode_and_a_way_down(emt: Loaded) -> None:
    """Copper on a simple cubic lattice: unstable at the edge of its zone, and the push lowers the energy."""
    atoms = bulk("Cu", "sc", a=2.39)
    mode = lowest_mode(atoms, emt, PhononSettings(), (2, 2, 2), None)
    assert mode.frequency == pytest.approx(by_hand(atoms.repeat((2, 2, 2)))[0], rel=0.02)
    assert mode.frequency < -2
    moved = pushed(atoms, mode)
    assert len(moved) == np.prod(mode.repeats()) > 1
    start = atoms.repeat(mode.repeats())
    assert np.linalg.norm(moved.positions - start.positions, axis=1).max() == pytest.approx(0.15)
    moved.calc, start.calc = EMT(), EMT()
    assert moved.get_potential_energy() < start.get_potential_energy() - 0.01


def test_one_atom_has_no_mode_but_translations(emt: Loaded) -> None:
    assert np.isnan(lowest_mode(bulk("Cu", "fcc", a=3.59), emt, PhononSettings(), (1, 1, 1), None).frequency)


def settings(**phonons: object) -> RelaxSettings:
    values = {"potential": {"name": EMT_NAME}, "hull": False, "optimiser": "LBFGS", "phonons": phonons}
    return RelaxSettings.model_validate(values)


def test_a_mode_is_followed_once_to_a_minimum(emt: Loaded) -> None:
    saddle = bulk("Cu", "sc", a=2.39)
    stays = relax_one(saddle, emt, None, settings(mode="supercell", follow=False), None)["row"]
    assert stays["dynamically_stable"] is False
    assert stays["lowest_frequency"] < -2
    assert "imaginary mode of" in stays["reason"]
    entry = relax_one(saddle, emt, None, settings(mode="supercell"), None)
    row = entry["row"]
    assert row["followed"] is True
    assert "meV/atom lower" in row["reason"]
    assert row["energy_per_atom"] < stays["energy_per_atom"] - 0.1
    assert row["n_sites"] == len(entry["numbers"]) > 1
    assert row["energy"] == pytest.approx(row["energy_per_atom"] * row["n_sites"])
    assert row["spacegroup_before"] == 221
    assert row["spacegroup_after"] != 221


def test_the_stage_says_what_is_stable(tmp_path: Path) -> None:
    write(tmp_path, fcc=copper())
    rows, report = run(tmp_path, phonons={"mode": "gamma"})
    assert rows["fcc"]["dynamically_stable"] is True
    assert rows["fcc"]["lowest_frequency"] > 2
    assert rows["fcc"]["followed"] is None
    assert report.counts["dynamically_stable"] == 1


def test_the_deadline_between_two_displacements(emt: Loaded) -> None:
    with pytest.raises(Late):
        lowest_mode(bulk("Cu", "sc", a=2.39), emt, PhononSettings(), (2, 2, 2), 0.0)


def test_symmetry_bars_the_way_down() -> None:
    with pytest.raises(ValueError, match="bars the way down"):
        RelaxSettings.model_validate({"keep_symmetry": True, "phonons": {"mode": "gamma"}})
    RelaxSettings.model_validate({"keep_symmetry": True, "phonons": {"mode": "gamma", "follow": False}})

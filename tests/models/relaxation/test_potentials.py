"""The potentials that come with their weights, beside what they gave when the page on potentials was written."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.relaxation.changes import structure_of
from icsg3d_models.relaxation.optimise import RELAXED, UNKNOWN_ELEMENT, atoms_of, optimise
from icsg3d_models.relaxation.potentials import load
from icsg3d_models.settings import RelaxSettings
from icsg3d_models.settings.relax import Potential
from icsg3d_models.stability.formation import stability_of
from icsg3d_models.stability.hull import Hulls

PEROVSKITE = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])


@pytest.mark.parametrize(("name", "length"), [("7net-0", 3.944), ("chgnet", 3.944)])
def test_strontium_titanate(name: str, length: float) -> None:
    """Lattice constant (PBE: 3.945 Å), formation energy (Materials Project: -3.552 eV/atom), unknown elements."""
    potential = load(Potential(name=name), torch.device("cpu"))
    settings = RelaxSettings(potential=Potential(name=name), optimiser="LBFGS")
    cell = 4.0 * np.eye(3)
    numbers = [np.array([z, 22, 8, 8, 8]) for z in (38, 84)]
    crystals = Crystals.from_arrays([cell, cell], [PEROVSKITE, PEROVSKITE], numbers, ["known", "unknown"])
    outcome = optimise(atoms_of(crystals, 0), potential, settings)
    assert outcome.status == RELAXED
    assert outcome.atoms is not None
    assert outcome.atoms.cell.lengths() == pytest.approx([length] * 3, abs=0.003)
    found = stability_of(structure_of(outcome.atoms), outcome.energy, potential.scale, Hulls())
    assert found.formation_energy_per_atom == pytest.approx(-3.552, abs=0.03)
    assert abs(found.e_above_hull) < 0.03
    unknown = optimise(atoms_of(crystals, 1), potential, settings)
    assert unknown.status == UNKNOWN_ELEMENT
    assert unknown.reason == f"{name} was not made for Po"

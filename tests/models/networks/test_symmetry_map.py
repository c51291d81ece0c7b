"""What a prior is shown of the operations of a space group: fixed points where they are, the same from every image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from icsg3d_models.crystals.operations import Operations, operations_of, setting_in
from icsg3d_models.networks.layers.symmetry_map import SymmetryMap, displacements, fixedness

ROCK_SALT = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
NOTHING = (np.eye(3)[None], np.zeros((1, 3)))


def of_rock_salt() -> tuple[Operations, torch.Tensor]:
    """Return the operations of rock salt in its primitive cell, and the cell."""
    primitive = ROCK_SALT.get_primitive_structure().get_reduced_structure()
    cell, numbers = np.array(primitive.lattice.matrix), np.array(primitive.atomic_numbers)
    setting = setting_in(cell, primitive.frac_coords, numbers)
    own = Operations.together([operations_of(setting, primitive.frac_coords[0])])
    return own, torch.tensor(cell[None]).float()


def test_all_operations_fix_the_sites_of_rock_salt_and_few_a_general_point() -> None:
    operations, cell = of_rock_salt()
    points = torch.tensor([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25], [0.11, 0.23, 0.41]])
    sodium, chlorine, hole, general = fixedness(operations, cell, points)[0].tolist()
    assert sodium == pytest.approx(1.0, abs=1e-3)
    assert chlorine == pytest.approx(1.0, abs=1e-3)
    assert hole == pytest.approx(np.log(24) / np.log(48), abs=0.01)  # a tetrahedron around it
    assert 0 < general < 0.7  # 0.1 Å beside planes, in a small cell


def test_displacements_are_short_across_the_faces_of_the_cell() -> None:
    inversion = Operations.together([(np.stack([np.eye(3), -np.eye(3)]), np.zeros((2, 3)))])
    cell = torch.diag(torch.tensor([4.0, 5.0, 6.0]))[None]
    _, length = displacements(inversion, cell, torch.tensor([[0.02, 0.0, 0.0], [0.48, 0.5, 0.0]]))
    assert torch.allclose(length[0], torch.tensor([[0.0, 0.16], [0.0, 0.16]]), atol=1e-3)  # 0.48 to -0.48: 0.04 across


def test_the_map_moves_with_the_origin() -> None:
    """Moved by whole blocks, operations show the same as before, as many blocks away."""
    torch.manual_seed(0)
    shown = SymmetryMap(6)
    operations, cell = of_rock_salt()
    blocks = (4, 4, 4)
    moved = operations.about(torch.tensor([[0.25, 0.5, 0.0]]), torch.ones(1, 1))
    here, there = (shown(each, cell, blocks) for each in (operations, moved))
    assert torch.allclose(here.roll((-1, -2, 0), dims=(2, 3, 4)), there, atol=1e-4)
    assert here.std() > 0.01


def test_it_depends_on_no_order_of_operations_nor_on_those_beside_it() -> None:
    torch.manual_seed(0)
    shown = SymmetryMap(6)
    operations, cell = of_rock_salt()
    backwards = Operations(operations.rotations.flip(1), operations.translations.flip(1), operations.share.flip(1))
    alone = shown(operations, cell, (3, 3, 4))
    assert torch.allclose(alone, shown(backwards, cell, (3, 3, 4)), atol=1e-5)
    both = Operations.together([NOTHING, operations.of(0)])
    cells = torch.cat([cell, cell])
    assert torch.allclose(shown(both, cells, (3, 3, 4))[1], alone[0], atol=1e-5)

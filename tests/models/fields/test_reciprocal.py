"""Descriptors in reciprocal space: values known in closed form, and what they must not depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from icsg3d_models.crystals.elements import MAX_Z, code_table
from icsg3d_models.fields.reciprocal import amplitudes, cartesian_grid, reach, spherical_grid

SIZE, LENGTH, SIGMA = 16, 8.0, 0.1
CODES = torch.tensor(code_table(), dtype=torch.float64)
BUILDERS = {"cartesian": cartesian_grid, "spherical": spherical_grid}


def one_hot() -> torch.Tensor:
    return torch.eye(MAX_Z + 1, dtype=torch.float64)[:, [8, 17, 22, 82]]  # O, Cl, Ti, Pb


def grid_of(
    structure: Structure, grid: str = "cartesian", table: torch.Tensor = CODES, size: int = SIZE, length: float = LENGTH
) -> torch.Tensor:
    """Return the descriptor (C, N, N, N) of a structure in float64."""
    cell = torch.tensor(structure.lattice.matrix.copy())[None]
    frac = torch.tensor(structure.frac_coords)[None]
    weights = table[[site.specie.Z for site in structure]][None]
    return BUILDERS[grid](amplitudes(cell, frac, weights, reach(size, length), SIGMA), size, length)[0]


def triclinic() -> Structure:
    rng = np.random.default_rng(0)
    lattice = Lattice.from_parameters(4.1, 5.2, 6.3, 75, 98, 112)
    return Structure(lattice, ["Ti", "O", "Pb", "Cl"], rng.random((4, 3)))


def perovskite(a: str = "Pb", b: str = "Ti") -> Structure:
    sites = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return Structure(Lattice.cubic(4), [a, b, "O", "O", "O"], sites)


def other_descriptions(crystal: Structure) -> dict[str, Structure]:
    sheared = np.array([[1, 0, 0], [3, 1, 0], [-1, 2, 1]])
    return {
        "supercell": crystal.copy().make_supercell([2, 1, 3], in_place=False),
        "sheared": crystal.copy().make_supercell(sheared, in_place=False),
        "translated": Structure(crystal.lattice, crystal.species, np.add(crystal.frac_coords, [0.13, 0.57, 0.91])),
        "permuted": Structure.from_sites(list(reversed(list(crystal)))),
        "inverted": Structure(crystal.lattice, crystal.species, -crystal.frac_coords),
    }


@pytest.mark.parametrize("grid", list(BUILDERS))
@pytest.mark.parametrize("table", [CODES, one_hot()], ids=["codes", "elements"])
@pytest.mark.parametrize("crystal", [triclinic(), perovskite()], ids=["triclinic", "cubic"])
def test_one_crystal_has_one_descriptor(grid: str, table: torch.Tensor, crystal: Structure) -> None:
    expected = grid_of(crystal, grid, table)
    assert expected.abs().max() > 1e-3
    for name, other in other_descriptions(crystal).items():
        torch.testing.assert_close(grid_of(other, grid, table), expected, atol=1e-12, rtol=0, msg=name)


@pytest.mark.parametrize("grid", list(BUILDERS))
def test_primitive_and_conventional_cell_agree(grid: str) -> None:
    conventional = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.6), ["Ti", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    # by hand, as pymatgen turns a primitive cell
    primitive = Structure(
        Lattice([[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]]), ["Ti", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    torch.testing.assert_close(grid_of(primitive, grid), grid_of(conventional, grid), atol=1e-12, rtol=0)


def test_simple_cubic_amplitudes_in_closed_form() -> None:
    a, size = 2.0, 15
    length = 3 * a  # every third voxel, from the middle one, holds one reciprocal vector in its centre
    lattice = Structure(Lattice.cubic(a), ["Ti"], [[0.3, 0.1, 0.7]])
    found = grid_of(lattice, table=one_hot(), size=size, length=length)[2].numpy()
    m = np.arange(size) - size // 2
    square = (2 * math.pi / length) ** 2 * sum(k**2 for k in np.meshgrid(m, m, m, indexing="ij"))
    on_lattice = np.all(np.stack(np.meshgrid(m % 3, m % 3, m % 3, indexing="ij")) == 0, axis=0)
    np.testing.assert_allclose(found, np.where(on_lattice, np.exp(-0.5 * SIGMA**2 * square) / a**3, 0), atol=1e-12)


def test_body_centred_extinctions() -> None:
    # equal atoms at corner and centre: odd h + k + l vanish, even ones double
    a, size = 3.0, 9
    lattice = Structure(Lattice.cubic(a), ["Ti", "Ti"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    found = grid_of(lattice, table=one_hot(), size=size, length=a)[2].numpy()
    m = np.arange(size) - size // 2
    parity = sum(np.meshgrid(m, m, m, indexing="ij")) % 2
    assert np.abs(found[parity == 1]).max() < 1e-12
    assert found[4, 4, 4] == pytest.approx(2 / a**3)
    assert found[5, 5, 4] == pytest.approx(2 / a**3 * math.exp(-0.5 * SIGMA**2 * 2 * (2 * math.pi / a) ** 2))


@pytest.mark.parametrize("grid", list(BUILDERS))
def test_nothing_is_lost_between_the_voxels(grid: str) -> None:
    """The sum over the grid is that of the amplitudes well inside it, counted one by one."""
    crystal = Structure(Lattice.cubic(3.9), ["Ti", "O"], [[0, 0, 0], [0.4, 0.2, 0.1]])
    total = grid_of(crystal, grid, one_hot(), length=14.0).sum(dim=(1, 2, 3))
    m = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3, indexing="ij"), -1).reshape(-1, 3)
    g = 2 * math.pi / 3.9 * m
    centre = 2 * math.pi / 14.0 * (SIZE - 1) / 2
    if grid == "cartesian":
        shares = np.clip(1 - (np.abs(g) - centre) / (2 * math.pi / 14.0), 0, 1).prod(axis=1)
    else:
        outermost = math.pi / 14.0 * (SIZE - 0.5)
        shares = np.clip(1 - (np.linalg.norm(g, axis=1) - outermost) / (math.pi / 14.0), 0, 1)
    expected = (shares * np.exp(-0.5 * SIGMA**2 * (g**2).sum(1))).sum() / 3.9**3
    np.testing.assert_allclose(total[[0, 2]].numpy(), expected, rtol=1e-9)


def test_turning_the_crystal_turns_the_grid() -> None:
    crystal = triclinic()
    quarter = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])  # x -> y, y -> -x
    turned = Structure(Lattice(crystal.lattice.matrix @ quarter), crystal.species, crystal.frac_coords)
    expected = torch.rot90(grid_of(crystal), dims=(1, 2))
    torch.testing.assert_close(grid_of(turned), expected, atol=1e-12, rtol=0)
    around = grid_of(crystal, "spherical").roll(SIZE // 4, dims=3)
    torch.testing.assert_close(grid_of(turned, "spherical"), around, atol=1e-12, rtol=0)


def test_turned_amplitudes_are_those_of_the_turned_crystal() -> None:
    crystal = triclinic()
    rotation = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))[0]
    turned = Structure(Lattice(crystal.lattice.matrix @ rotation.numpy()), crystal.species, crystal.frac_coords)
    cell, frac = torch.tensor(crystal.lattice.matrix.copy())[None], torch.tensor(crystal.frac_coords)[None]
    weights = CODES[[site.specie.Z for site in crystal]][None]
    found = amplitudes(cell, frac, weights, reach(SIZE, LENGTH), SIGMA).turned(rotation)
    torch.testing.assert_close(cartesian_grid(found, SIZE, LENGTH)[0], grid_of(turned), atol=1e-12, rtol=0)


@pytest.mark.parametrize("grid", list(BUILDERS))
def test_opposite_points_are_equal(grid: str) -> None:
    found = grid_of(triclinic(), grid)
    opposite = found.flip(1, 2, 3) if grid == "cartesian" else found.flip(2).roll(SIZE // 2, dims=3)
    torch.testing.assert_close(opposite, found, atol=1e-12, rtol=0)


def test_a_small_strain_changes_little() -> None:
    # counted in one voxel each, vectors of the cubic crystal would jump from voxel to voxel
    one = grid_of(perovskite())
    two = grid_of(Structure(Lattice.cubic(4 * (1 + 1e-9)), perovskite().species, perovskite().frac_coords))
    assert (one - two).abs().max() < 1e-8


def test_element_channels_do_not_see_which_site_is_which_but_codes_do() -> None:
    one, other = perovskite("Pb", "Ti"), perovskite("Ti", "Pb")
    torch.testing.assert_close(grid_of(one, table=one_hot()), grid_of(other, table=one_hot()), atol=1e-12, rtol=0)
    assert (grid_of(one) - grid_of(other)).abs().max() > 1e-3


def test_padding_sites_and_other_crystals_of_a_batch_change_nothing() -> None:
    crystals = [triclinic(), perovskite()]
    cell = torch.tensor(np.stack([c.lattice.matrix for c in crystals]))
    frac = torch.zeros(2, 6, 3, dtype=torch.float64)
    weights = torch.zeros(2, 6, CODES.shape[1], dtype=torch.float64)
    for index, crystal in enumerate(crystals):
        frac[index, : len(crystal)] = torch.tensor(crystal.frac_coords)
        weights[index, : len(crystal)] = CODES[[site.specie.Z for site in crystal]]
    for grid, build in BUILDERS.items():
        together = build(amplitudes(cell, frac, weights, reach(SIZE, LENGTH), SIGMA), SIZE, LENGTH)
        for index, crystal in enumerate(crystals):
            torch.testing.assert_close(together[index], grid_of(crystal, grid), atol=1e-12, rtol=0)


def test_a_spherical_grid_needs_opposite_points() -> None:
    with pytest.raises(ValueError, match="even"):
        grid_of(triclinic(), "spherical", size=15)

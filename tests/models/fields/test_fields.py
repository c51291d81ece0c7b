"""Fields against analytic truths and a direct sum over images."""

import numpy as np
import pytest
import torch

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.elements import MAX_Z, NUMBER, SYMBOLS, code_table, position
from icsg3d_models.fields.batches import CrystalBatch, to_batch
from icsg3d_models.fields.density import gaussian_density, grid_for, peak_height, truncation
from icsg3d_models.fields.occupancy import occupancy_field, species_field
from icsg3d_models.fields.series import products_pay, series_by_fft, series_by_products, signed_frequencies

SHEARED = torch.tensor([[4.0, 0.0, 0.0], [1.5, 3.9, 0.0], [-0.8, 1.1, 4.2]])
SITES = torch.tensor([[0.02, 0.5, 0.97], [0.4, 0.1, 0.3]])


def direct_sum(cell: np.ndarray, frac: np.ndarray, weights: np.ndarray, n: int, sigma: float) -> np.ndarray:
    """Add up Gaussians over 7x7x7 images, the slow and obvious way."""
    axis = np.arange(n) / n
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1).reshape(-1, 3)
    shifts = np.stack(np.meshgrid(*[np.arange(-3, 4)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    total = np.zeros(len(points))
    for site, weight in zip(frac, weights, strict=True):
        d = (points[:, None] - site - shifts[None]) @ cell
        total += weight * np.exp(-(d**2).sum(-1) / (2 * sigma**2)).sum(axis=1)
    return (total * (2 * np.pi * sigma**2) ** -1.5).reshape(n, n, n)


@pytest.mark.parametrize("cell", [4 * torch.eye(3), SHEARED])
def test_density_is_the_sum_over_images(cell: torch.Tensor) -> None:
    weights = torch.tensor([[2.0], [5.0]])
    density = gaussian_density(cell[None], SITES[None], weights[None], (16, 16, 16), 0.45)[0, 0]
    expected = direct_sum(cell.numpy(), SITES.numpy(), weights[:, 0].numpy(), 16, 0.45)
    # The grid resolves sigma so well here that only float32 rounding is left.
    assert np.abs(density.numpy() - expected).max() < 2e-5 * expected.max()


@pytest.mark.parametrize("grid", [(10, 12, 8), (9, 16, 7)])
def test_products_of_waves_are_the_fourier_transform(grid: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    limits = (3, 4, 2)
    few = torch.randn(2, 7, 9, 3, 3, dtype=torch.complex64)
    # The transform takes a term and its mirror image to be conjugate; in the plane of m = 0 both are given.
    few[..., 0] = (few[..., 0] + few[..., 0].flip(1, 2).conj()) / 2
    x, y, z = (m.long() for m in signed_frequencies(limits, True, few.device))
    full = torch.zeros(2, grid[0], grid[1], 3, grid[2] // 2 + 1, dtype=torch.complex64)
    full[:, (x % grid[0])[:, None, None], (y % grid[1])[None, :, None], :, z] = few.permute(1, 2, 4, 0, 3)
    products = series_by_products(few, signed_frequencies(limits, True, few.device), grid)
    # Sums of 300 terms of size 1 in float32.
    torch.testing.assert_close(products, series_by_fft(full, grid), atol=1e-4, rtol=1e-5)


def test_both_ways_are_taken_and_one_sigma_a_crystal_is_the_same_as_one_by_one() -> None:
    assert products_pay((32, 32, 32), (7, 7, 7))
    assert not products_pay((64, 64, 64), (31, 31, 31))
    cell, frac = SHEARED.expand(2, 3, 3), SITES.expand(2, 2, 3)
    together = gaussian_density(cell, frac, torch.ones(2, 2, 1), (32, 36, 40), torch.tensor([0.12, 0.5]))
    for index, sigma in enumerate((0.12, 0.5)):
        # Alone, the wide one has a narrow spectrum and takes the other way.
        alone = gaussian_density(cell[:1], frac[:1], torch.ones(1, 2, 1), (32, 36, 40), sigma)[0]
        torch.testing.assert_close(together[index], alone, atol=2e-5 * peak_height(sigma), rtol=1e-5)


def test_density_of_a_cell_that_is_not_finite_is_not_finite() -> None:
    broken = torch.full((1, 3, 3), torch.nan)
    density = gaussian_density(broken, SITES[None], torch.ones(1, 2, 1), (8, 8, 8), 0.45)
    assert density.shape == (1, 1, 8, 8, 8)
    assert density.isnan().all()


def test_density_integrates_to_the_weights() -> None:
    weights = torch.tensor([[[2.0, 1.0], [5.0, -1.0]]])
    density = gaussian_density(SHEARED[None], SITES[None], weights, (12, 16, 10), 0.6)
    integral = density.mean(dim=(2, 3, 4)) * torch.linalg.det(SHEARED)
    torch.testing.assert_close(integral, weights.sum(dim=1), atol=1e-5, rtol=1e-5)


def test_translation_by_a_voxel_rolls_the_field() -> None:
    weights = torch.ones(1, 2, 1)
    one = gaussian_density(SHEARED[None], SITES[None], weights, (16, 16, 16), 0.45)
    moved = gaussian_density(
        SHEARED[None], SITES[None] + torch.tensor([1 / 16, 0, -2 / 16]), weights, (16, 16, 16), 0.45
    )
    torch.testing.assert_close(moved, one.roll((1, -2), dims=(2, 4)), atol=1e-5, rtol=1e-4)


def test_supercell_repeats_the_field() -> None:
    cell = SHEARED
    twice = torch.cat(
        [SITES * torch.tensor([0.5, 1, 1]), SITES * torch.tensor([0.5, 1, 1]) + torch.tensor([0.5, 0, 0])]
    )
    double = cell * torch.tensor([[2.0], [1.0], [1.0]])
    small = gaussian_density(cell[None], SITES[None], torch.ones(1, 2, 1), (16, 16, 16), 0.45)
    large = gaussian_density(double[None], twice[None], torch.ones(1, 4, 1), (32, 16, 16), 0.45)
    torch.testing.assert_close(large, torch.cat([small, small], dim=2), atol=1e-5, rtol=1e-4)


def test_another_cell_of_the_same_crystal_has_the_same_density() -> None:
    # b' = a + b: the point (i, j, k) of the new grid is the old point (i + j, j, k).
    sheared = torch.stack([SHEARED[0], SHEARED[0] + SHEARED[1], SHEARED[2]])
    frac = SITES @ SHEARED @ torch.linalg.inv(sheared)
    old = gaussian_density(SHEARED[None], SITES[None], torch.ones(1, 2, 1), (16, 16, 16), 0.45)[0, 0]
    new = gaussian_density(sheared[None], frac[None], torch.ones(1, 2, 1), (16, 16, 16), 0.45)[0, 0]
    i, j, k = torch.meshgrid(*[torch.arange(16)] * 3, indexing="ij")
    # The longer b' is resolved a little less well, see `truncation`.
    torch.testing.assert_close(new, old[(i + j) % 16, j, k], atol=1e-3, rtol=1e-3)


def test_truncation_bounds_the_error_and_the_grid_follows_the_cell() -> None:
    lengths = torch.tensor([[4.0, 4.0, 4.0]])
    assert float(truncation(lengths, (16, 16, 16), 0.45)[0]) == pytest.approx(np.exp(-0.5 * (0.45 * np.pi * 4) ** 2))
    assert grid_for((4.0, 8.1, 3.9), 0.25) == (16, 34, 16)


def test_occupancy_is_one_at_an_isolated_site_and_padding_adds_nothing() -> None:
    batch = CrystalBatch(8 * torch.eye(3)[None], torch.tensor([[[0.25, 0.5, 0.0], [0, 0, 0]]]), torch.tensor([[26, 0]]))
    field = occupancy_field(batch, (32, 32, 32))
    assert float(field.max()) == pytest.approx(1.0, abs=1e-4)
    assert float(field[0, 0, 8, 16, 0]) == pytest.approx(1.0, abs=1e-4)
    assert float(field.mean() * 512 * peak_height(0.45)) == pytest.approx(1.0, abs=1e-4)


def test_a_batch_of_one_equals_a_batch_of_many() -> None:
    rng = np.random.default_rng(1)
    cells = [np.eye(3) * 4 + rng.normal(0, 0.3, (3, 3)) for _ in range(4)]
    fracs = [rng.random((n, 3)) for n in (1, 5, 3, 8)]
    numbers = [rng.integers(1, 90, n) for n in (1, 5, 3, 8)]
    crystals = Crystals.from_arrays(cells, fracs, numbers, list("abcd"))
    together = species_field(to_batch(crystals), (8, 8, 8))
    for index in range(4):
        alone = species_field(to_batch(crystals.take([index])), (8, 8, 8))
        torch.testing.assert_close(together[index], alone[0], atol=1e-5, rtol=1e-4)


def test_element_codes_tell_all_elements_apart() -> None:
    codes = np.array(code_table())
    assert codes.shape == (MAX_Z + 1, 16)
    assert np.abs(codes[0]).max() == 0
    distance = np.linalg.norm(codes[1:, None] - codes[None, 1:], axis=-1) + 10 * np.eye(MAX_Z)
    assert distance.min() > 0.5
    same_group = np.linalg.norm(codes[NUMBER["Ti"]] - codes[NUMBER["Zr"]])
    assert same_group < np.linalg.norm(codes[NUMBER["Ti"]] - codes[NUMBER["Cl"]])


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [("H", (1, 1)), ("He", (1, 32)), ("C", (2, 28)), ("Ti", (4, 18)), ("La", (6, 3)), ("Pb", (6, 28))],
)
def test_positions_in_the_long_periodic_table(symbol: str, expected: tuple[int, int]) -> None:
    assert position(NUMBER[symbol]) == expected
    assert SYMBOLS[NUMBER[symbol]] == symbol

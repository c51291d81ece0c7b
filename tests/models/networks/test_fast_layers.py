"""Layers that take a faster way give what the plain way gives."""

import pytest
import torch
from torch.nn import functional

from icsg3d_models.networks.layers.periodic import (
    FoldingConv,
    Linear,
    PeriodicConv,
    sample_at,
    sample_points,
    sample_voxels,
    space_to_depth,
    wrap,
)
from icsg3d_models.networks.layers.products import product
from icsg3d_models.networks.layers.spectral import MOST_POINTS, spectral_conv
from icsg3d_models.networks.layers.spectral_planes import FEWEST_CHANNELS, LARGEST_LINE, plane_conv, planes_pay
from icsg3d_models.networks.prior import Prior, PriorConfig


def direct(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    return functional.conv3d(functional.pad(x, (1,) * 6, mode="circular"), weight, bias)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4), (5, 5, 5), (1, 2, 3), (5, 4, 2)])
def test_convolution_in_fourier_space_is_the_direct_one_with_its_gradients(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(sum(shape))
    x = torch.randn(2, 3, *shape, dtype=torch.double, requires_grad=True)
    weight = torch.randn(5, 3, 3, 3, 3, dtype=torch.double, requires_grad=True)
    bias = torch.randn(5, dtype=torch.double, requires_grad=True)
    ours, theirs = spectral_conv(x, weight, bias), direct(x, weight, bias)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    pull = torch.randn_like(theirs)
    for mine, other in zip(
        torch.autograd.grad(ours, (x, weight, bias), pull),
        torch.autograd.grad(theirs, (x, weight, bias), pull),
        strict=True,
    ):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("n", [3, 5, 8])
def test_convolution_plane_by_plane_is_the_direct_one_with_the_gradient_of_the_field(n: int) -> None:
    torch.manual_seed(n)
    x = torch.randn(17, 3, n, n, n, dtype=torch.double, requires_grad=True)  # more than are taken at once
    weight, bias = torch.randn(5, 3, 3, 3, 3, dtype=torch.double), torch.randn(5, dtype=torch.double)
    ours, theirs = plane_conv(x, weight, bias), direct(x, weight, bias)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(plane_conv(x, weight, None), direct(x, weight, None), rtol=1e-10, atol=1e-10)
    pull = torch.randn_like(theirs)
    mine, other = (torch.autograd.grad(out, x, pull)[0] for out in (ours, theirs))
    torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-10)


def test_layer_agrees_on_both_sides_of_the_sizes_at_which_it_changes_its_way() -> None:
    torch.manual_seed(0)
    layer = PeriodicConv(FEWEST_CHANNELS, FEWEST_CHANNELS)
    largest = int(MOST_POINTS ** (1 / 3))
    for n in (largest, largest + 1, LARGEST_LINE, LARGEST_LINE + 1):
        x = torch.randn(2, FEWEST_CHANNELS, n, n, n)
        expected = direct(x, layer.weight, layer.bias)
        # Float32: sums of 648 terms of order 0.04.
        torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)
        with torch.no_grad():
            torch.testing.assert_close(layer(x), expected, rtol=1e-4, atol=1e-5)


def test_convolution_plane_by_plane_is_not_taken_where_weights_learn() -> None:
    layer, x = PeriodicConv(32, 32), torch.randn(1, 32, 8, 8, 8)
    assert not planes_pay(x, layer.weight)
    assert planes_pay(x, layer.requires_grad_(False).weight)


def test_product_of_onednn_has_the_gradients_of_the_public_one() -> None:
    torch.manual_seed(0)
    left, right = torch.randn(7, 5, requires_grad=True), torch.randn(5, 4, requires_grad=True)
    ours, theirs = product(left, right.T), left @ right
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    pull = torch.randn(7, 4)
    pairs = zip(
        torch.autograd.grad(ours, (left, right), pull), torch.autograd.grad(theirs, (left, right), pull), strict=True
    )
    for mine, other in pairs:
        torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-6)


def test_wrapping_is_circular_padding() -> None:
    x = torch.randn(2, 3, 5, 5, 5)
    assert torch.equal(wrap(x), functional.pad(x, (1,) * 6, mode="circular"))


def test_folding_convolution_is_a_pointwise_one_of_folded_voxels() -> None:
    torch.manual_seed(0)
    layer, x = FoldingConv(3, 7), torch.randn(2, 3, 8, 8, 8)
    plain = functional.conv3d(space_to_depth(x, 2), layer.weight, layer.bias)
    torch.testing.assert_close(layer(x), plain, rtol=1e-5, atol=1e-5)
    assert layer.weight.shape == (7, 24, 1, 1, 1)


def test_linear_layer_gives_the_same_with_and_without_gradients() -> None:
    torch.manual_seed(0)
    layer, x = Linear(33, 17), torch.randn(5, 33)
    with torch.no_grad():
        quick = layer(x)
    torch.testing.assert_close(quick, layer(x), rtol=1e-5, atol=1e-6)


def test_points_are_read_from_their_own_sample() -> None:
    field = torch.randn(3, 2, 4, 4, 4)
    frac = torch.tensor([[0.25, 0.5, 0.75], [0.0, 0.0, 0.875], [0.25, 0.5, 0.75]])
    owner = torch.tensor([2, 0, 1])
    read = sample_points(field, owner, frac)
    torch.testing.assert_close(read[0], field[2, :, 1, 2, 3])
    torch.testing.assert_close(read[1], 0.5 * (field[0, :, 0, 0, 3] + field[0, :, 0, 0, 0]))  # across the face
    torch.testing.assert_close(sample_at(field, frac[:1].expand(3, 1, 3))[1, 0], read[2])


def test_voxels_of_a_finer_grid_are_read_as_the_points_where_they_lie() -> None:
    field, owner = torch.randn(2, 3, 4, 2, 6), torch.tensor([1, 0, 1])
    index = torch.tensor([[7, 3, 11], [0, 0, 0], [4, 1, 5]])
    voxel = (index[:, 0] * 4 + index[:, 1]) * 12 + index[:, 2]
    expected = sample_points(field, owner, index / torch.tensor([8, 4, 12]))
    torch.testing.assert_close(sample_voxels(field, owner, voxel, (8, 4, 12)), expected)


def test_prior_asked_the_same_for_all_gives_what_it_gives_one_by_one() -> None:
    torch.manual_seed(0)
    config = PriorConfig(
        elements=[8, 22],
        latent_mean=[0.0] * 4,
        latent_std=[1.0] * 4,
        targets=["energy"],
        target_mean=[0.0],
        target_std=[1.0],
        conditions=[{"name": "elements", "width": 2}, {"name": "target energy", "width": 1}],
        width=16,
    )
    prior, noise = Prior(config).eval(), torch.randn(3, 4)
    for target in ([0.0, 0.0], [0.5, 1.0]):
        asked = torch.tensor([[1.0, 0.0, 1.0, *target]])
        together = prior.sample(noise, asked, guidance=2.0)
        rows = [prior.sample(noise[i : i + 1], asked, guidance=2.0) for i in range(3)]
        torch.testing.assert_close(together, torch.cat(rows), rtol=1e-5, atol=1e-5)
    mixed = asked.repeat(3, 1)
    mixed[0, 3:] = 0.0
    torch.testing.assert_close(prior.sample(noise, mixed, 2.0)[1:], together[1:], rtol=1e-5, atol=1e-5)


def test_what_is_kept_of_frozen_weights_follows_them() -> None:
    """Steps of an optimiser and of an average change weights in place, and grids take turns."""
    torch.manual_seed(0)
    conv = PeriodicConv(3, 3)
    optimiser = torch.optim.AdamW(conv.parameters(), lr=0.1, fused=True)

    def check() -> None:
        for shape in ((3, 4, 2), (4, 4, 4), (3, 4, 2)):
            x = torch.randn(2, 3, *shape)
            with torch.no_grad():
                for _ in range(2):
                    expected = functional.conv3d(wrap(x), conv.weight, conv.bias)
                    assert torch.allclose(conv(x), expected, atol=1e-5)

    check()
    conv(torch.randn(2, 3, 3, 4, 2)).square().sum().backward()
    optimiser.step()
    check()
    other = PeriodicConv(3, 3)
    with torch.no_grad():
        torch._foreach_lerp_(list(conv.parameters()), list(other.parameters()), 0.5)
    check()
    conv.load_state_dict(other.state_dict())
    check()

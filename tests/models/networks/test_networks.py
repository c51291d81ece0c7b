"""Networks: shapes, periodicity, batch independence and losses against torch.distributions."""

import math

import pytest
import torch

from icsg3d_models.crystals.lattice import lattice_to_vector, vector_to_lattice
from icsg3d_models.networks.layers.noise import Rows
from icsg3d_models.networks.layers.periodic import (
    PeriodicConv,
    depth_to_space,
    sample_at,
    space_to_depth,
)
from icsg3d_models.networks.prior import Prior, PriorConfig
from icsg3d_models.networks.unet import UNet, UNetConfig
from icsg3d_models.networks.vae import VAE, VAEConfig
from icsg3d_models.training.tasks.vae_task import kl_divergence


def test_space_to_depth_is_undone_and_keeps_neighbours() -> None:
    x = torch.randn(2, 3, 8, 8, 8)
    folded = space_to_depth(x, 4)
    assert folded.shape == (2, 192, 2, 2, 2)
    torch.testing.assert_close(depth_to_space(folded, 4), x)
    torch.testing.assert_close(folded[:, :64, 1, 0, 1], x[:, 0, 4:, :4, 4:].reshape(2, 64))


def test_periodic_convolution_commutes_with_translation() -> None:
    torch.manual_seed(0)
    convolution, x = PeriodicConv(2, 3), torch.randn(1, 2, 8, 8, 8)
    moved = convolution(x.roll((3, -1), dims=(2, 4)))
    torch.testing.assert_close(moved, convolution(x).roll((3, -1), dims=(2, 4)), atol=1e-5, rtol=1e-5)


def test_sampling_a_field_interpolates_and_wraps() -> None:
    n = 8
    field = torch.cos(2 * math.pi * torch.arange(n) / n).reshape(1, 1, n, 1, 1).expand(1, 1, n, n, n)
    points = torch.tensor([[[0.0, 0.3, 0.9], [0.125, 0.5, 0.5], [15 / 16, 0.0, 0.0], [-0.125, 2.0, 0.0]]])
    wave = [math.cos(0), math.cos(math.pi / 4), (math.cos(math.pi / 4) + 1) / 2, math.cos(math.pi / 4)]
    torch.testing.assert_close(sample_at(field, points)[0, :, 0], torch.tensor(wave), atol=1e-6, rtol=1e-6)


def test_unet_is_periodic_in_whole_blocks_and_independent_of_the_batch() -> None:
    torch.manual_seed(0)
    unet = UNet(UNetConfig(elements=[8, 22, 82], width=8)).eval()
    occupancy, species = torch.rand(3, 1, 16, 16, 16), torch.randn(3, 16, 8, 8, 8)
    with torch.no_grad():
        features = unet.features(occupancy, species)
        mask = unet.mask_logits(features)
        # One step of the coarsest level is four voxels of the occupancy and two of the species channels.
        moved = unet.mask_logits(unet.features(occupancy.roll(4, 2), species.roll(2, 2)))
        alone = unet.mask_logits(unet.features(occupancy[1:2], species[1:2]))
        logits = unet.species_logits(features, species, torch.rand(3, 7, 3))
    assert mask.shape == (3, 16, 16, 16)
    assert logits.shape == (3, 7, 3)
    torch.testing.assert_close(moved, mask.roll(4, 1), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(alone[0], mask[1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("grid", [8, 16, 24])
def test_vae_returns_what_it_takes(grid: int) -> None:
    config = VAEConfig(elements=[8], lattice_mean=[0.0] * 6, lattice_std=[1.0] * 6, grid=grid, latent=5, width=8)
    vae = VAE(config)
    occupancy, species = torch.rand(2, 1, grid, grid, grid), torch.rand(2, 16, grid // 2, grid // 2, grid // 2)
    cells = 4.0 * torch.eye(3).expand(2, -1, -1)
    mean, log_variance = vae.encode_fields(occupancy, species, cells)
    assert mean.shape == log_variance.shape == (2, 5)
    shapes = [tuple(x.shape) for x in vae.decode(mean)]
    assert shapes == [tuple(occupancy.shape), tuple(species.shape), (2, 3, 3)]
    out = vae.decode_fields(mean)
    assert out.lattice is not None
    torch.testing.assert_close(lattice_to_vector(vae.decode(mean)[2]), out.lattice, atol=1e-4, rtol=1e-4)


def test_kl_is_that_of_torch_distributions() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.randn(4, 6), torch.randn(4, 6)
    ours = kl_divergence(mean, log_variance)
    normal = torch.distributions.Normal(mean, (0.5 * log_variance).exp())
    reference = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).sum(dim=1)
    torch.testing.assert_close(ours, reference)


def test_lattice_vector_is_free_of_rotation_and_invertible() -> None:
    torch.manual_seed(0)
    cell = 4 * torch.eye(3) + torch.randn(5, 3, 3) * 0.4
    rotation, _ = torch.linalg.qr(torch.randn(3, 3))
    vector = lattice_to_vector(cell)
    back = vector_to_lattice(vector)
    metric = cell @ cell.transpose(1, 2)
    torch.testing.assert_close(lattice_to_vector(cell @ rotation), vector, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(back @ back.transpose(1, 2), metric, atol=1e-4, rtol=1e-4)
    cubic = lattice_to_vector(3.9 * torch.eye(3)[None])[0]
    torch.testing.assert_close(cubic, torch.tensor([math.log(3.9)] * 3 + [0.0] * 3), atol=1e-6, rtol=1e-6)


CONDITIONS = [{"name": "elements", "width": 3}, {"name": "target e", "width": 1}]


def prior(**options: object) -> Prior:
    """Return a small untrained prior."""
    torch.manual_seed(0)
    config = PriorConfig(
        elements=[8, 22, 82], latent_mean=[1.0, 2.0], latent_std=[0.5, 3.0], targets=["e"], target_mean=[0.0],
        target_std=[1.0], width=16, depth=1, **{"conditions": CONDITIONS, **options},
    )  # fmt: skip
    return Prior(config).eval()


def test_prior_with_zero_velocity_returns_scaled_noise() -> None:
    module = prior()
    torch.nn.init.zeros_(module.flow.leave.weight)
    torch.nn.init.zeros_(module.flow.leave.bias)
    noise = torch.randn(4, 2)
    out = module.sample(noise, torch.zeros(4, 6))
    torch.testing.assert_close(out, noise * torch.tensor([0.5, 3.0]) + torch.tensor([1.0, 2.0]))


def test_guidance_of_one_is_the_conditional_field() -> None:
    module, noise = prior(), torch.randn(4, 2)
    asked = torch.tensor([[1.0, 0, 1, 1, 0.3, 1]])
    free = module.sample(noise, torch.zeros(4, 6))
    same = module.sample(noise, asked.expand(4, -1), guidance=1.0)
    nearly = module.sample(noise, asked, guidance=1.0 + 1e-6)
    torch.testing.assert_close(same, nearly, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(same, free)


def test_nothing_asked_draws_what_training_crystals_could_have_been_asked_for() -> None:
    module = prior(examples=3, example_elements=2)
    presence = torch.tensor([[1.0, 1, 0], [0, 1, 0], [1, 0, 1]])
    module.keep(presence, torch.tensor([[0.5], [math.nan], [-1.0]]))
    again = prior(examples=3, example_elements=2)
    again.load_state_dict({name: value.half() if value.is_floating_point() else value
                           for name, value in module.state_dict().items()})  # fmt: skip

    def examples(module: Prior, count: int = 9000) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the elements allowed, (N, E), and the targets, (N, T), NaN where there is none."""
        rows = module.examples(count, Rows(0, 0))
        allowed, told, targets = rows[:, :3], rows[:, 3], rows[:, 4::2]
        assert torch.equal(told > 0, allowed.sum(dim=1) > 0)
        return allowed, torch.where(rows[:, 5::2] > 0, targets, torch.nan)

    allowed, targets = examples(again)
    assert allowed.shape == (9000, 3)
    assert targets.shape == (9000, 1)
    restricted = allowed.sum(dim=1) > 0
    assert restricted.float().mean() == pytest.approx(0.7, abs=0.02)
    for row, value in ((0, 0.5), (2, -1.0)):
        there = targets[:, 0] == value
        assert there.sum() == pytest.approx(3000 * 0.7, rel=0.08)
        assert (allowed[there & restricted] >= presence[row]).all()  # the crystal's own elements are always allowed
    # the first and the last target are left out at times, the second is not known
    assert targets[:, 0].isnan().float().mean() == pytest.approx(1 / 3 + 2 / 3 * 0.3, abs=0.03)
    lone = Prior(again.config.model_copy(update={"examples": 1, "example_elements": 1})).eval()
    lone.keep(presence[1:2], torch.tensor([[math.nan]]))
    allowed, targets = examples(lone)
    assert targets.isnan().all()
    restricted = allowed.sum(dim=1) > 0
    assert (allowed[restricted][:, 1] == 1).all()
    # others are allowed with a share of 0.2 + 0.8 u^2, of which the mean is 7/15
    assert allowed[restricted][:, 0].mean() == pytest.approx(7 / 15, abs=0.03)
    bare = Prior(PriorConfig(**{**again.config.model_dump(), "targets": [], "target_mean": [], "target_std": [],
                                "conditions": CONDITIONS[:1]}))  # fmt: skip
    bare.keep(presence, torch.zeros(3, 0))
    assert [part.shape for part in examples(bare, 4)] == [(4, 3), (4, 0)]

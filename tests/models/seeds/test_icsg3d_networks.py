"""The networks of ICSG3D: their size as published, what they do with a batch, and what they are told."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from icsg3d_models.crystals.neighbours import nearest_neighbours, neighbour_list
from icsg3d_models.fields.batches import to_batch
from icsg3d_models.fields.seeds.icsg3d_box import CLASSES, ionic_radii
from icsg3d_models.networks.generator import Drawing
from icsg3d_models.networks.seeds.icsg3d_cgcnn import ICSG3DCGCNN, ICSG3DCGCNNConfig, element_classes
from icsg3d_models.networks.seeds.icsg3d_unet import ICSG3DUNet, ICSG3DUNetConfig
from icsg3d_models.networks.seeds.icsg3d_vae import ICSG3DVAE, ICSG3DVAEConfig
from icsg3d_models.properties.graph_batches import GraphStore
from tests.models.seeds.test_icsg3d_box import cubic

RADII = ionic_radii().tolist()


def unet(**options: object) -> ICSG3DUNet:
    given = {"elements": [8], "radii": RADII, "class_weights": [1.0] * CLASSES, **options}
    return ICSG3DUNet(ICSG3DUNetConfig.model_validate(given)).eval()


def vae(**options: object) -> ICSG3DVAE:
    edges = list(range(1, int(str(options.get("bins", 10)))))
    given = {"elements": [8], "radii": RADII, "sigma_fraction": 1.0, "grid": 32, "edges": edges, **options}
    torch.manual_seed(0)
    return ICSG3DVAE(ICSG3DVAEConfig.model_validate(given)).eval()


def size(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_unet_has_the_published_layers() -> None:
    def block(*channels: int) -> int:  # convolutions with their biases, and batch normalisation
        return sum(27 * a * b + b + 2 * b for a, b in pairwise(channels))

    down = block(4, 32, 64) + block(64, 64, 128) + block(128, 128, 256) + block(256, 512, 512)
    up = block(256 + 512, 512, 256) + block(128 + 256, 256, 128) + block(64 + 128, 128, 128)
    assert size(unet()) == down + up + (128 + 1) * 95 + (128 + 1)


def test_unet_shapes() -> None:
    small = unet(width=1, grid=16)
    channels = small.channels(to_batch(cubic((38, 22, 8, 3.9), (56, 22, 8, 4.0))))
    assert channels.shape == (2, 4, 16, 16, 16)
    logits, mask = small(channels)
    assert logits.shape == (2, 95, 16, 16, 16)
    assert mask.shape == (2, 16, 16, 16)
    assert [tuple(f.shape[1:3]) for f in small.features(channels)] == [(2, 16), (4, 8), (8, 4), (16, 2)]
    alone = small(channels[:1])
    assert torch.allclose(alone[0], logits[:1], atol=1e-5)


def test_vae_has_the_published_layers() -> None:
    def block(*channels: int) -> int:
        return sum(27 * a * b + b + 2 * b for a, b in pairwise(channels))

    encoder = block(14, 16, 32, 64, 128) + 27 * 128 * 4 + 4 + (32 + 1) * 256 + 2 * (256 + 1) * 256
    decoder = (256 + 10 + 1) * 256 + block(4, 128, 64, 32, 16) + block(16, 4)
    assert size(vae()) == encoder + decoder


def test_vae_is_told_a_quantile() -> None:
    module = vae(grid=16, latent=5, filters=(2, 2, 2, 2), bins=4)
    told = np.array([0.5, 2.0, 99.0])  # edges at 1, 2 and 3; a value on an edge belongs below
    batch = to_batch(cubic(*[(38, 22, 8, 3.9)] * 3), told)
    mean, log_variance = module.encode(batch, (16, 16, 16))
    assert mean.shape == log_variance.shape == (3, 9)
    assert mean[:, 5:].argmax(dim=1).tolist() == [0, 1, 3]
    assert not torch.allclose(mean[0, :5], mean[2, :5])  # the same crystal, told another value
    first, again = module.decode(mean, None), module.decode(torch.cat([mean[:1, :5], mean[2:, 5:]], dim=1), None)
    assert first[0].shape == (3, 1, 16, 16, 16)
    assert first[1].shape == (3, 3, 16, 16, 16)
    assert first[2].shape == (3, 3, 3)
    assert not torch.allclose(first[0][0], again[0][0])
    assert module.of_spread(torch.ones(2, 9))[:, 5:].abs().max() == 0  # no noise on the quantile
    with pytest.raises(ValueError, match="is told the formation_energy_per_atom"):
        module.encode(to_batch(cubic((38, 22, 8, 3.9))), (16, 16, 16))


def test_samples_depend_on_their_number_only() -> None:
    prior = vae(grid=16, latent=5, filters=(2, 2, 2, 2), bins=4).without_prior()
    many = torch.cat([some.latent for some in prior.draw({}, 40, 3, Drawing(batch_size=7))])
    few = torch.cat([some.latent for some in prior.draw({}, 5, 3, Drawing(batch_size=3))])
    assert torch.equal(many[:5], few)
    assert set(many[:, 5:].argmax(dim=1).tolist()) == {0, 1, 2, 3}
    asked = torch.cat([s.latent for s in prior.draw({"target formation_energy_per_atom": 2.5}, 6, 3)])
    assert asked[:, 5:].argmax(dim=1).tolist() == [2] * 6


def test_nearest_neighbours() -> None:
    crystals = cubic((38, 22, 8, 4.0), (56, 40, 8, 4.2))
    found = nearest_neighbours(neighbour_list(crystals, 8.0), 12)
    assert np.bincount(found.source).tolist() == [12] * 10
    assert found.offsets.tolist() == [0, 60, 120]
    # Ti in SrTiO3: six O at a/2, and six of the eight Sr at a √3/2
    near = found.distance[found.source == 1]
    assert np.sort(near) == pytest.approx([2.0] * 6 + [2 * np.sqrt(3)] * 6)
    assert set(found.target[found.source == 1].tolist()) == {0, 2, 3, 4}


def test_classes_of_the_elements() -> None:
    table = element_classes()
    assert table.shape == (119, 93)
    assert table[0].sum() == 0
    assert table[8].sum() == 9  # everything is tabulated of oxygen
    assert table[8, 15] == table[8, 18 + 1] == 1  # group 16, period 2
    assert table[8, 18 + 9 + 10 + 10 + 5] == 1  # six valence electrons
    assert table[31, 18 + 9 + 10 + 10 + 2] == 1  # three of gallium, whose d shell is full
    assert table[26, 18 + 9 + 10 + 10 + 7] == 1  # eight of iron


def graph_network(**options: object) -> ICSG3DCGCNN:
    torch.manual_seed(0)
    config = {"targets": ["a", "b"], "elements": [8, 22, 38, 56], **options}
    return ICSG3DCGCNN(ICSG3DCGCNNConfig.model_validate(config)).eval()


def test_cgcnn_as_published_and_mended() -> None:
    """A prediction does not depend on what it is made with, but for the published normalisation."""
    store = GraphStore(cubic((38, 22, 8, 3.9), (56, 22, 8, 4.0)), 8.0, "cpu", 12)
    both, alone = store.graph(np.array([0, 1])), store.graph(np.array([0]))
    mended = graph_network()
    assert mended(both).shape == (1, 2, 2)
    assert torch.allclose(mended(both)[:, :1], mended(alone), atol=1e-6)
    published = graph_network(as_published_normalisation=True)
    assert not torch.allclose(published(both)[:, :1], published(alone), atol=1e-4)
    # dense, convolution with two normalisations, 128, targets
    assert size(mended) == 94 * 64 + (2 * 64 + 41 + 1) * 128 + 2 * 128 + 2 * 64 + 65 * 128 + 129 * 2

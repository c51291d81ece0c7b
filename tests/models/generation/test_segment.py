"""Segmentation and rebuilding: true fields give the crystal back, in any cell."""

import numpy as np
import pytest
import torch
from scipy import ndimage
from skimage.segmentation import watershed as skimage_watershed

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.crystals.symmetry import symmetrise
from icsg3d_models.fields.batches import to_batch
from icsg3d_models.fields.occupancy import occupancy_field
from icsg3d_models.fields.peaks import refine_peaks
from icsg3d_models.generation.rebuild import assemble, shortest_distance
from icsg3d_models.generation.segment import watershed
from icsg3d_models.settings import RebuildSettings


def crystals() -> Crystals:
    """Return a cubic, a sheared and a one-atom crystal off the grid points."""
    rng = np.random.default_rng(3)
    sheared = np.array([[4.2, 0, 0], [1.0, 4.0, 0], [-0.7, 0.9, 4.4]])
    perovskite = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    return Crystals.from_arrays(
        [3.97 * np.eye(3), sheared, 3.0 * np.eye(3)],
        [perovskite + rng.normal(0, 0.02, (5, 3)), np.array([[0.1, 0.2, 0.95], [0.6, 0.7, 0.4]]), rng.random((1, 3))],
        [np.array([82, 22, 8, 8, 8]), np.array([11, 17]), np.array([29])],
        ["perovskite", "sheared", "single"],
    )


def labels(occupancy: torch.Tensor, threshold: float = 0.35) -> torch.Tensor:
    return watershed(occupancy, occupancy > threshold)


def test_sites_come_back_to_a_thousandth_of_an_angstrom() -> None:
    batch = to_batch(crystals())
    occupancy = occupancy_field(batch, (16, 16, 16))[:, 0]
    for index in range(3):
        found = labels(occupancy[index : index + 1]).unique()
        found = found[found >= 0]
        truth, _ = crystals().sites(index)
        assert len(found) == len(truth)
        peak = torch.stack([found // 256, found // 16 % 16, found % 16], dim=1)
        frac = refine_peaks(occupancy[index : index + 1], torch.zeros(len(found), dtype=torch.long), peak).numpy()
        difference = frac[:, None] - truth[None]
        distance = np.linalg.norm((difference - np.round(difference)) @ crystals().cell[index], axis=-1)
        assert distance.min(axis=1).max() < 2e-3
        assert sorted(distance.argmin(axis=1)) == list(range(len(truth)))


def test_a_site_between_two_voxels_is_one_region() -> None:
    one = Crystals.from_arrays([4 * np.eye(3)], [np.array([[1 / 32, 1 / 32, 1 / 32]])], [np.array([8])], ["x"])
    occupancy = occupancy_field(to_batch(one), (16, 16, 16))[:, 0]
    exactly_flat = (occupancy * 1000).round() / 1000  # the eight highest voxels are equal to the last bit
    assert len(labels(exactly_flat).unique()) == 2  # outside, and one region


def test_regions_agree_with_the_watershed_of_scikit_image() -> None:
    occupancy = occupancy_field(to_batch(crystals().take([0])), (16, 16, 16))[0, 0]
    ours = labels(occupancy[None])[0].numpy()
    # scikit-image knows no periodic boundary: three cells in a row each way, and the middle one is compared.
    wide = np.tile(occupancy.numpy(), (3, 3, 3))
    peaks = ndimage.maximum_filter(wide, size=3) == wide
    markers, _ = ndimage.label(peaks & (wide > 0.35))
    theirs = skimage_watershed(-wide, markers, mask=wide > 0.35, connectivity=np.ones((3, 3, 3)))[16:32, 16:32, 16:32]
    inside = ours >= 0
    assert np.array_equal(inside, theirs > 0)
    pairs = np.unique(np.stack([ours[inside], theirs[inside]]), axis=1)
    # Every region of theirs lies in one of ours; the cell cut theirs at its faces, so they have more labels.
    sizes = [np.sum((ours[inside] == a) & (theirs[inside] == b)) for a, b in pairs.T]
    best = {b: max(s for s, (_, c) in zip(sizes, pairs.T, strict=True) if c == b) for b in np.unique(pairs[1])}
    assert sum(best.values()) / inside.sum() > 0.98  # voxels on a ridge may go either way


def test_shortest_distance_counts_images_and_coincident_sites() -> None:
    cell = np.diag([3.0, 1.2, 5.0])
    assert shortest_distance(cell, np.array([[0.0, 0, 0]])) == pytest.approx(1.2)
    assert shortest_distance(cell, np.array([[0.0, 0, 0], [0.0, 0, 0]])) == pytest.approx(0.0)
    assert shortest_distance(10 * np.eye(3), np.array([[0.0, 0, 0], [0.95, 0, 0]])) == pytest.approx(0.5)
    assert shortest_distance(10 * np.eye(3), np.array([[0.0, 0, 0]])) == np.inf


def test_every_sample_is_a_crystal_or_has_a_reason() -> None:
    cells = np.stack([4 * np.eye(3)] * 5)
    cells[3] = np.diag([4.0, 4.0, 0.0])
    cells[4, 0, 0] = np.nan
    fracs = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0, 0, 0], [0.01, 0, 0], [0, 0, 0], [0, 0, 0]], dtype=float)
    offsets = np.array([0, 2, 2, 4, 5, 6])
    ones = np.full(6, 8)
    built, reasons, doubt = assemble(cells, fracs, ones, np.ones(6), offsets, np.arange(5) + 7, RebuildSettings())
    assert built.ids == ("s000007",)
    assert doubt == {"s000007": 1.0}
    assert set(reasons) == {"s000008", "s000009", "s000010", "s000011"}
    assert reasons["s000008"].startswith("no atom")
    assert "closer than 0.5" in reasons["s000009"]
    assert "flat" in reasons["s000010"]
    assert "finite" in reasons["s000011"]


def test_symmetrise_idealises_within_the_tolerance_only() -> None:
    frac = np.array([[0.001, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    numbers = np.array([82, 22, 8, 8, 8])
    cell, sites, _ = symmetrise(np.diag([3.97, 3.975, 3.972]), frac, numbers, 0.1)
    assert np.allclose(cell, cell[0, 0] * np.eye(3))
    assert np.linalg.det(cell) == pytest.approx(3.97 * 3.975 * 3.972, rel=1e-3)
    assert np.allclose((sites * 2) % 1, 0)
    tetragonal, _, _ = symmetrise(np.diag([3.9, 3.9, 4.15]), frac, numbers, 0.01)
    assert tetragonal.diagonal().max() - tetragonal.diagonal().min() > 0.2

"""Grids that follow the cell, the local VAE on them, and the stages from base crystals of many shapes to crystals."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch.nn import functional

from icsg3d_models.crystals.batch import CrystalError, Crystals, read_crystals, write_crystals
from icsg3d_models.fields.batches import to_batch
from icsg3d_models.fields.density import gaussian_density, peak_height
from icsg3d_models.fields.field_file import ArrayWriter, group_name
from icsg3d_models.fields.grids import grid_sizes, half, same_grids
from icsg3d_models.fields.occupancy import OCCUPANCY_SIGMA, occupancy_field, species_field
from icsg3d_models.fields.peaks import refine_peaks, separate_peaks
from icsg3d_models.generation.rebuild import run as rebuild
from icsg3d_models.generation.sample import UNITS as FIELD_UNITS
from icsg3d_models.generation.sample import run as sample
from icsg3d_models.generation.segment import UNITS as SEGMENT_UNITS
from icsg3d_models.generation.segment import run as segment
from icsg3d_models.generation.segment import watershed
from icsg3d_models.networks.layers.periodic import PeriodicConv, depth_to_space, space_to_depth
from icsg3d_models.networks.local_vae import LocalVAE, LocalVAEConfig, block_metric
from icsg3d_models.networks.model_file import ModelHeader, save_model
from icsg3d_models.networks.registry import load_network
from icsg3d_models.networks.unet import UNet, UNetConfig
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import RebuildSettings, SampleSettings, SegmentSettings
from icsg3d_models.training.field_data import batches_of_one_grid

SPACING = 0.4
ELEMENTS = [6, 8, 22, 82]


def many_shapes() -> Crystals:
    """Return reduced crystals on three grids; the first and the last share one."""
    rng = np.random.default_rng(2)
    cells = [np.diag([2.5, 3.9, 6.1]), np.eye(3) * 3.97, np.array([[3.1, 0, 0], [0.4, 3.3, 0], [-0.6, 0.5, 3.2]])]
    cells.append(np.diag([2.4, 3.7, 6.3]))
    frac = [np.array([[0.1, 0.2, 0.1], [0.6, 0.5, 0.4], [0.2, 0.8, 0.75]])]
    frac.append(np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]) + 0.03)
    frac += [rng.random((1, 3)), np.array([[0.3, 0.3, 0.2], [0.8, 0.6, 0.7]])]
    numbers = [[6, 6, 6], [82, 22, 8, 8, 8], [22], [8, 6]]
    return Crystals.from_arrays(cells, frac, [np.array(z) for z in numbers], ["long", "cubic", "sheared", "alike"])


def fields(crystals: Crystals, grid: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    batch = to_batch(crystals)
    return occupancy_field(batch, grid), species_field(batch, half(grid)), batch.cell


def small_vae() -> LocalVAE:
    torch.manual_seed(0)
    return LocalVAE(LocalVAEConfig(elements=ELEMENTS, spacing=SPACING, width=8, channels=5)).eval()


def test_points_are_at_most_the_spacing_apart() -> None:
    cell = torch.diag_embed(torch.tensor([[1.59, 1.61, 40.0]]))
    assert grid_sizes(cell, 16, SPACING).tolist() == [[4, 8, 100]]
    assert grid_sizes(cell, 16, None).tolist() == [[16, 16, 16]]


def test_a_cell_that_no_memory_holds_is_named() -> None:
    with pytest.raises(CrystalError, match=r"crystal 1: lattice vectors of 1e\+04, 4, 4 Å .* is the unit right\?"):
        grid_sizes(torch.diag_embed(torch.tensor([[4.0, 4, 4], [1e4, 4, 4]])).mul(torch.tensor([1, 1, 1])), 16, 1e-2)


def test_crystals_of_one_grid_stay_together_and_none_is_lost() -> None:
    sizes = torch.tensor([[4, 4, 8], [8, 4, 4], [4, 4, 8], [4, 4, 8], [8, 4, 4]])
    assert [(grid, rows.tolist()) for grid, rows in same_grids(sizes)] == [((4, 4, 8), [0, 2, 3]), ((8, 4, 4), [1, 4])]
    one, other = (batches_of_one_grid(sizes, 2, np.random.default_rng(seed)) for seed in (1, 2))
    assert len(one) == len(other) == 3
    assert sorted(np.concatenate(one).tolist()) == list(range(5))
    assert all(len(torch.unique(sizes[torch.from_numpy(rows)], dim=0)) == 1 for rows in one)


@pytest.mark.parametrize("shape", [(1, 2, 3), (5, 4, 7), (4, 4, 4)])
def test_layers_take_any_shape_of_grid(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(1)
    fine = torch.randn(2, 3, *(2 * n for n in shape))
    folded = space_to_depth(fine, 2)
    assert folded.shape == (2, 24, *shape)
    torch.testing.assert_close(depth_to_space(folded, 2), fine)
    torch.testing.assert_close(folded[0, 8:16, 0, 1, 2], fine[0, 1, :2, 2:4, 4:6].flatten())
    conv = PeriodicConv(24, 4)
    # Three copies of the cell along every vector: in the middle one, no edge is felt.
    repeated = functional.conv3d(folded.repeat(1, 1, 3, 3, 3), conv.weight, conv.bias, padding=1)
    middle = [slice(n, 2 * n) for n in shape]
    torch.testing.assert_close(conv(folded), repeated[:, :, *middle], atol=1e-5, rtol=1e-4)


def test_latents_and_fields_move_with_the_crystal_and_repeat_with_the_cell() -> None:
    vae, crystals = small_vae(), many_shapes().take([0])
    grid = (8, 12, 16)
    mean, _ = vae.encode_fields(*fields(crystals, grid))
    assert mean.shape == (1, 5, 2, 3, 4)
    moved = Crystals.from_arrays(
        list(crystals.cell), [crystals.frac + np.array([0, 1 / 3, 0.5])], [crystals.numbers], list(crystals.ids)
    )
    shifted, _ = vae.encode_fields(*fields(moved, grid))
    torch.testing.assert_close(shifted, mean.roll((1, 2), (3, 4)), atol=1e-4, rtol=1e-3)
    structure = next(crystals.structures())
    structure.make_supercell([1, 2, 1])
    double, _ = vae.encode_fields(*fields(Crystals.from_structures([structure]), (8, 24, 16)))
    torch.testing.assert_close(double, mean.repeat(1, 1, 1, 2, 1), atol=1e-4, rtol=1e-3)
    occupancy, species, _ = vae.decode(mean, torch.from_numpy(crystals.cell).float())
    assert occupancy.shape == (1, 1, *grid)
    assert species.shape == (1, 16, 4, 6, 8)


def test_the_shape_of_a_block_matters() -> None:
    vae = small_vae()
    torch.manual_seed(3)
    torch.nn.init.normal_(vae.decoder_shape.net[2].weight)
    latent, cell = torch.randn(1, 5, 2, 2, 2), 3.2 * torch.eye(3)[None]
    torch.testing.assert_close(block_metric(cell, latent.shape[2:], SPACING), torch.tensor([[1.0, 1, 1, 0, 0, 0]]))
    sheared = cell + torch.tensor([[0, 0, 0], [0.8, 0, 0], [0, 0, 0]])
    assert (vae.decode(latent, cell)[0] - vae.decode(latent, sheared)[0]).abs().max() > 1e-3


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    vae = small_vae()
    save_model(tmp_path / "vae.safetensors", ModelHeader("vae", vae.config.model_dump(), {}), vae.state_dict())
    with h5py.File(tmp_path / "base.h5", "w") as file:
        write_crystals(file.create_group("crystals"), many_shapes())
    return tmp_path


def test_base_crystals_of_many_shapes_are_sampled_grid_by_grid(folder: Path) -> None:
    settings = SampleSettings(mode="reconstruct", base="base.h5", register_base=False, device="cpu", spacing=SPACING)
    report = Report("sample", folder)
    sample(settings, report)
    assert report.counts["samples"] == 4
    assert [row["id"] for row in report.tables["base"]] == ["long", "cubic", "sheared", "alike"]
    vae = load_network(folder / "vae.safetensors", "vae", torch.device("cpu"))
    with h5py.File(folder / "fields.h5") as file:
        assert {name: group["sample"][()].tolist() for name, group in file.items()} == {
            "12x12x12": [1],
            "8x12x16": [0, 3],
            "8x12x12": [2],
        }
        mean, _ = vae.encode_fields(*fields(many_shapes().take([0]), (8, 12, 16)))
        np.testing.assert_allclose(file["8x12x16/latent"][0], mean[0].detach().numpy(), atol=1e-4)
    sample(
        SampleSettings(mode="base", base="base.h5", n_samples=9, spread=1e-6, device="cpu", base_explained=0),
        Report("sample", folder),
    )
    with h5py.File(folder / "fields.h5") as file:
        numbers = np.concatenate([group["sample"][()] for group in file.values()])
        assert sorted(numbers.tolist()) == list(range(9))


def test_fields_of_base_crystals_are_finer_than_those_of_training(folder: Path) -> None:
    def largest(spacing: float | None) -> float:
        chosen = {"mode": "reconstruct", "base": "base.h5", "register_base": False, "device": "cpu"}
        sample(SampleSettings.model_validate({**chosen, "spacing": spacing}), Report("sample", folder))
        with h5py.File(folder / "fields.h5") as file:
            return max(
                (np.linalg.norm(group["cell"][()], axis=2) / group["occupancy"].shape[1:]).max()
                for group in file.values()
            )

    assert 0.9 * SPACING < largest(SPACING) <= SPACING
    assert largest(0.9 * SPACING) <= 0.9 * SPACING
    assert largest(None) <= 0.8 * SPACING
    for spacing in (0.5 * SPACING, 1.1 * SPACING):
        with pytest.raises(StageError, match=r"takes 0\.\d+ to 0\.4 Å"):
            largest(spacing)


def test_noise_belongs_to_the_sample_and_not_to_its_batch(folder: Path) -> None:
    latents = []
    for size in (256, 1):
        settings = {
            "mode": "base",
            "base": "base.h5",
            "n_samples": 9,
            "batch_size": size,
            "device": "cpu",
            "base_explained": 0,
        }
        sample(SampleSettings.model_validate(settings), Report("sample", folder))
        with h5py.File(folder / "fields.h5") as file:
            latents.append(
                {n: group["latent"][i] for group in file.values() for i, n in enumerate(group["sample"][()])}
            )
    assert all(np.abs(latents[0][n] - latents[1][n]).max() < 1e-4 for n in range(9))
    # samples 0, 4 and 8 are around the same crystal
    assert np.abs(latents[0][0] - latents[0][4]).max() > 0.1


def true_segments(path: Path, crystals: Crystals) -> None:
    """Write the true fields and their watershed, grid by grid."""
    batch = to_batch(crystals)
    with (
        ArrayWriter(path / "fields.h5", FIELD_UNITS) as out,
        ArrayWriter(path / "segments.h5", SEGMENT_UNITS) as marked,
    ):
        for grid, rows in same_grids(grid_sizes(batch.cell, 0, SPACING)):
            some = batch.take(rows)
            occupancy = occupancy_field(some, grid)[:, 0]
            species = species_field(some, half(grid))
            out.append(
                group_name(grid),
                occupancy=occupancy.half().numpy(),
                species=species.half().numpy(),
                cell=some.cell.numpy(),
                sample=rows.numpy(),
            )
            maxima = [torch.unique(m[m >= 0]) for m in watershed(occupancy, occupancy > 0.5)]
            peak = torch.cat([torch.stack(torch.unravel_index(m, grid), dim=1) for m in maxima])
            number = []
            for m, numbers, frac in zip(maxima, some.numbers, some.frac, strict=True):
                at = torch.stack(torch.unravel_index(m, grid), dim=1) / torch.tensor(grid)
                apart = at[:, None] - frac[None, numbers > 0]
                number.append(numbers[numbers > 0][(apart - apart.round()).norm(dim=2).argmin(dim=1)])
            found = torch.cat(number)
            marked.append(
                group_name(grid),
                count=np.array([len(m) for m in maxima]),
                peak=peak.numpy(),
                number=found.numpy(),
                confidence=np.ones(len(found), dtype=np.float32),
            )


def test_rebuilding_brings_samples_of_all_grids_into_their_order(tmp_path: Path) -> None:
    crystals = many_shapes()
    true_segments(tmp_path, crystals)
    report = Report("rebuild", tmp_path)
    rebuild(RebuildSettings(device="cpu"), report)
    with h5py.File(tmp_path / "crystals.h5") as file:
        found = read_crystals(file["crystals"])
    assert list(found.ids) == [f"s{i:06d}" for i in range(4)]
    for index in range(4):
        frac, numbers = found.sites(index)
        true_frac, true_numbers = crystals.sites(index)
        apart = frac[:, None] - true_frac[None]
        distance = np.linalg.norm((apart - np.round(apart)) @ crystals.cell[index], axis=2)
        nearest = distance.argmin(axis=1)
        assert distance.min(axis=1).max() < 0.02
        assert sorted(nearest) == list(range(len(true_frac)))
        assert numbers.tolist() == true_numbers[nearest].tolist()


def test_neighbours_no_longer_pull_at_each_other() -> None:
    """Two carbon atoms closer than a bond: their maxima are off, the sites are not."""
    cell, true = 4.0 * torch.eye(3)[None], torch.tensor([[[0.31, 0.42, 0.53], [0.31 + 1.2 / 4.0, 0.42, 0.53]]])
    crystal = to_batch(Crystals.from_arrays([cell[0].numpy()], [true[0].numpy()], [np.array([6, 6])], ["C2"]))
    occupancy = occupancy_field(crystal, (12, 12, 12))[:, 0]
    owner, peak = torch.zeros(2, dtype=torch.long), (true[0] * 12).round().long()
    pulled = (refine_peaks(occupancy, owner, peak) - true[0]).abs().max() * 4.0
    assert 0.02 < pulled < 0.2
    assert (separate_peaks(occupancy, cell, owner, peak) - true[0]).abs().max() * 4.0 < 0.1 * pulled
    assert separate_peaks(occupancy, cell, owner[:0], peak[:0]).shape == (0, 3)


@pytest.mark.parametrize(("heights", "apart"), [((1.0, 0.6), 1.4), ((0.6, 0.6), 1.1), ((1.0, 1.0), 1.2)])
def test_sites_that_are_not_of_one_height_and_noise(heights: tuple[float, float], apart: float) -> None:
    cell, grid = 6.0 * torch.eye(3)[None], (16, 16, 16)
    true = torch.tensor([[0.31, 0.42, 0.53], [0.31 + apart / 6, 0.42, 0.53]])
    weights = torch.tensor([[heights]]).transpose(1, 2) / peak_height(OCCUPANCY_SIGMA)
    field = gaussian_density(cell, true[None], weights, grid, OCCUPANCY_SIGMA)[:, 0]
    owner, peak = torch.zeros(2, dtype=torch.long), (true * 16).round().long()

    def error(occupancy: torch.Tensor) -> tuple[float, float]:
        found = (refine_peaks(occupancy, owner, peak), separate_peaks(occupancy, cell, owner, peak))
        first, last = (float(((f - true + 0.5) % 1.0 - 0.5).norm(dim=1).max()) * 6 for f in found)
        return first, last

    before, after = error(field)
    assert after < 0.35 * before
    noise = 0.03 * torch.randn(field.shape, generator=torch.Generator().manual_seed(0))
    before, after = error(field + noise)
    assert after < before


def test_segments_of_other_fields_are_refused(tmp_path: Path) -> None:
    true_segments(tmp_path, many_shapes())
    (tmp_path / "segments.h5").rename(tmp_path / "kept.h5")
    true_segments(tmp_path, many_shapes().take([0, 1]))
    (tmp_path / "kept.h5").rename(tmp_path / "segments.h5")
    with pytest.raises(StageError, match="was not made of"):
        rebuild(RebuildSettings(device="cpu"), Report("rebuild", tmp_path))


def test_a_unet_of_another_spacing_is_refused_and_its_own_segments_every_grid(tmp_path: Path) -> None:
    true_segments(tmp_path, many_shapes())
    for spacing in (0.3, SPACING):
        torch.manual_seed(0)
        unet = UNet(UNetConfig(elements=ELEMENTS, spacing=spacing, width=8))
        header = ModelHeader("unet", unet.config.model_dump(), {})
        save_model(tmp_path / "unet.safetensors", header, unet.state_dict())
        report = Report("segment", tmp_path)
        if spacing != SPACING:
            with pytest.raises(StageError, match=r"takes points 0.21 to 0.3 Å apart"):
                segment(SegmentSettings(device="cpu"), report)
    segment(SegmentSettings(device="cpu"), report)
    assert report.counts["samples"] == 4
    with h5py.File(tmp_path / "segments.h5") as file, h5py.File(tmp_path / "fields.h5") as given:
        assert set(file) == set(given)
        for name in file:
            assert file[name]["region"].shape == given[name]["occupancy"].shape
            assert len(file[name]["peak"]) == file[name]["count"][()].sum()


def test_progress_counts_every_sample_once(tmp_path: Path) -> None:
    true_segments(tmp_path, many_shapes())
    report = Report("rebuild", tmp_path)
    seen: list[int] = []
    report.progress = lambda done, total, **_: seen.append(done)  # type: ignore[method-assign, assignment]
    rebuild(RebuildSettings(device="cpu", batch_size=1), report)
    assert all(b - a == 1 for a, b in pairwise([0, *seen]))
    assert seen[-1] == 4

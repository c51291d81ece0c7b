"""Crystals with the space group and the contents of the examples they are drawn like, by the shipped prior."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

import icsg3d_models
from icsg3d_models.crystals.crystal_file import read_crystal_file
from icsg3d_models.crystals.elements import NUMBER
from icsg3d_models.crystals.symmetry import space_group_numbers
from icsg3d_models.generation import rebuild, sample, segment
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import RebuildSettings, SampleSettings, SegmentSettings

SHIPPED = Path(icsg3d_models.__file__).parent / "pretrained"


def made(folder: Path, models: str = "wide", **asked: object) -> Path:
    """Sample, segment and rebuild in a folder."""
    files = {name: str(SHIPPED / models / f"{name}.safetensors") for name in ("vae", "prior")}
    sample.run(SampleSettings.model_validate({**files, **asked}), Report("sample", folder, quiet=True))
    unet = str(SHIPPED / models / "unet.safetensors")
    segment.run(SegmentSettings(unet=unet), Report("segment", folder, quiet=True))
    rebuild.run(RebuildSettings(), Report("rebuild", folder, quiet=True))
    return folder


def drawn_latents(folder: Path) -> dict[int, np.ndarray]:
    """Return sample -> latent."""
    with h5py.File(folder / "fields.h5") as file:
        groups = [group for group in file.values() if isinstance(group, h5py.Group)]
        return {
            int(number): latent
            for group in groups
            for number, latent in zip(group["sample"][()], group["latent"][()], strict=True)
        }


def test_a_composition_and_a_space_group_come_as_asked(tmp_path: Path) -> None:
    crystals = read_crystal_file(made(tmp_path, n_samples=6, composition="NaCl", space_group=225) / "crystals.h5")
    contents = [Counter(crystals.sites(i)[1].tolist()) for i in range(len(crystals))]
    assert contents == [Counter({NUMBER["Na"]: 1, NUMBER["Cl"]: 1})] * 6
    assert space_group_numbers(crystals).tolist() == [225] * 6


def test_unasked_crystals_are_symmetric_and_without_it_most_are_not(tmp_path: Path) -> None:
    shares = {}
    for symmetric in (True, False):
        folder = tmp_path / str(symmetric)
        folder.mkdir()
        crystals = read_crystal_file(made(folder, n_samples=24, seed=3, symmetric=symmetric) / "crystals.h5")
        shares[symmetric] = (space_group_numbers(crystals) > 1).sum() / 24
    assert shares[True] > 0.8
    assert shares[False] < 0.6


def test_a_sample_depends_on_its_number_and_the_seed_only(tmp_path: Path) -> None:
    for name in ("many", "few"):
        (tmp_path / name).mkdir()
    many = drawn_latents(made(tmp_path / "many", n_samples=8, seed=5))
    few = drawn_latents(made(tmp_path / "few", n_samples=3, seed=5, batch_size=1))
    assert sorted(many) == list(range(8))
    for number, latent in few.items():
        np.testing.assert_allclose(latent, many[number], atol=2e-3)


def test_a_prior_without_examples_refuses_to_be_symmetric(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="keeps the space groups of its training data"):
        made(tmp_path, "perov5", n_samples=2, symmetric=True)

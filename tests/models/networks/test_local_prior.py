"""The prior of the local VAE: flows, training, and new crystals of any shape under conditions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from pydantic import ValidationError

from icsg3d_models.conditions import Known, completed
from icsg3d_models.conditions.analogy import examples_of
from icsg3d_models.conditions.patterns import patterns_of
from icsg3d_models.conditions.rows import rows_of
from icsg3d_models.conditions.space import blocks_of
from icsg3d_models.crystals.batch import Crystals, write_crystals
from icsg3d_models.crystals.elements import MAX_Z
from icsg3d_models.crystals.lattice import lattice_to_vector
from icsg3d_models.data.datasets import Dataset, read_dataset
from icsg3d_models.fields.batches import to_batch
from icsg3d_models.generation.sample import run as sample
from icsg3d_models.networks.local_prior import LocalPrior, LocalPriorConfig, places
from icsg3d_models.networks.local_vae import LocalVAE, LocalVAEConfig
from icsg3d_models.networks.model_file import ModelHeader, file_hash, read_header, save_model
from icsg3d_models.networks.registry import load_network
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import SampleSettings, TrainSettings
from icsg3d_models.training.tasks.local_prior_task import LocalPriorTask, at_an_atom, with_codes
from icsg3d_models.training.tasks.prior_task import prior_task
from icsg3d_models.training.train import run as train

ELEMENTS = [6, 8, 22, 82]
FORMERLY = ("elements", "composition", "anonymous_formula", "n_atoms", "crystal_system", "target energy")


def crystals(copies: int = 4) -> Crystals:
    """Return perovskites and a carbon pair, slightly different from copy to copy."""
    ideal = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    cells, fracs, numbers = [], [], []
    for i in range(copies):
        cells += [np.eye(3) * (3.9 + 0.02 * i), np.diag([2.5, 2.6, 4.1 + 0.02 * i])]
        fracs += [ideal, np.array([[0.1, 0.2, 0.1], [0.6, 0.7, 0.4]])]
        numbers += [np.array([82, 22, 8, 8, 8]), np.array([6, 6])]
    return Crystals.from_arrays(cells, fracs, numbers, [f"c{i}" for i in range(len(cells))])


def small_prior(vae_sha256: str = "") -> LocalPrior:
    torch.manual_seed(0)
    vectors = lattice_to_vector(torch.from_numpy(crystals(1).cell).float())
    return LocalPrior(
        LocalPriorConfig(
            elements=ELEMENTS, spacing=0.4, latent_mean=[0.0] * 5, latent_std=[1.0] * 5, targets=["energy"],
            lattice_mean=vectors.mean(dim=0).tolist(), lattice_std=[0.1] * 6, target_mean=[0.0], target_std=[1.0],
            conditions=blocks_of(FORMERLY, Known(ELEMENTS)), vae_sha256=vae_sha256, width=8, depth=1,
            lattice_width=8, lattice_depth=1,
        )
    ).eval()  # fmt: skip


def test_velocity_wraps_around_the_cell_and_follows_conditions_and_cell() -> None:
    prior, generator = small_prior(), torch.Generator().manual_seed(1)
    z = torch.randn(1, 5, 2, 3, 4, generator=generator)
    cell, t = torch.diag_embed(torch.tensor([[3.2, 4.7, 6.1]])), torch.tensor([0.2])
    told = torch.from_numpy(np.stack([prior.conditions.vector({"n_atoms": n}) for n in (2, 5)]))
    velocity = prior(z, t, cell, told[:1])
    assert velocity.shape == z.shape
    far = z.clone()
    far[..., -1] += 1.0  # the last layer of blocks is a neighbour of the first
    assert (prior(far, t, cell, told[:1]) - velocity)[..., 0].abs().max() > 1e-4
    assert (prior(z, t, cell, told[1:]) - velocity).abs().max() > 1e-5
    assert (prior(z, t, 1.1 * cell, told[:1]) - velocity).abs().max() > 1e-5
    # A network is told where a block is, so that the same content elsewhere is something else.
    moved = prior(z.roll((1, 2, 3), (2, 3, 4)), t, cell, told[:1])
    assert (moved - velocity.roll((1, 2, 3), (2, 3, 4))).abs().max() > 1e-5


def test_places_are_periodic_and_tell_blocks_apart() -> None:
    found = places((2, 3, 4), torch.device("cpu"))[0].flatten(1).T  # (24, features)
    assert (torch.cdist(found, found) + 10 * torch.eye(24)).min() > 0.5
    whole = places((1, 1, 8), torch.device("cpu"))[0, :, 0, 0]
    half = places((1, 1, 4), torch.device("cpu"))[0, :, 0, 0]
    torch.testing.assert_close(whole[:, ::2], half)


def test_an_atom_of_the_rarest_element_is_the_origin() -> None:
    batch, generator = to_batch(crystals(1)), torch.Generator().manual_seed(0)
    seen = set()
    for _ in range(20):
        found, _, _ = at_an_atom(batch, generator)
        at_origin = (found.frac - found.frac.round()).norm(dim=2) < 1e-6
        # Pb and Ti are equally rare in PbTiO3: the heavier one; of C2 either atom.
        assert found.numbers[0][at_origin[0] & found.mask[0]].tolist() == [82]
        assert (at_origin[1] & found.mask[1]).sum() == 1
        seen.add(int((at_origin[1] & found.mask[1]).nonzero()))
        apart, true = (f[1, 1] - f[1, 0] for f in (found.frac, batch.frac))
        torch.testing.assert_close(apart.abs(), true.abs())
    assert seen == {0, 1}


def test_rare_grids_pass_more_often(folder: Path) -> None:
    task = LocalPriorTask.build(
        TrainSettings(network="prior", vae=str(folder / "vae.safetensors")),
        read_dataset(folder / "dataset.h5"), torch.device("cpu"),
    )  # fmt: skip
    task.sizes["train"] = torch.tensor([[4, 4, 4]] * 100 + [[4, 4, 8]] + [[8, 8, 4]] * 15)
    batches = task.batches(8, np.random.default_rng(0))
    passes = np.bincount(np.concatenate(batches), minlength=116)
    assert (passes[:100] == 1).all()
    assert passes[100] == 3
    assert (passes[101:] == 2).all()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    vae = LocalVAE(LocalVAEConfig(elements=ELEMENTS, spacing=0.4, width=8, channels=5)).eval()
    save_model(tmp_path / "vae.safetensors", ModelHeader("vae", vae.config.model_dump(), {}), vae.state_dict())
    prior = small_prior(file_hash(tmp_path / "vae.safetensors"))
    save_model(tmp_path / "prior.safetensors", ModelHeader("prior", prior.config.model_dump(), {}), prior.state_dict())
    some, values = crystals(), np.linspace(-2.0, 1.0, 8)
    split = np.array([0, 0, 0, 0, 1, 1, 2, 2], dtype=np.uint8)
    Dataset(some, {"energy": values}, split, {"energy": "eV"}).write(tmp_path / "dataset.h5")
    return tmp_path


def drawn(folder: Path, **changes: object) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return cell and latent of every sample."""
    settings = {"n_samples": 9, "device": "cpu", **changes}
    sample(SampleSettings.model_validate(settings), Report("sample", folder, quiet=True))
    with h5py.File(folder / "fields.h5") as file:
        return {
            int(n): (group["cell"][i], group["latent"][i])
            for group in file.values()
            for i, n in enumerate(group["sample"][()])
        }


def test_a_sample_depends_on_its_number_and_the_seed_and_not_on_its_batch(folder: Path) -> None:
    many, single, other = drawn(folder), drawn(folder, batch_size=1), drawn(folder, seed=1)
    assert sorted(many) == list(range(9))
    for n, (cell, latent) in many.items():
        np.testing.assert_allclose(single[n][0], cell, atol=1e-4)
        np.testing.assert_allclose(single[n][1], latent, atol=1e-3)
        assert np.abs(other[n][0] - cell).max() > 1e-3
        assert latent.shape[1:] == tuple(np.ceil(np.linalg.norm(cell, axis=1) / 1.6).astype(int))


def test_crystals_of_one_element_are_sampled_with_restarts(folder: Path) -> None:
    one, two = {"elements": ["C"]}, {"elements": ["Pb", "O"]}
    for asked, as_given in ((one, 4), (two, 0)):
        plain, with_them = drawn(folder, **asked), drawn(folder, restarts=as_given, **asked)
        np.testing.assert_array_equal(plain[0][1], with_them[0][1])
    many, single = drawn(folder, **one), drawn(folder, batch_size=1, **one)
    assert all(np.abs(single[n][1] - latent).max() < 1e-3 for n, (_, latent) in many.items())
    assert np.abs(drawn(folder, restarts=0, **one)[0][1] - many[0][1]).max() > 1e-2


def test_conditions_reach_the_flows(folder: Path) -> None:
    free = drawn(folder)
    for asked in (
        {"composition": "PbTiO3"}, {"anonymous_formula": "ABC3"}, {"n_atoms": 10}, {"crystal_system": "cubic"},
        {"elements": ["C"]}, {"targets": {"energy": 1.0}},
    ):  # fmt: skip
        assert np.abs(drawn(folder, **asked)[0][0] - free[0][0]).max() > 1e-5, asked


def test_a_chemical_space_gives_every_sample_a_composition_of_its_own() -> None:
    space, patterns = small_prior().conditions, patterns_of(crystals())

    def rows(count: int, **asked: object) -> np.ndarray:
        return rows_of(space, patterns, asked, count, 3, said.append)

    said: list[str] = []
    found = rows(5, elements=["Pb", "Ti", "O", "C"], crystal_system="cubic")
    lead, carbon = (space.vector({"composition": made}) for made in ({8: 3, 22: 1, 82: 1}, {6: 1}))
    place = space.blocks["composition"]
    kinds = [
        int(np.array_equal(row[place], lead[place])) + 2 * int(np.array_equal(row[place], carbon[place]))
        for row in found
    ]
    assert set(kinds) == {1, 2}
    assert all(row[space.blocks["crystal_system"]].tolist() == [0.0] * 6 + [1.0, 1.0] for row in found)
    np.testing.assert_array_equal(rows(3, elements=["Pb", "Ti", "O", "C"], crystal_system="cubic"), found[:3])
    assert said == []
    for other in ({"composition": "PbTiO3"}, {"n_atoms": 5}, {"elements": ["O"]}):
        expected = np.tile(space.vector(completed(other)), (2, 1))
        np.testing.assert_array_equal(rows(2, **other), expected)
    assert len(said) == 1
    assert "no composition of the kinds" in said[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elements": ["C", "Fe"]}, "does not know Fe; it was trained on C, O, Ti, Pb"),
        ({"composition": "SiC"}, "does not know Si"),
        ({"targets": {"gap": 1.0}}, "was not trained with target gap; it can be asked for elements, .*, target energy"),
        ({"prior": None}, "needs a fitted prior"),
        ({"space_group": 221}, "was not trained with space_group; it can be asked for elements"),
        ({"density": 4.0, "n_atoms": 5}, "was not trained with density; it can"),
    ],
)
def test_what_the_prior_does_not_know_is_refused(folder: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(StageError, match=message):
        drawn(folder, **changes)


def test_the_prior_of_another_vae_is_refused(folder: Path) -> None:
    prior = small_prior("0" * 64)
    save_model(folder / "prior.safetensors", ModelHeader("prior", prior.config.model_dump(), {}), prior.state_dict())
    with pytest.raises(StageError, match="fitted to another VAE"):
        drawn(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"composition": "Pb0.5TiO3"}, "no whole atoms"),
        ({"composition": "perovskite"}, "no formula"),
        ({"composition": "PbTiO3", "n_atoms": 7}, "a multiple of 5 atoms"),
        ({"composition": "PbTiO3", "anonymous_formula": "ABC3"}, "one of the two"),
        ({"composition": "PbTiO3", "elements": ["Pb", "O"]}, "holds Ti, which `elements` does not allow"),
        ({"anonymous_formula": "AAB"}, "one capital letter an element"),
        ({"anonymous_formula": "AB0"}, "missing or zero"),
        ({"anonymous_formula": "abc"}, "no anonymous formula"),
        ({"mode": "base", "base": "base.h5", "n_atoms": 4}, "n_atoms: can be asked for in mode 'prior'"),
        ({"crystal_system": "rhombic"}, "crystal_system"),
    ],
)
def test_what_cannot_be_meant_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SampleSettings.model_validate(changes)


def test_training_lowers_both_losses_and_resumes_exactly(folder: Path) -> None:
    settings = {
        "network": "prior", "vae": "vae.safetensors", "targets": ["energy"], "output": "trained.safetensors",
        "options": {"width": 8, "depth": 1, "lattice_width": 16}, "device": "cpu",
        "optimiser": {"max_epochs": 40, "batch_size": 4, "learning_rate": 0.01, "ema": 0.9, "validate_every": 20},
    }  # fmt: skip
    report = Report("train", folder, quiet=True)
    train(TrainSettings.model_validate(settings), report)
    rows = (folder / "metrics.csv").read_text().splitlines()
    first, last = (
        dict(zip(rows[0].split(","), map(float, row.split(",")), strict=True)) for row in (rows[1], rows[-1])
    )
    assert last["lattice_loss"] < first["lattice_loss"]
    assert last["latent_loss"] < first["latent_loss"]
    header = read_header(folder / "trained.safetensors", "prior")
    assert header.config["vae_sha256"] == file_hash(folder / "vae.safetensors")
    assert header.config["target_mean"] == pytest.approx([np.linspace(-2.0, 1.0, 8)[:4].mean()])
    assert report.scalars["test_latent_loss"] > 0
    assert len(drawn(folder, prior="trained.safetensors", composition="C2")) == 9
    assert json.dumps(header.card)


def test_learned_codes_are_kept_and_stay_where_data_are_few(tmp_path: Path) -> None:
    """What `wide` learned of the elements serves a prior that learns on from it with twenty crystals."""
    start = small_prior()
    codes = np.random.default_rng(0).normal(size=(MAX_Z + 1, 16)).astype(np.float16)
    old = start.config.model_copy(update={"example_codes": 16})
    prior = LocalPrior(old)
    few = examples_of(crystals(), [221, 12] * 4)
    kept = with_codes(few, prior, 0)
    assert kept.codes is not None
    assert not kept.codes.any()  # those of the prior, which has learned nothing yet
    size = {"examples": len(few), "example_kinds": few.numbers.shape[1], "example_symmetry": True}
    whole = LocalPrior(old.model_copy(update=size))
    whole.keep(replace(few, codes=codes.astype(np.float32)))
    save_model(tmp_path / "prior.safetensors", ModelHeader("prior", whole.config.model_dump(), {}), whole.state_dict())
    again = load_network(tmp_path / "prior.safetensors", "prior", torch.device("cpu"))
    np.testing.assert_array_equal(again.examples().codes, codes.astype(np.float32))
    assert with_codes(few, start, 0).codes is None


def test_the_task_follows_the_vae(folder: Path) -> None:
    settings = TrainSettings(network="prior", vae=str(folder / "vae.safetensors"))
    task = prior_task(settings, read_dataset(folder / "dataset.h5"), torch.device("cpu"))
    assert isinstance(task, LocalPriorTask)
    grids = [tuple(task.sizes["train"][int(i)].tolist()) for i in range(4)]
    assert grids == [(12, 12, 12), (8, 8, 12)] * 2
    assert all(len({grids[i] for i in rows}) == 1 for rows in task.batches(2, np.random.default_rng(0)))


def test_interpolation_ends_at_the_two_crystals(folder: Path) -> None:
    """The second crystal is given in other axes and with another origin; the line still ends at its own latents."""
    cubic = crystals(1).take([0])
    frac, numbers = cubic.sites(0)
    other = Crystals.from_arrays(
        [cubic.cell[0], 1.02 * cubic.cell[0]],
        [frac, (frac[:, [2, 0, 1]] + 0.3) % 1.0],
        [numbers, np.array([82, 22, 8, 8, 8])],
        ["one", "other"],
    )
    with h5py.File(folder / "base.h5", "w") as file:
        write_crystals(file.create_group("crystals"), other)
    found = drawn(folder, mode="interpolate", base="base.h5", n_samples=5, base_explained=0)
    volumes = [abs(np.linalg.det(found[n][0])) for n in range(5)]
    assert volumes[0] == pytest.approx(3.9**3, rel=1e-4)
    assert volumes[-1] == pytest.approx((1.02 * 3.9) ** 3, rel=1e-4)
    assert (np.diff(volumes) > 0).all()
    # the same crystal but for its size: aligned, its latents are nearly those of the first
    distance = np.abs(found[4][1] - found[0][1]).max()
    assert distance < 0.2 * np.abs(found[0][1]).max()
    np.testing.assert_allclose(found[2][1], 0.5 * (found[0][1] + found[4][1]), atol=1e-5)

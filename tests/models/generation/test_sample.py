"""Sampling: modes, conditions and refusals, with small untrained networks; the chain of stages on true fields."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from icsg3d_models.crystals.batch import Crystals, write_crystals
from icsg3d_models.crystals.cells import axis_settings, reduce_cell, settings_of
from icsg3d_models.data.datasets import Dataset, DatasetError
from icsg3d_models.fields.batches import to_batch
from icsg3d_models.generation.encoding import encode
from icsg3d_models.generation.registration import register
from icsg3d_models.generation.sample import run
from icsg3d_models.networks.model_file import ModelHeader, file_hash, load_weights, read_header, save_model
from icsg3d_models.networks.prior import Prior, PriorConfig
from icsg3d_models.networks.registry import load_network
from icsg3d_models.networks.vae import VAE, VAEConfig
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import SampleSettings

ELEMENTS = [8, 12, 22, 82]
CONDITIONS = [
    {"name": "elements", "width": 4}, {"name": "target formation_energy_per_atom", "width": 1}
]  # fmt: skip
PEROVSKITE = np.array([[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])


def lead_titanate(name: str = "PbTiO3", first: int = 82) -> Crystals:
    return Crystals.from_arrays([3.97 * np.eye(3)], [PEROVSKITE], [np.array([first, 22, 8, 8, 8])], [name])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with an untrained VAE and a prior fitted to nothing."""
    torch.manual_seed(0)
    config = VAEConfig(elements=ELEMENTS, lattice_mean=[1.4] * 3 + [0.0] * 3, lattice_std=[0.1] * 6, latent=6, width=8)
    save_model(tmp_path / "vae.safetensors", ModelHeader("vae", config.model_dump(), {}), VAE(config).state_dict())
    prior_config = PriorConfig(
        elements=ELEMENTS,
        latent_mean=[0.0] * 6,
        latent_std=[1.0] * 6,
        targets=["formation_energy_per_atom"],
        target_mean=[1.0],
        target_std=[0.5],
        conditions=CONDITIONS,
        vae_sha256=file_hash(tmp_path / "vae.safetensors"),
        width=16,
        depth=1,
    )
    header = ModelHeader("prior", prior_config.model_dump(), {})
    save_model(tmp_path / "prior.safetensors", header, Prior(prior_config).state_dict())
    return tmp_path


def sample(folder: Path, **changes: object) -> dict[str, np.ndarray]:
    report = Report("sample", folder)
    run(SampleSettings.model_validate({"n_samples": 10, "device": "cpu", **changes}), report)
    assert report.counts["samples"] == changes.get("n_samples", 10)
    with h5py.File(folder / "fields.h5") as file:
        assert file["occupancy"].attrs["dimensions"] == "sample,i,j,k"
        return {name: file[name][()] for name in file}


def write_base(folder: Path, *crystals: Crystals) -> None:
    joined = Crystals.from_structures(
        [s for c in crystals for s in c.structures()], [name for c in crystals for name in c.ids]
    )
    with h5py.File(folder / "base.h5", "w") as file:
        write_crystals(file.create_group("crystals"), joined)


def test_samples_follow_the_seed_and_not_the_batch(folder: Path) -> None:
    one = sample(folder, seed=5)
    other = sample(folder, seed=6)
    assert one["occupancy"].shape == (10, 16, 16, 16)
    assert one["species"].shape == (10, 16, 8, 8, 8)
    for changes in ({"batch_size": 3}, {"batch_size": 1}, {"n_samples": 1}, {"n_samples": 7}, {"n_samples": 33}):
        same = sample(folder, seed=5, **changes)
        count = min(10, changes.get("n_samples", 10))
        np.testing.assert_allclose(one["latent"][:count], same["latent"][:count], atol=1e-5)
        np.testing.assert_allclose(one["cell"][:count], same["cell"][:count], atol=1e-5)
    assert np.abs(one["latent"] - other["latent"]).max() > 0.1


def test_conditions_reach_the_prior(folder: Path) -> None:
    free = sample(folder)["latent"]
    restricted = sample(folder, elements=["Ti", "O"])["latent"]
    aimed = sample(folder, targets={"formation_energy_per_atom": -1.0})["latent"]
    assert np.abs(free - restricted).max() > 1e-3
    assert np.abs(free - aimed).max() > 1e-3


def test_where_nothing_is_asked_conditions_come_from_training_crystals(folder: Path) -> None:
    held, targets = torch.tensor([[1.0, 0, 1, 1]] * 2), torch.tensor([[3.0], [3.0]])
    header = read_header(folder / "prior.safetensors", "prior")
    config = PriorConfig(**{**header.config, "examples": 2, "example_elements": 3})
    torch.manual_seed(0)
    module = Prior(config)
    module.keep(held, targets)
    save_model(folder / "prior.safetensors", ModelHeader("prior", config.model_dump(), {}), module.state_dict())
    free = sample(folder)["latent"]
    np.testing.assert_allclose(free, sample(folder, batch_size=1)["latent"], atol=1e-5)
    np.testing.assert_allclose(free[:4], sample(folder, n_samples=4)["latent"], atol=1e-5)
    module.kept_targets.fill_(-3.0)
    save_model(folder / "prior.safetensors", ModelHeader("prior", config.model_dump(), {}), module.state_dict())
    assert np.abs(free - sample(folder)["latent"]).max() > 1e-3
    # what is asked for is not mixed with what is drawn
    asked = {"targets": {"formation_energy_per_atom": 2.0}}
    before = sample(folder, **asked)["latent"]
    module.kept_targets.fill_(1.0)
    save_model(folder / "prior.safetensors", ModelHeader("prior", config.model_dump(), {}), module.state_dict())
    np.testing.assert_array_equal(before, sample(folder, **asked)["latent"])


def test_without_a_prior_latents_are_standard_normal(folder: Path) -> None:
    latent = sample(folder, prior=None, n_samples=4000)["latent"]
    assert abs(latent.mean()) < 0.02
    assert latent.std() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"elements": ["Ti", "Xe"]}, "does not know Xe; it was trained on O, Mg, Ti, Pb"),
        (
            {"targets": {"band_gap": 1.0}},
            "not trained with target band_gap; it can be asked for elements, target formation_energy_per_atom",
        ),
        ({"prior": None, "targets": {"band_gap": 1.0}}, "target band_gap: needs a fitted prior"),
        ({"mode": "base", "base": "nothing.h5"}, "no such file of base crystals"),
        ({"composition": "PbTiO3"}, "was not trained with composition"),
        ({"restarts": 2}, "takes none"),
    ],
)
def test_what_cannot_be_sampled_is_said(folder: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(StageError, match=message):
        sample(folder, **changes)


def test_a_prior_of_another_vae_is_refused(folder: Path) -> None:
    header = ModelHeader(
        "vae", json.loads(VAEConfig(elements=[8], lattice_mean=[0.0] * 6, lattice_std=[1.0] * 6).model_dump_json()), {}
    )
    save_model(folder / "vae.safetensors", header, VAE(VAEConfig(**header.config)).state_dict())
    with pytest.raises(StageError, match="fitted to another VAE"):
        sample(folder)


def test_base_and_interpolation(folder: Path) -> None:
    write_base(folder, lead_titanate(), lead_titanate("MgTiO3", 12))
    with pytest.raises(StageError, match="all have one grid"):
        sample(folder, mode="base", base="base.h5", spacing=0.3)
    untrained = {"base": "base.h5", "base_explained": 0}
    near = sample(folder, mode="base", spread=1e-6, **untrained)["latent"]
    # Samples are dealt to the two base crystals in turn.
    np.testing.assert_allclose(near[0::2], near[:1].repeat(5, axis=0), atol=1e-4)
    assert np.abs(near[0] - near[1]).max() > 1e-3
    line = sample(folder, mode="interpolate", n_samples=11, **untrained)["latent"]
    np.testing.assert_allclose(line[5], (line[0] + line[10]) / 2, atol=1e-5)
    np.testing.assert_allclose(line[0], near[0], atol=1e-3)
    write_base(folder, lead_titanate())
    with pytest.raises(StageError, match="needs two base crystals, received 1"):
        sample(folder, mode="interpolate", base="base.h5")


def test_spread_is_in_standard_deviations_of_the_training_latents(folder: Path) -> None:
    """The VAE knows them; for one of an early release that does not, its prior does, and without is refused."""
    write_base(folder, lead_titanate())
    path, asked = (
        folder / "vae.safetensors",
        {"mode": "base", "base": "base.h5", "n_samples": 2000, "base_explained": 0},
    )
    weights, header = load_weights(path), read_header(path, "vae")

    def widths(**changes: object) -> np.ndarray:
        return sample(folder, **asked, **changes)["latent"].std(axis=0)

    save_model(path, header, {**weights, "latent_std": torch.tensor([1.0, 2, 3, 4, 5, 6])})
    np.testing.assert_allclose(widths(), 0.5 * np.arange(1.0, 7.0), rtol=0.08)
    del weights["latent_std"]
    save_model(path, ModelHeader("vae", header.config, {}), weights)
    with pytest.raises(StageError, match="does not hold; give its `prior`"):
        widths(prior=None)
    config = {**read_header(folder / "prior.safetensors").config, "latent_std": [2.0] * 6}
    config["vae_sha256"] = file_hash(path)
    kept = load_weights(folder / "prior.safetensors")
    save_model(folder / "prior.safetensors", ModelHeader("prior", config, {}), kept)
    np.testing.assert_allclose(widths(), np.ones(6), rtol=0.08)


def test_reconstruction_takes_every_base_crystal_once(folder: Path) -> None:
    write_base(folder, lead_titanate(), lead_titanate("MgTiO3", 12))
    run(SampleSettings(mode="reconstruct", base="base.h5", register_base=False, device="cpu"), Report("sample", folder))
    vae = load_network(folder / "vae.safetensors", "vae", torch.device("cpu"))
    assert isinstance(vae, VAE)
    both = [s for c in (lead_titanate(), lead_titanate("MgTiO3", 12)) for s in c.structures()]
    mean, _ = encode(vae, to_batch(Crystals.from_structures(both)))
    with h5py.File(folder / "fields.h5") as file:
        np.testing.assert_allclose(file["latent"][()], mean.numpy(), atol=1e-4)


def test_one_part_of_a_dataset_is_reconstructed_in_its_order(folder: Path) -> None:
    kinds = {"a": 82, "b": 12, "c": 22, "d": 82, "e": 12}
    crystals = Crystals.from_structures(
        [s for name, first in kinds.items() for s in lead_titanate(name, first).structures()], list(kinds)
    )
    Dataset(crystals, {}, np.array([2, 0, 2, 1, 2], dtype=np.uint8)).write(folder / "dataset.h5")
    settings = {"mode": "reconstruct", "base": "dataset.h5", "register_base": False, "device": "cpu"}
    report = Report("sample", folder)
    run(SampleSettings(**settings, base_part="test"), report)
    assert report.counts["samples"] == 3
    assert [row["id"] for row in report.tables["base"]] == ["a", "c", "e"]
    vae = load_network(folder / "vae.safetensors", "vae", torch.device("cpu"))
    assert isinstance(vae, VAE)
    mean, _ = encode(vae, to_batch(crystals.take([0, 2, 4])))
    with h5py.File(folder / "fields.h5") as file:
        np.testing.assert_allclose(file["latent"][()], mean.numpy(), atol=1e-4)
    report = Report("sample", folder)
    run(SampleSettings(**settings), report)
    assert [row["id"] for row in report.tables["base"]] == list(kinds)


def test_a_base_crystal_that_the_model_does_not_know_does_not_cost_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_base(folder, lead_titanate(), lead_titanate("BaTiO3", 56), lead_titanate("MgTiO3", 12))
    report = Report("sample", folder)
    settings = {"base": "base.h5", "register_base": False, "device": "cpu", "base_explained": 0}
    run(SampleSettings(mode="reconstruct", **settings), report)
    with h5py.File(folder / "fields.h5") as file:
        assert file["sample"][()].tolist() == [0, 2]  # still the numbers of their base crystals
    assert [row["reason"] for row in report.tables["left_out"]] == ["the model does not know Ba"]
    assert "base.h5: 1 of 3 crystals left out" in capsys.readouterr().err
    report = Report("sample", folder)
    run(SampleSettings(mode="base", n_samples=4, **settings), report)
    assert report.counts["samples"] == 4
    write_base(folder, lead_titanate(), lead_titanate("BaTiO3", 56))
    with pytest.raises(StageError, match="does not know Ba"):
        run(SampleSettings(mode="interpolate", **settings), Report("sample", folder))
    write_base(folder, lead_titanate("BaTiO3", 56))
    with pytest.raises(StageError, match="does not know Ba"):
        run(SampleSettings(mode="reconstruct", **settings), Report("sample", folder))


def test_a_part_of_what_has_no_parts(folder: Path) -> None:
    write_base(folder, lead_titanate())
    with pytest.raises(DatasetError, match="no icsg3d dataset"):
        sample(folder, mode="reconstruct", base="base.h5", base_part="test")
    with pytest.raises(ValueError, match="`base_part` needs `base`"):
        SampleSettings(base_part="test")


def test_axis_settings_are_the_rotations_of_the_cube() -> None:
    settings = axis_settings()
    assert len({m.tobytes() for m in settings}) == 24
    for matrix in settings:
        np.testing.assert_array_equal(matrix @ matrix.T, np.eye(3))
        assert round(np.linalg.det(matrix)) == 1


def test_every_setting_is_the_same_crystal() -> None:
    from pymatgen.analysis.structure_matcher import StructureMatcher

    cell = np.array([[3.9, 0, 0], [0.3, 4.0, 0], [0.1, -0.2, 4.3]])
    frac, numbers = np.array([[0.1, 0.2, 0.3], [0.6, 0.7, 0.75], [0.4, 0.1, 0.9]]), np.array([82, 22, 8])
    cells, moved = settings_of(cell, frac)
    assert len(cells) == 24 * 3
    all_of_them = Crystals.from_arrays(cells, moved, [numbers] * len(cells), [str(i) for i in range(len(cells))])
    original = next(Crystals.from_arrays([cell], [frac], [numbers], ["x"]).structures())
    matcher = StructureMatcher(ltol=1e-3, stol=1e-3, angle_tol=0.1, primitive_cell=False)
    assert all(matcher.fit(original, s) for s in list(all_of_them.structures())[::7])


def test_a_supercell_reduces_to_the_primitive_crystal() -> None:
    structure = next(lead_titanate().structures())
    structure.make_supercell([[1, 1, 0], [0, 1, 0], [0, 1, 2]])
    numbers = np.array([site.specie.Z for site in structure])
    cell, frac, kinds = reduce_cell(structure.lattice.matrix, structure.frac_coords, numbers, "super")
    assert np.abs(np.linalg.det(cell)) == pytest.approx(3.97**3)
    assert sorted(kinds) == [8, 8, 8, 22, 82]
    assert frac.shape == (5, 3)


def test_registration_finds_the_same_latent_from_any_setting(folder: Path) -> None:
    """Two settings of one crystal, moved and sheared, are registered to settings of equal error."""
    vae = load_network(folder / "vae.safetensors", "vae", torch.device("cpu"))
    assert isinstance(vae, VAE)
    shear = np.array([[1, 1, 0], [0, 1, 0], [0, -1, 1]])
    moved = (PEROVSKITE + np.array([0.13, 0.4, 0.77])) @ np.linalg.inv(shear)
    other = Crystals.from_arrays([3.97 * shear], [moved], [np.array([82, 22, 8, 8, 8])], ["moved"])
    one, first = register(vae, lead_titanate(), torch.device("cpu"))
    two, second = register(vae, other, torch.device("cpu"))
    assert second[0] == pytest.approx(first[0], rel=0.02)
    assert abs(float(encode(vae, to_batch(one))[0].norm() - encode(vae, to_batch(two))[0].norm())) < 0.05


def test_unaimed_samples_stand_beside_the_aimed(folder: Path) -> None:
    """The first few are those of a run without a target, the others those of a run in which all aim."""
    aim = {"targets": {"formation_energy_per_atom": 3.0}, "guidance": 2.0}
    mixed = sample(folder, unaimed=4, **aim)
    assert mixed["sample"].tolist() == list(range(10))
    np.testing.assert_array_equal(mixed["latent"][:4], sample(folder, guidance=2.0)["latent"][:4])
    np.testing.assert_array_equal(mixed["latent"][4:], sample(folder, **aim)["latent"][4:])
    assert not np.allclose(mixed["latent"][:4], sample(folder, **aim)["latent"][:4])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"unaimed": 2}, "no `targets`"), ({"unaimed": 11, "targets": {"x": 0.0}}, "more than `n_samples`")],
)
def test_unaimed_without_an_aim_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SampleSettings.model_validate({"n_samples": 10, **wrong})


def test_a_base_crystal_that_comes_back_as_something_else_is_refused(folder: Path) -> None:
    """Networks that were never trained give nothing back; it was sampled around all the same, without a word."""
    write_base(folder, lead_titanate())
    for mode in ("base", "interpolate"):
        write_base(folder, *[lead_titanate()] * (2 if mode == "interpolate" else 1))
        with pytest.raises(StageError, match=r"gives back \d+% of its field, and has not seen such crystals"):
            sample(folder, mode=mode, base="base.h5")
    assert len(sample(folder, mode="base", base="base.h5", base_explained=0)["latent"]) == 10

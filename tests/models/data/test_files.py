"""Dataset files, model files and the command line: what is refused, and how it is said."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from icsg3d_models.crystals.batch import CrystalError, Crystals
from icsg3d_models.data.datasets import DatasetError, read_dataset, split_by_group
from icsg3d_models.networks.formats.quantisation import quantised
from icsg3d_models.networks.model_file import ModelFileError, ModelHeader, load_weights, read_header, save_model
from icsg3d_models.results import Report
from icsg3d_models.settings import SampleSettings, Split
from tests.models.conftest import perovskites


def test_coordinates_are_wrapped_below_one() -> None:
    frac = np.array([[-1e-18, 1.0, 2.25]])
    assert Crystals.from_arrays([np.eye(3)], [frac], [np.array([1])], ["x"]).frac.tolist() == [[0.0, 0.0, 0.25]]


def test_a_dataset_survives_the_file(dataset_file: Path) -> None:
    original, read = perovskites(), read_dataset(dataset_file)
    assert read.content_hash() == original.content_hash()
    assert read.units == original.units
    assert read.crystals.ids == original.crystals.ids
    np.testing.assert_allclose(read.crystals.frac, original.crystals.frac)


def test_the_content_hash_sees_coordinates_and_properties_but_not_names() -> None:
    one, other = perovskites(), perovskites()
    other.properties["formation_energy_per_atom"][0] += 1e-3
    assert one.content_hash() != other.content_hash()
    renamed = Crystals(
        *(getattr(one.crystals, k) for k in ("cell", "frac", "numbers", "offsets")), ids=tuple(map(str, range(48)))
    )
    assert type(one)(renamed, one.properties, one.split).content_hash() == one.content_hash()


def test_dataset_files_that_are_refused(tmp_path: Path, dataset_file: Path) -> None:
    with pytest.raises(DatasetError, match="no such dataset file; build one with `icsg3d prepare`"):
        read_dataset(tmp_path / "nothing.h5")
    whole = dataset_file.read_bytes()
    (tmp_path / "cut.h5").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match="not readable"):
        read_dataset(tmp_path / "cut.h5")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(DatasetError, match="no icsg3d dataset"):
        read_dataset(tmp_path / "foreign.h5")
    with pytest.raises(DatasetError, match="no property 'gap'; the dataset has formation_energy_per_atom"):
        read_dataset(dataset_file).values("gap")


def test_a_composition_is_in_one_part_only_and_shares_are_kept() -> None:
    formulas = [f"A{i % 97}" for i in range(1000)]
    split = split_by_group(formulas, (0.8, 0.1, 0.1), seed=1)
    parts = {f: {int(s) for g, s in zip(formulas, split, strict=True) if g == f} for f in set(formulas)}
    assert all(len(p) == 1 for p in parts.values())
    assert np.bincount(split) == pytest.approx([800, 100, 100], abs=12)
    assert np.array_equal(split, split_by_group(formulas, (0.8, 0.1, 0.1), seed=1))
    with pytest.raises(ValueError, match="add up to 1"):
        Split(train=0.9, validation=0.3, test=0.1)


@pytest.mark.parametrize(
    ("structure", "reason"),
    [
        (Structure(Lattice.cubic(4), [{"Pb": 0.5, "Sr": 0.5}], [[0, 0, 0]]), "partial occupancy"),
        (Structure(Lattice.cubic(4), ["X"], [[0, 0, 0]]), "no chemical element"),
        (Structure(Lattice.cubic(4), ["Pb"], [[np.nan, 0, 0]]), "NaN"),
        (Structure(Lattice([[1, 0, 0], [1, 0, 0], [0, 0, 1]]), ["Pb"], [[0, 0, 0]]), "singular cell"),
    ],
)
def test_what_is_no_ordered_crystal_is_refused_by_name(structure: Structure, reason: str) -> None:
    with pytest.raises(CrystalError, match=f"mp-7.*{reason}"):
        Crystals.from_structures([structure], ["mp-7"])


def save(path: Path, network: str = "vae", value: float = 1.0) -> Path:
    save_model(path, ModelHeader(network, {"a": 1}, {"data": "x"}), {"w": torch.full((100,), value)})
    return path


def test_model_files_that_are_refused(tmp_path: Path) -> None:
    good = save(tmp_path / "good.safetensors")
    assert read_header(good, "vae").config == {"a": 1}
    with pytest.raises(ModelFileError, match="holds a vae network where a unet is needed"):
        read_header(good, "unet")
    whole = good.read_bytes()
    for length in (4, 60, len(whole) - 10):
        (tmp_path / "cut.safetensors").write_bytes(whole[:length])
        with pytest.raises(ModelFileError, match=r"too short|cut off|truncated"):
            read_header(tmp_path / "cut.safetensors")
    (tmp_path / "evil.safetensors").write_bytes(pickle.dumps({"w": 1}))
    with pytest.raises(ModelFileError, match="can run code"):
        read_header(tmp_path / "evil.safetensors")
    torch.save({"w": torch.ones(1)}, tmp_path / "torch.safetensors")
    with pytest.raises(ModelFileError, match="can run code"):
        read_header(tmp_path / "torch.safetensors")
    (tmp_path / "text.safetensors").write_text("hello, I am a text file, not a model")
    with pytest.raises(ModelFileError, match="not a safetensors file"):
        read_header(tmp_path / "text.safetensors")
    # what the header alone does not show, safetensors finds
    (tmp_path / "shape.safetensors").write_bytes(whole.replace(b'"shape":[100]', b'"shape":[101]'))
    assert read_header(tmp_path / "shape.safetensors").network == "vae"
    with pytest.raises(ModelFileError, match=r"shape\.safetensors: the weights are damaged"):
        load_weights(tmp_path / "shape.safetensors")
    with pytest.raises(ModelFileError, match="NaN or infinity"):
        load_weights(save(tmp_path / "nan.safetensors", value=float("nan")))
    with pytest.raises(ModelFileError, match="no such model file"):
        read_header(tmp_path / "none.safetensors")


def test_equal_models_are_equal_files(tmp_path: Path) -> None:
    files = [save(tmp_path / f"{i}.safetensors") for i in range(5)]
    assert len({path.read_bytes() for path in files}) == 1
    assert torch.equal(load_weights(files[0])["w"], torch.ones(100))


def test_model_weights_of_another_program(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"w": torch.ones(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelFileError, match="of another program"):
        read_header(tmp_path / "other.safetensors")


def test_settings_sort_elements_and_report_counts(tmp_path: Path) -> None:
    assert SampleSettings(elements=["Pb", "O", "O"]).elements == ["O", "Pb"]
    with pytest.raises(ValueError, match="needs `base`"):
        SampleSettings(mode="base")
    report = Report("sample", tmp_path)
    report.counts["samples"] = 3
    content = report.write("completed")
    assert json.loads((tmp_path / "results.json").read_text())["counts"] == content["counts"] == {"samples": 3}


def test_weights_in_eight_bits_come_back_to_half_a_step(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = {
        "kernel": torch.randn(5, 3, 3, 3, 3) * torch.tensor([1e-6, 0.1, 1.0, 10.0, 0.0]).reshape(5, 1, 1, 1, 1),
        "bias": torch.randn(7), "count": torch.tensor(3),
    }  # fmt: skip
    path = tmp_path / "model.safetensors"
    save_model(path, ModelHeader("prior", {}, {}), quantised(weights))
    found = load_weights(path)
    assert set(found) == set(weights)
    half_step = weights["kernel"].abs().amax(dim=(1, 2, 3, 4), keepdim=True) / 254
    assert ((found["kernel"] - weights["kernel"]).abs() <= half_step * 1.001).all()
    assert found["kernel"].dtype == torch.float32
    assert found["count"] == 3
    torch.testing.assert_close(found["bias"], weights["bias"], atol=0, rtol=1e-3)
    before = path.stat().st_size
    save_model(path, ModelHeader("prior", {}, {}), weights)
    assert before < 0.6 * path.stat().st_size


@pytest.mark.parametrize(("small", "version"), [(True, "2"), (False, "1")])
def test_older_releases_are_told_which_files_they_cannot_read(tmp_path: Path, small: bool, version: str) -> None:
    weights = {"kernel": torch.randn(2, 2)}
    path = tmp_path / "model.safetensors"
    save_model(path, ModelHeader("prior", {}, {}), quantised(weights) if small else weights)
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert header["__metadata__"]["format_version"] == version

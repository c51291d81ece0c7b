"""Data types: what is accepted, what is refused and how, what can be queried, what is the same."""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from aiida.common.exceptions import ValidationError
from aiida.orm import Dict, QueryBuilder, StructureData, load_node

from aiida_icsg3d.calculations.sample import SampleCalculation
from aiida_icsg3d.data import CrystalDatasetData, TrainedModelData
from icsg3d_models.crystals.batch import CrystalError
from icsg3d_models.data.datasets import DatasetError
from icsg3d_models.networks.model_file import ModelFileError
from tests.aiida import made_up
from tests.aiida.dft.crystals import with_u


def test_dataset_attributes(tmp_path: Path) -> None:
    node = CrystalDatasetData(made_up.write_dataset(tmp_path / "any.h5", name="perovskites")).store()
    assert node.filename == "dataset.h5"
    assert node.n_crystals == 8
    assert node.elements == ["O", "F", "Mg", "K", "Ti", "Sr", "Zr", "In", "Ba"]
    assert node.properties == {"formation_energy_per_atom": "eV/atom"}
    assert node.base.attributes.get("parts") == {"train": 6, "validation": 1, "test": 1}
    query = QueryBuilder().append(CrystalDatasetData, filters={"attributes.elements": {"contains": ["Zr"]}})
    assert node.pk in [n.pk for n in query.all(flat=True)]
    assert len(node.get_dataset()) == 8


def test_dataset_from_stream_is_the_same_node(tmp_path: Path) -> None:
    path = made_up.write_dataset(tmp_path / "a.h5", 5)
    first = CrystalDatasetData.get_or_create(path)
    with open(path, "rb") as stream:
        second = CrystalDatasetData.get_or_create(stream)
    assert first.pk == second.pk
    other = CrystalDatasetData.get_or_create(made_up.write_dataset(tmp_path / "b.h5", 6))
    assert other.pk != first.pk


def test_dataset_hash_is_that_of_the_content(tmp_path: Path) -> None:
    """Another name in the file makes another file, but no other data."""
    one = CrystalDatasetData(made_up.write_dataset(tmp_path / "a.h5", name="one")).store()
    two = CrystalDatasetData(made_up.write_dataset(tmp_path / "b.h5", name="two")).store()
    three = CrystalDatasetData(made_up.write_dataset(tmp_path / "c.h5", 7)).store()
    assert one.base.caching.compute_hash() == two.base.caching.compute_hash() != three.base.caching.compute_hash()


def test_dataset_refused(tmp_path: Path) -> None:
    path = made_up.write_dataset(tmp_path / "a.h5")
    (tmp_path / "cut.h5").write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DatasetError, match="not readable"):
        CrystalDatasetData(tmp_path / "cut.h5")
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["x"] = 1
    with pytest.raises(DatasetError, match="no icsg3d dataset"):
        CrystalDatasetData(tmp_path / "foreign.h5")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        CrystalDatasetData(tmp_path / "nowhere.h5")
    with pytest.raises(TypeError, match="path or a binary stream"):
        CrystalDatasetData(5)
    with pytest.raises(TypeError, match="binary mode"):
        CrystalDatasetData(io.StringIO("text"))


def test_dataset_that_was_changed(tmp_path: Path) -> None:
    path = made_up.write_dataset(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file["properties/formation_energy_per_atom"][3] = 99.0
    with pytest.raises(DatasetError, match="changed after it was written"):
        CrystalDatasetData(path)


def test_attributes_cannot_lie(tmp_path: Path) -> None:
    node = CrystalDatasetData(made_up.write_dataset(tmp_path / "a.h5"))
    node.base.attributes.set("n_crystals", 1000)
    with pytest.raises(ValidationError, match="n_crystals"):
        node.store()
    model = TrainedModelData(made_up.write_model(tmp_path / "m.safetensors", "vae"))
    model.base.attributes.set("network", "unet")
    with pytest.raises(ValidationError, match="network"):
        model.store()


def perovskite(a: float, b: str) -> StructureData:
    """Return SrBO3."""
    node = StructureData(cell=(np.eye(3) * a).tolist())
    for symbol, position in zip(["Sr", b, "O", "O", "O"], made_up.PEROVSKITE * a, strict=True):
        node.append_atom(symbols=symbol, position=position.tolist())
    return node


def test_dataset_from_structures() -> None:
    structures = {"x": perovskite(3.9, "Ti"), "y": perovskite(4.1, "Zr")}
    gap = {"gap": [1.0, np.nan]}
    node = CrystalDatasetData.from_structures(structures, gap, {"gap": "eV"}, shares=(1, 0, 0)).store()
    data = node.get_dataset()
    assert data.crystals.ids == ("x", "y")
    assert data.crystals.volumes == pytest.approx([3.9**3, 4.1**3])
    assert node.properties == {"gap": "eV"}
    with pytest.raises(ValueError, match="one value for each of the 2"):
        CrystalDatasetData.from_structures(structures, {"gap": [1.0]})
    mixed = StructureData(cell=(np.eye(3) * 4).tolist())
    mixed.append_atom(symbols=("Ti", "Zr"), weights=(0.5, 0.5), position=(0, 0, 0), name="M")
    with pytest.raises(CrystalError, match="partial occupancy"):
        CrystalDatasetData.from_structures({"mixed": mixed})


def more_than_elements() -> dict[str, StructureData]:
    """Return structures that would lose what tells their sites or directions apart."""
    kinds = StructureData(cell=(np.eye(3) * 4).tolist())
    for name, x in (("Fe1", 0.0), ("Fe2", 2.0)):
        kinds.append_atom(symbols="Fe", position=(x, x, x), name=name)
    layer = perovskite(3.9, "Ti")
    layer.pbc = (True, True, False)
    return {"kinds": kinds, "layer": layer, "hubbard": with_u(perovskite(3.9, "Ti"), "Ti")}


@pytest.mark.parametrize(
    ("which", "words"),
    [("kinds", "Fe1, Fe2 of one element"), ("layer", "not periodic"), ("hubbard", "Hubbard parameters")],
)
def test_what_a_dataset_cannot_keep_is_refused(which: str, words: str) -> None:
    """Kinds became one, a layer a bulk crystal, and U was dropped, without a word."""
    structure = more_than_elements()[which]
    with pytest.raises(CrystalError, match=f"^x: .*{words}"):
        CrystalDatasetData.from_structures({"x": structure})
    inputs = {"base": {"x": structure}, "settings": Dict({"mode": "base"})}
    assert re.search(words, SampleCalculation.validate_inputs(inputs, {"settings": None, "base": None}) or "")


def test_model_attributes(tmp_path: Path) -> None:
    path = made_up.write_model(tmp_path / "m.safetensors", "cgcnn", seed=3)
    node = TrainedModelData(path).store()
    assert node.network == "cgcnn"
    assert node.config == {"error_head": False, "width": 8}  # as this release writes it
    assert node.card["seed"] == 3
    assert node.card["validation"] == {"loss": None}  # NaN, which the database does not take
    assert TrainedModelData.get_or_create(io.BytesIO(path.read_bytes())).pk == node.pk


def test_clones_can_be_stored(tmp_path: Path) -> None:
    """Caching clones the outputs; the database has rounded the numbers of the card by then."""
    model = TrainedModelData(made_up.write_model(tmp_path / "m.safetensors", "cgcnn", seed=4)).store()
    dataset = CrystalDatasetData(made_up.write_dataset(tmp_path / "d.h5")).store()
    for node in (model, dataset):
        twin = load_node(node.pk).clone().store()
        assert twin.base.caching.compute_hash() == node.base.caching.compute_hash()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "too short"),
        (b"PK\x03\x04" + bytes(100), "pickle or torch archive"),
        (pickle.dumps({"weight": [1.0] * 9}), "pickle"),
        (b"\xff" * 200, "not a safetensors file"),
    ],
)
def test_model_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        TrainedModelData(io.BytesIO(content))


def test_model_truncated(tmp_path: Path) -> None:
    whole = made_up.write_model(tmp_path / "m.safetensors", "vae").read_bytes()
    with pytest.raises(ModelFileError, match="truncated"):
        TrainedModelData(io.BytesIO(whole[:-3]))
    with pytest.raises(ModelFileError, match="cut off within its header"):
        TrainedModelData(io.BytesIO(whole[:40]))


def test_pretrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pretrained" / "made_up"
    folder.mkdir(parents=True)
    made_up.write_model(folder / "vae.safetensors", "vae", 11)
    made_up.write_model(folder / "unet.safetensors", "vae", 12)
    monkeypatch.setattr("aiida_icsg3d.data.model.files", lambda _: tmp_path)
    node = TrainedModelData.from_pretrained("made_up", "vae")
    assert node.is_stored
    assert TrainedModelData.from_pretrained("made_up", "vae").pk == node.pk
    with pytest.raises(ValueError, match="no pretrained model made_up/prior; the sets are made_up"):
        TrainedModelData.from_pretrained("made_up", "prior")
    with pytest.raises(ValueError, match="holds a vae network"):
        TrainedModelData.from_pretrained("made_up", "unet")


def test_fingerprint_is_stored_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiida_icsg3d.data.pretrained import pretrained_fingerprint

    folder = tmp_path / "pretrained" / "made_up"
    folder.mkdir(parents=True)
    monkeypatch.setattr("aiida_icsg3d.data.pretrained.files", lambda _: tmp_path)
    assert pretrained_fingerprint("made_up") is None
    (folder / "fingerprint.h5").write_bytes(b"made up")
    node: Any = pretrained_fingerprint("made_up")
    again: Any = pretrained_fingerprint("made_up")
    assert node.filename == "fingerprint.h5"
    assert again.pk == node.pk

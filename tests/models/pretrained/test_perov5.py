"""The shipped models: whole, small, documented, and good at what their cards say."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from pymatgen.analysis.structure_matcher import StructureMatcher
from pymatgen.core import Lattice, Structure

import icsg3d_models
from icsg3d_models.comparison.fingerprint import read_fingerprint
from icsg3d_models.crystals.batch import Crystals, read_crystals, write_crystals
from icsg3d_models.crystals.elements import NUMBER
from icsg3d_models.generation import rebuild as rebuilding
from icsg3d_models.generation import sample as sampling
from icsg3d_models.generation import segment as segmentation
from icsg3d_models.networks.model_file import file_hash, load_weights, read_header
from icsg3d_models.properties.predict import predict
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import RebuildSettings, SampleSettings, SegmentSettings

MODELS = Path(icsg3d_models.__file__).parent / "pretrained" / "perov5"
NETWORKS = ("vae", "unet", "prior", "cgcnn")
IDEAL = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]


def perovskite(a: str, b: str, x: str, length: float) -> Structure:
    return Structure(Lattice.cubic(length), [a, b, x, x, x], IDEAL)


def run_chain(folder: Path, **sampling_settings: object) -> Crystals:
    """Sample, segment and rebuild with the shipped models."""
    settings = {"vae": str(MODELS / "vae.safetensors"), "prior": str(MODELS / "prior.safetensors"), "device": "cpu"}
    sample = SampleSettings.model_validate({**settings, **sampling_settings})
    sampling.run(sample, Report("sample", folder))
    segment = SegmentSettings(unet=str(MODELS / "unet.safetensors"), elements=sample.elements, device="cpu")
    segmentation.run(segment, Report("segment", folder))
    rebuilding.run(RebuildSettings(device="cpu"), Report("rebuild", folder))
    with h5py.File(folder / "crystals.h5") as file:
        return read_crystals(file["crystals"])


def test_the_models_are_small_and_belong_together() -> None:
    files = [MODELS / f"{network}.safetensors" for network in NETWORKS]
    assert sum(path.stat().st_size for path in files) < 15e6
    headers = {network: read_header(path, network) for network, path in zip(NETWORKS, files, strict=True)}
    assert headers["prior"].config["vae_sha256"] == file_hash(MODELS / "vae.safetensors")
    assert headers["vae"].config["elements"] == headers["unet"].config["elements"]
    assert len({h.card["data"]["content_hash"] for h in headers.values()}) == 1
    for network, path in zip(NETWORKS, files, strict=True):
        assert load_weights(path)
        card = json.loads((MODELS / f"{network}.json").read_text())
        assert card == headers[network].card
        assert card["data"]["citation"]
        assert {"split", "seed", "settings", "validation", "test", "versions", "device"} <= set(card)
        assert not any("/" in str(v) for v in card["settings"].values() if isinstance(v, str)), "a path of one machine"


@pytest.mark.parametrize("turned", [False, True])
def test_known_perovskites_come_back(tmp_path: Path, turned: bool) -> None:
    """Encode and decode crystals, in the setting of the training data and in a foreign one."""
    originals = [perovskite("Pb", "Ti", "O", 3.97), perovskite("Mg", "Al", "N", 3.8), perovskite("K", "Mg", "F", 4.0)]
    given = [s.copy() for s in originals]
    if turned:
        for structure in given:
            structure.translate_sites(range(5), [0.21, 0.48, 0.87])
            structure.make_supercell([[0, 0, 1], [1, 1, 0], [0, 1, 0]])
    with h5py.File(tmp_path / "base.h5", "w") as file:
        write_crystals(file.create_group("crystals"), Crystals.from_structures(given))
    found = run_chain(tmp_path, mode="reconstruct", base="base.h5")
    matcher = StructureMatcher(ltol=0.05, stol=0.05, angle_tol=1)
    assert len(found) == len(originals)
    for original, structure in zip(originals, found.structures(), strict=True):
        assert matcher.fit(original, structure), structure
        assert structure.volume == pytest.approx(original.volume, rel=0.02)


def test_samples_keep_to_the_elements_and_to_the_seed(tmp_path: Path) -> None:
    wanted = ["Pb", "Ti", "Mg", "Al", "O"]
    crystals = run_chain(tmp_path, n_samples=48, elements=wanted, seed=4)
    again = run_chain(tmp_path, n_samples=48, elements=wanted, seed=4)
    assert len(crystals) >= 46
    assert set(crystals.numbers.tolist()) <= {NUMBER[s] for s in wanted}
    assert np.mean(crystals.counts == 5) > 0.9
    assert len(set(crystals.formulas())) > 5
    np.testing.assert_allclose(crystals.frac, again.frac, atol=1e-6)
    lengths = np.cbrt(crystals.volumes[crystals.counts == 5])
    assert lengths.min() > 3.2
    assert lengths.max() < 5.0


def test_predictions_and_the_fingerprint() -> None:
    """Stable SrTiO3-like titanates lie below a perovskite that nobody would make; unknown elements get a reason."""
    structures = [perovskite("Ca", "Ti", "O", 3.9), perovskite("Au", "B", "N", 3.9), perovskite("Pb", "Ti", "Xe", 5.0)]
    found = predict(Crystals.from_structures(structures), MODELS / "cgcnn.safetensors", torch.device("cpu"))
    energy = found.values["formation_energy_per_atom"]
    assert energy[0] < 1.0 < energy[1]
    assert np.isnan(energy[2])
    assert found.reasons[:2] == [None, None]
    assert "Xe" in str(found.reasons[2])
    fingerprint = read_fingerprint(MODELS / "fingerprint.h5")
    assert len(fingerprint) == read_header(MODELS / "cgcnn.safetensors").card["split"]["train"]


def test_base_crystals_of_another_kind_are_refused(tmp_path: Path) -> None:
    """Around rock salt, which came back as a perovskite of nitrogen, it sampled without a word."""
    settings = {"vae": str(MODELS / "vae.safetensors"), "prior": None, "base": "base.h5", "mode": "base"}
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    known = perovskite("Sr", "Ti", "O", 3.905)
    chosen = SampleSettings.model_validate({**settings, "n_samples": 4, "device": "cpu"})
    for crystals, used in (([known, salt], 1), ([salt], 0)):
        with h5py.File(tmp_path / "base.h5", "w") as file:
            write_crystals(file.create_group("crystals"), Crystals.from_structures(crystals))
        report = Report("sample", tmp_path)
        if not used:
            with pytest.raises(StageError, match=r"gives back .* of its field"):
                sampling.run(chosen, report)
            continue
        sampling.run(chosen, report)
        assert [row["id"] for row in report.tables["base"]] == ["crystal-0"]
        assert "has not seen such crystals" in report.tables["left_out"][0]["reason"]

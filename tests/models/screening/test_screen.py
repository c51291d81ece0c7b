"""Validity, uniqueness, novelty and ranking on cases worked by hand, and the stage as a whole."""

from __future__ import annotations

import csv
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from pymatgen.core import Lattice, Structure

from icsg3d_models.comparison.fingerprint import write_fingerprint
from icsg3d_models.crystals.batch import Crystals, write_crystals
from icsg3d_models.crystals.symmetry import space_group
from icsg3d_models.crystals.validity import composition_valid, structure_problems
from icsg3d_models.networks.cgcnn import CGCNN, CGCNNConfig
from icsg3d_models.networks.model_file import ModelHeader, save_model
from icsg3d_models.networks.voxelnet import VoxelNet, VoxelNetConfig
from icsg3d_models.properties.predict import predict
from icsg3d_models.results import Report, StageError
from icsg3d_models.screening.screen import run
from icsg3d_models.screening.uniqueness import find_duplicates
from icsg3d_models.settings import ScreenSettings

from .crystals_by_hand import perovskite, sodium

TARGET = "formation_energy_per_atom"


def rock_salt(length: float = 5.64) -> Structure:
    lattice = Lattice.cubic(length)
    return Structure.from_spacegroup("Fm-3m", lattice, ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


def caesium_chloride() -> Structure:
    return Structure(Lattice.cubic(3.4), ["Na", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.mark.parametrize(
    ("formula", "valid"),
    [
        ("NaCl", True),  # +1 -1
        ("NaCl2", False),  # sodium has no +2, chlorine nothing that would fit
        ("PbTiO3", True),
        ("CuZn", True),  # an alloy of metals
        ("Fe", True),  # an element
        ("C", True),
        ("CF4", True),
        ("LiO3", False),
        ("OgF2", False),  # no data: nothing is known in its favour
    ],
)
def test_composition(formula: str, valid: bool) -> None:
    assert composition_valid(formula) is valid


def test_structure_problems() -> None:
    flat = np.diag([4.0, 4.0, 0.005])
    crystals = Crystals.from_arrays(
        [4 * np.eye(3), 4 * np.eye(3), flat, np.full((3, 3), np.nan), np.diag([9.0, 9.0, 0.4]), 4 * np.eye(3)],
        [
            np.array([[0, 0, 0], [0.13, 0, 0]]),  # 0.52 Å
            np.array([[0.01, 0, 0], [0.99, 0.1, 0]]),  # 0.41 Å, through the face of the cell
            np.zeros((1, 3)),  # 0.08 Å³
            np.zeros((1, 3)),
            np.zeros((1, 3)),  # 0.4 Å from its own image
            np.zeros((0, 3)),
        ],
        [np.ones(2), np.ones(2), np.ones(1), np.ones(1), np.ones(1), np.zeros(0)],
        list("abcdef"),
    )
    problems = structure_problems(crystals)
    assert problems[0] is None
    expected = ["0.41 Å apart", "volume 0.08", "NaN", "0.40 Å apart", "no sites"]
    for problem, words in zip(problems[1:], expected, strict=True):
        assert words in str(problem)


def test_space_groups() -> None:
    rng = np.random.default_rng(0)
    noisy = perovskite()
    noisy.perturb(0.01)
    lopsided = Structure(Lattice.from_parameters(4.1, 5.2, 6.3, 75, 98, 112), ["Ti", "O", "O"], rng.random((3, 3)))
    crystals = Crystals.from_structures([rock_salt(), noisy, lopsided])
    assert [space_group(crystals, i) for i in range(3)] == [("Fm-3m", 225), ("Pm-3m", 221), ("P1", 1)]


def test_duplicates_are_found_in_any_description() -> None:
    first = perovskite()
    noisy = perovskite(length=4.05)
    noisy.perturb(0.05)
    structures = [
        first,
        perovskite("Ti", "Pb"),  # same composition, other sites: another crystal
        first.copy().make_supercell([2, 1, 1], in_place=False),
        noisy,
        rock_salt(),
        rock_salt().get_primitive_structure(),
        caesium_chloride(),  # same composition, another structure
        Structure(first.lattice, first.species, np.add(first.frac_coords, [0.2, 0.4, 0.7])),
    ]
    crystals = Crystals.from_structures(structures)
    assert find_duplicates(crystals, crystals.formulas()) == [None, None, 0, 0, None, 4, None, 0]


def write_inputs(folder: Path, structures: list[Structure], known: list[Structure], data: str = "other") -> None:
    """Write crystals, an untrained model of the data of that name, and the fingerprint of ``known``."""
    with h5py.File(folder / "crystals.h5", "w") as file:
        write_crystals(file, Crystals.from_structures(structures))
    torch.manual_seed(0)
    config = CGCNNConfig(targets=[TARGET], elements=[8, 11, 17, 22, 56, 82], members=2, width=8, hidden=8)
    header = ModelHeader("cgcnn", config.model_dump(), {"data": {"name": data}})
    save_model(folder / "cgcnn.safetensors", header, CGCNN(config).state_dict())
    write_fingerprint(folder / "fingerprint.h5", Crystals.from_structures(known), "known")


def screen(folder: Path, **options: object) -> tuple[Report, list[dict[str, str]]]:
    """Run the stage in ``folder`` and return its report and table."""
    report = Report("screen", folder, quiet=True)
    try:
        run(ScreenSettings(**({"device": "cpu"} | options)), report)  # type: ignore[arg-type]
    finally:
        if (folder / "screening.csv").exists():
            with open(folder / "screening.csv", encoding="utf-8") as stream:
                rows = list(csv.DictReader(stream))
    return report, rows


def candidates() -> list[Structure]:
    close = perovskite()
    close[1] = ("Ti", [0.05, 0, 0])
    return [
        perovskite(),
        perovskite(length=4.0),  # duplicate of the first
        perovskite("Ba", "Ti"),  # known
        perovskite("Ba", "Pb"),
        close,  # 0.2 Å
        perovskite("Sr", "Ti"),  # an element that the model does not know
        Structure(Lattice.cubic(4), ["Na", "Cl", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0, 0]]),  # NaCl2
    ]


def test_two_kinds_of_property_models_are_averaged(tmp_path: Path) -> None:
    write_inputs(tmp_path, [perovskite(), perovskite("Ba", "Pb")], [perovskite("Ba", "Ti")])
    config = VoxelNetConfig(targets=[TARGET], elements=[8, 22, 56, 82], size=8, hidden=(8,))
    header = ModelHeader("voxelnet", config.model_dump(), {})
    save_model(tmp_path / "voxelnet.safetensors", header, VoxelNet(config).state_dict())
    names = ("cgcnn.safetensors", "voxelnet.safetensors")
    _, rows = screen(tmp_path, reference="fingerprint.h5", require=["structure"], predictors=list(names))
    crystals = Crystals.from_structures([perovskite(), perovskite("Ba", "Pb")])
    each = [predict(crystals, tmp_path / name).values[TARGET] for name in names]
    found = [float(row[f"predicted_{TARGET}"]) for row in sorted(rows, key=lambda row: row["id"])]
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-4)


def test_stage_from_crystals_to_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_inputs(tmp_path, candidates(), [perovskite("Ba", "Ti")])
    report, rows = screen(tmp_path)
    assert report.tables["funnel"] == {"crystals": 7, "valid": 5, "unique": 4, "novel": 3, "selected": 2}
    assert {report.counts[k] for k in ("valid", "unique")} == {5, 4}
    assert "2 selected" in capsys.readouterr().err  # ten were asked for
    assert [row["id"] for row in rows] == [f"crystal-{i}" for i in range(7)]
    assert [row["structure_valid"] for row in rows] == ["True"] * 4 + ["False"] + ["True"] * 2
    assert [row["composition_valid"] for row in rows] == ["True"] * 6 + ["False"]
    assert rows[1]["duplicate_of"] == "crystal-0"
    assert rows[1]["unique"] == "False"
    assert rows[2]["novel"] == "False"
    assert rows[4][f"predicted_{TARGET}"] == ""
    assert "Sr: not among the elements" in rows[5]["reason"]
    assert (rows[0]["spacegroup_symbol"], rows[0]["spacegroup_number"]) == ("Pm-3m", "221")
    assert float(rows[0]["a"]) == pytest.approx(3.97)
    assert float(rows[0]["volume"]) == pytest.approx(3.97**3, rel=1e-5)
    selected = report.tables["selected"]
    assert set(selected) == {"crystal-0", "crystal-3"}
    energy = {row["id"]: float(row[f"predicted_{TARGET}"]) for row in rows if row["selected"] == "True"}
    assert energy[selected[0]] <= energy[selected[1]]
    assert {row["id"]: row["rank"] for row in rows if row["rank"]} == {selected[0]: "1", selected[1]: "2"}
    assert report.tables["composition_test"]["oxidation_states_set"] == "smact14"


def test_top_and_descending(tmp_path: Path) -> None:
    write_inputs(tmp_path, candidates(), [perovskite("Ba", "Ti")])
    best, _ = screen(tmp_path, top=1)
    worst, _ = screen(tmp_path, top=1, descending=True)
    assert len(best.tables["selected"]) == 1
    assert best.tables["selected"] != worst.tables["selected"]


def test_elements_asked_for(tmp_path: Path) -> None:
    write_inputs(tmp_path, candidates(), [perovskite("Ba", "Ti")])
    report, rows = screen(tmp_path, elements=["Pb", "Ti", "O"])
    assert report.tables["selected"] == ["crystal-0"]
    assert "not as asked: elements O Ti Pb, found O Ba Pb" in rows[3]["reason"]
    assert "not as asked: elements O Ti Pb, found O Ba Pb" in rows[3]["reason"]


def test_nothing_valid_still_writes_the_table(tmp_path: Path) -> None:
    write_inputs(tmp_path, [candidates()[4], candidates()[6]], [perovskite()])
    with pytest.raises(StageError, match="2 crystals, 0 valid, 0 unique") as raised:
        screen(tmp_path)
    assert raised.value.status == "nothing_valid"
    assert len((tmp_path / "screening.csv").read_text().splitlines()) == 3


def test_broken_crystals_are_named_and_the_others_screened(tmp_path: Path) -> None:
    write_inputs(tmp_path, [perovskite()], [perovskite("Ba", "Ti")])
    whole = Crystals.from_structures([perovskite()])
    crystals = Crystals.from_arrays(
        [whole.cell[0], np.full((3, 3), np.nan), np.zeros((3, 3)), 4 * np.eye(3), 4 * np.eye(3)],
        [whole.frac, np.zeros((1, 3)), np.zeros((1, 3)), np.zeros((0, 3)), np.zeros((1, 3))],
        [whole.numbers, np.array([8]), np.array([8]), np.zeros(0), np.array([0])],
        ["whole", "nan", "zero", "empty", "nothing"],
    )
    with h5py.File(tmp_path / "crystals.h5", "w") as file:
        write_crystals(file, crystals)
    report, rows = screen(tmp_path, top=1)
    assert report.tables["selected"] == ["whole"]
    reasons = [row["reason"].split(";")[0] for row in rows[1:]]
    for reason, words in zip(reasons, ["NaN", "volume 0", "no sites", "without an element"], strict=True):
        assert words in reason
    assert rows[1]["a"] == ""


def test_novelty_needs_a_reference(tmp_path: Path) -> None:
    write_inputs(tmp_path, candidates(), [perovskite()])
    (tmp_path / "fingerprint.h5").unlink()
    with pytest.raises(StageError, match="nothing to compare with") as raised:
        screen(tmp_path)
    assert raised.value.status == "settings_rejected"
    report, rows = screen(tmp_path, require=["structure", "composition", "unique"])
    assert {row["novel"] for row in rows} == {""}
    assert report.counts["unique"] == 4
    assert "novel" not in report.counts


def test_what_to_rank_by_must_be_predicted(tmp_path: Path) -> None:
    write_inputs(tmp_path, candidates(), [perovskite()])
    with pytest.raises(StageError, match="predictors predict formation_energy_per_atom"):
        screen(tmp_path, rank_by="band_gap")


@pytest.mark.parametrize(
    ("asked", "passing"),
    [
        ({"composition": "BaPbO3"}, ["crystal-3"]),
        ({"anonymous_formula": "ABC3"}, ["crystal-2", "crystal-3", "crystal-5"]),
        ({"elements": ["Ba", "Ti", "O"]}, ["crystal-2"]),
    ],
)
def test_only_what_was_asked_for_is_selected(tmp_path: Path, asked: dict[str, object], passing: list[str]) -> None:
    write_inputs(tmp_path, candidates(), [perovskite()])
    report, rows = screen(tmp_path, rank_by=None, **asked)
    assert report.tables["selected"] == passing
    assert f"not as asked: {next(iter(asked))} " in rows[6]["reason"]
    funnel = report.tables["funnel"]
    assert funnel["valid"] == 5  # who misses a asked is counted under that name, not as not valid
    assert len(passing) <= funnel["as_asked"] <= 5
    assert report.tables["set_aside"]["as_asked"] == 5 - funnel["as_asked"]


def test_without_anything_to_rank_by_candidates_keep_their_order(tmp_path: Path) -> None:
    write_inputs(tmp_path, candidates(), [perovskite()])
    best, rows = screen(tmp_path)
    worst, _ = screen(tmp_path, descending=True)
    report, _ = screen(tmp_path, rank_by=None)
    passing = {*best.tables["selected"], "crystal-5"}  # strontium, which the property model does not know
    assert report.tables["selected"] == [row["id"] for row in rows if row["id"] in passing]
    assert worst.tables["selected"] == best.tables["selected"][::-1]
    assert "unpredicted" not in report.tables


def test_crystals_that_no_model_predicts_are_told_apart_from_bad_ones(tmp_path: Path) -> None:
    """Magnesium oxide is a fine crystal, of an element that the property model does not know."""
    rock_salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(4.21), ["Mg", "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    write_inputs(tmp_path, [rock_salt], [perovskite()])
    with pytest.raises(StageError, match=r"1 passed without a prediction to rank by \(Mg: not among the elements"):
        screen(tmp_path)


def test_every_test_is_in_the_table_but_only_the_required_ones_set_aside(tmp_path: Path) -> None:
    write_inputs(tmp_path, [*candidates(), sodium()], [perovskite("Ba", "Ti")])
    (tmp_path / "known.txt").write_text("PbTiO3\n")
    report, rows = screen(tmp_path, known_formulas="known.txt", rank_by=None)
    assert (rows[0]["known_formula"], rows[3]["known_formula"]) == ("True", "False")
    assert rows[0]["reason"] == ""
    assert rows[0]["note"] == "TiPbO3 is a known compound (known.txt)"
    assert "crystal-0" in report.tables["selected"]
    report, rows = screen(
        tmp_path, known_formulas="known.txt", rank_by=None, require=["structure", "distance", "volume", "unknown"]
    )
    assert rows[0]["reason"] == "TiPbO3 is a known compound (known.txt)"
    assert "crystal-0" not in report.tables["selected"]
    assert list(report.tables["funnel"]) == [
        "crystals", "valid", "distance", "volume", "unique", "novel", "unknown", "selected",
    ]  # fmt: skip


def test_a_prediction_outside_the_training_is_flagged(tmp_path: Path) -> None:
    """Sodium metal got +3 eV/atom from a model of perovskites, without a word."""
    write_inputs(tmp_path, [sodium(), perovskite("Ba", "Pb")], [perovskite("Na", "Ti")], data="known")
    _, rows = screen(tmp_path, require=["structure"])
    assert rows[0][f"predicted_{TARGET}"] != ""
    assert rows[0]["in_chemistry"] == "False"
    assert "is an extrapolation: no crystal of the kind A in its training" in rows[0]["note"]
    with pytest.raises(StageError, match="2 novel, 0 trained_on, 0 selected"):  # barium and lead are not known either
        screen(tmp_path, require=["structure", "trained_on"])


def test_base_crystals_are_known(tmp_path: Path) -> None:
    write_inputs(tmp_path, candidates(), [perovskite("Ba", "Ti")])
    with h5py.File(tmp_path / "base.h5", "w") as file:
        write_crystals(file.create_group("crystals"), Crystals.from_structures([perovskite()]))
    report, rows = screen(tmp_path, base="base.h5")
    assert report.tables["selected"] == ["crystal-3"]
    assert rows[0]["reason"] == "not novel: it is a base crystal that was sampled around"
    assert report.tables["reference"] == "fingerprint of known, 1 crystals and 1 base crystal"

"""What is drawn of a crystal: images, bonds, polyhedra, labels, and the layers of a graph."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.campaigns.candidate import Candidate
from aiida_icsg3d.report.panels import match_cell, prediction_line, relaxed_note
from aiida_icsg3d.report.pictures.crystal import best_origin, build_scene, element_colour, element_radius
from aiida_icsg3d.report.pictures.layered import layers_of, place_layers
from aiida_icsg3d.report.pictures.picture import Panel, draw_picture, mathtext_formula, mathtext_spacegroup

PEROVSKITE = Structure(
    Lattice.cubic(3.9), ["Pb", "Ti", "O", "O", "O"], [[0.5] * 3, [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
)


def test_perovskite_has_a_cage_of_eight_and_one_octahedron() -> None:
    origin = best_origin(PEROVSKITE)
    np.testing.assert_allclose(origin, [0.5] * 3)  # the A site goes to the corner
    scene = build_scene(PEROVSKITE, origin)
    assert Counter(scene.symbols) == {"Pb": 8, "Ti": 1, "O": 6}
    assert len(scene.bonds) == 6
    ((centre, triangles),) = scene.polyhedra
    assert scene.symbols[centre] == "Ti"
    assert len(triangles) == 8
    a, b, c = (triangles - scene.positions[centre]).transpose(1, 0, 2)
    volume = np.abs(np.einsum("ij,ij->i", a, np.cross(b, c))).sum() / 6
    assert volume == pytest.approx(4 / 3 * (3.9 / 2) ** 3)


def test_octahedron_on_the_corner_is_completed_beyond_the_cell() -> None:
    scene = build_scene(PEROVSKITE, np.zeros(3))
    assert len(scene.polyhedra) == 1
    assert scene.positions.min() == pytest.approx(-3.9 / 2)


def test_rock_salt_and_an_element() -> None:
    salt = Structure.from_spacegroup("Fm-3m", Lattice.cubic(5.64), ["Na", "Cl"], [[0, 0, 0], [0.5] * 3])
    scene = build_scene(salt.get_primitive_structure(), best_origin(salt))
    assert {len(triangles) for _, triangles in scene.polyhedra} == {8}  # NaCl6
    diamond = Structure.from_spacegroup("Fd-3m", Lattice.cubic(3.567), ["C"], [[0, 0, 0]])
    scene = build_scene(diamond, np.zeros(3))
    assert scene.bonds
    assert not scene.polyhedra
    lengths = [np.linalg.norm(scene.positions[i] - scene.positions[j]) for i, j in scene.bonds]
    np.testing.assert_allclose(lengths, 3.567 * np.sqrt(3) / 4)


def test_single_atom() -> None:
    scene = build_scene(Structure(Lattice.cubic(2.8), ["Fe"], [[0.3, 0.3, 0.3]]), np.array([0.3] * 3))
    assert scene.symbols == ["Fe"] * 8


def test_colours_and_radii() -> None:
    for symbol in ("H", "O", "Ti", "Cs", "Og", "He"):
        assert ((element_colour(symbol) >= 0) & (element_colour(symbol) <= 1)).all()
        assert 0.2 < element_radius(symbol) < 1.0
    assert element_radius("Cs") > element_radius("Ti") > element_radius("O")


@pytest.mark.parametrize(
    ("formula", "shown"),
    [("PbTiO3", "PbTiO$_{3}$"), ("Ba3Nb", "Ba$_{3}$Nb"), ("Ca(OH)2", "Ca(OH)$_{2}$"), ("Si", "Si")],
)
def test_formula(formula: str, shown: str) -> None:
    assert mathtext_formula(formula) == shown


def test_spacegroup() -> None:
    assert mathtext_spacegroup("Pm-3m") == r"$Pm\bar{3}m$"
    assert mathtext_spacegroup("P6_3/mmc") == r"$P6_{3}/mmc$"
    assert mathtext_spacegroup("$\\input{x}$") == "$input x$".replace(" ", "")


def test_relaxed_crystal_is_drawn_in_the_setting_of_the_generated_one() -> None:
    moved = Structure(Lattice.cubic(3.8), PEROVSKITE.species[::-1], (PEROVSKITE.frac_coords[::-1] + 0.25) % 1)
    matched = match_cell(PEROVSKITE, moved)
    assert [s.symbol for s in matched.species] == [s.symbol for s in PEROVSKITE.species]
    assert matched.lattice.a == pytest.approx(3.8)
    other = Structure(Lattice.cubic(3.0), ["Fe"], [[0, 0, 0]])
    assert match_cell(PEROVSKITE, other) == other


def test_picture_is_drawn_with_and_without_dft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.setattr("aiida_icsg3d.report.pictures.picture.DPI", 40)
    smaller = PEROVSKITE.copy()
    smaller.scale_lattice(3.7**3)
    panels = [Panel(PEROVSKITE, smaller, "a", "b", "c"), Panel(PEROVSKITE, None, "a", "b", "DFT failed [401]")]
    with Image.open(draw_picture(panels, tmp_path / "picture.png")) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    rows, columns, _ = pixels.shape
    saturated = (pixels.max(axis=2) - pixels.min(axis=2)) > 80
    assert saturated[: rows // 2, 2 * columns // 3 :].any()  # a relaxed crystal in the first row
    assert not saturated[rows // 2 : -30, 2 * columns // 3 :].any()  # none in the second
    with pytest.raises(ValueError, match="no candidate"):
        draw_picture([], tmp_path / "none.png")


def test_layers_put_inputs_next_to_what_uses_them() -> None:
    nodes = ["data", "train", "model", "late", "sample", "rebuild"]
    edges = [("data", "train"), ("train", "model"), ("model", "sample"), ("sample", "rebuild"), ("late", "rebuild")]
    layer = layers_of(nodes, edges)
    assert layer == {"data": 0, "train": 1, "model": 2, "sample": 3, "late": 3, "rebuild": 4}


def test_placed_boxes_keep_their_distance_and_long_edges_bend_around_them() -> None:
    nodes = list("abcdef")
    edges = [("a", "b"), ("b", "c"), ("c", "d"), ("a", "d"), ("a", "e"), ("e", "c"), ("f", "d")]
    places, routes = place_layers(nodes, edges)
    assert routes["a", "d"][0] == places["a"]
    assert len(routes["a", "d"]) == 4
    points = {*places.values(), *(p for route in routes.values() for p in route)}
    for x, y in points:
        for box_x, box_y in places.values():
            if box_y == y and box_x != x:
                assert abs(box_x - x) > 0.7 - 1e-9


def test_what_is_not_known_is_said_in_words() -> None:
    target = "formation_energy_per_atom"
    assert prediction_line(target, {f"predicted_{target}": None}) == "no prediction"
    assert "= −1.25 eV/atom" in prediction_line(target, {f"predicted_{target}": -1.25})
    relax = {"workchain_uuid": "x", "a": 3.9, "energy_per_atom_eV": -10.0, "volume_change_percent": -17.0}
    assert "another structure now" in relaxed_note(Candidate("s1", {"formula": "C"}, None, relax))
    moved = relaxed_note(Candidate("s1", {"formula": "C"}, None, {**relax, "rmsd_angstrom": 0.02}))
    assert "volume −17.0 %, atoms moved 0.020 Å" in moved

"""Balls, rods and facets: closed, turned outwards, of the right size."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.report.pictures.crystal import best_origin, build_scene
from aiida_icsg3d.report.pictures.mesh import Mesh, ball, facets, rod, scene_meshes, unit_ball

RED = np.array([1.0, 0.0, 0.0])


def volume(mesh: Mesh) -> float:
    """Return the volume that a closed mesh holds; negative where its faces are turned inwards."""
    a, b, c = mesh.points[mesh.faces].transpose(1, 0, 2)
    return float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6)


def test_ball_has_the_volume_of_a_ball() -> None:
    found = ball("Na", np.array([1.0, 2.0, 3.0]), 1.5, RED, 3)
    assert len(found.faces) == 20 * 4**3
    assert volume(found) == pytest.approx(4 / 3 * np.pi * 1.5**3, rel=0.01)
    np.testing.assert_allclose(np.linalg.norm(found.normals, axis=1), 1)
    edges = np.sort(unit_ball(2)[1][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert set(np.unique(edges, axis=0, return_counts=True)[1]) == {2}  # closed


def test_rod_has_the_area_of_a_cylinder_and_looks_outwards() -> None:
    start, end = np.array([0.0, 1.0, 0.0]), np.array([2.0, 3.0, 1.0])
    found = rod("bond", start, end, 0.2, RED, sides=48, pieces=4)
    a, b, c = found.points[found.faces].transpose(1, 0, 2)
    normal = np.cross(b - a, c - a)
    assert np.linalg.norm(normal, axis=1).sum() / 2 == pytest.approx(2 * np.pi * 0.2 * 3, rel=0.01)
    outward = found.normals[found.faces].mean(axis=1)
    assert (np.einsum("ij,ij->i", normal, outward) > 0).all()


def test_facets_keep_their_area_when_they_are_split() -> None:
    triangles = np.array([[[1.0, 0, 0], [0, 1.0, 0], [0, 0, 1.0]]])
    areas = []
    for splits in (0, 2):
        found = facets("TiO6", triangles, np.zeros(3), RED, splits)
        assert len(found.faces) == 4**splits
        assert (found.normals @ np.ones(3) > 0).all()  # away from the centre
        a, b, c = found.points[found.faces].transpose(1, 0, 2)
        areas.append(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)
    assert areas[0] == pytest.approx(areas[1])


def test_crystal_has_a_mesh_for_each_thing() -> None:
    sites = [[0.5] * 3, [0, 0, 0], [0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5]]
    crystal = Structure(Lattice.cubic(3.9), ["Pb", "Ti", "O", "O", "O"], sites)
    meshes = scene_meshes(build_scene(crystal, best_origin(crystal)), 1, 1)
    names = {"cell", "Pb", "Ti", "O", "polyhedra of Ti", "edges of polyhedra of Ti"}
    assert {mesh.name for mesh in meshes} == names
    for mesh in meshes:
        assert mesh.faces.max() == len(mesh.points) - 1
        assert len(mesh.faces) == len(mesh.colours) == len(mesh.lit)
        assert (mesh.alpha < 1) == mesh.name.startswith("polyhedra")

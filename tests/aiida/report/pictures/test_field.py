"""Fields and their surfaces, against what can be worked out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.report.pictures.field import (
    LEVEL,
    SIGMA,
    Field,
    nearest_site,
    periodic_gaussians,
    refine,
    surface,
    surface_meshes,
)

SHEARED = np.array([[4.0, 0.0, 0.0], [1.3, 3.8, 0.0], [-0.7, 0.9, 4.4]])


def by_images(cell: np.ndarray, frac: np.ndarray, weights: np.ndarray, n: int, sigma: float) -> np.ndarray:
    """Return the sum of Gaussians over 7^3 images, term by term."""
    points = np.stack(np.meshgrid(*[np.arange(n) / n] * 3, indexing="ij"), axis=-1)
    total = np.zeros((n, n, n))
    for image in itertools.product(range(-3, 4), repeat=3):
        for site, weight in zip(frac, weights, strict=True):
            distance = (points - site - np.array(image)) @ cell
            total += weight * np.exp(-np.sum(distance**2, axis=-1) / (2 * sigma**2))
    return total


def test_gaussians_equal_the_sum_over_images() -> None:
    frac, weights = np.array([[0.1, 0.2, 0.3], [0.6, 0.9, 0.45]]), np.array([1.0, 2.5])
    found = periodic_gaussians(SHEARED, frac, weights, 20, 0.5)
    # 20 points over 4.4 Å: the Gaussian is resolved to about 1e-6 of its height
    np.testing.assert_allclose(found, by_images(SHEARED, frac, weights, 20, 0.5), atol=2e-5)


def test_refined_field_is_the_finer_field() -> None:
    frac, weights = np.array([[0.13, 0.41, 0.77]]), np.ones(1)
    for coarse in (15, 16):
        values = periodic_gaussians(SHEARED, frac, weights, coarse, 0.7)
        finer = periodic_gaussians(SHEARED, frac, weights, 32, 0.7)
        # equal up to the waves that the coarse grid cannot hold
        np.testing.assert_allclose(refine(values, 32), finer, atol=2e-4)
    assert refine(values, 8) is values


def test_refined_field_runs_through_the_given_points() -> None:
    values = np.random.default_rng(1).random((8, 8, 8))
    np.testing.assert_allclose(refine(values, 24)[::3, ::3, ::3], values, atol=1e-12)


def test_integral_of_a_gaussian() -> None:
    values = periodic_gaussians(SHEARED, np.array([[0.3, 0.3, 0.9]]), np.ones(1), 16, 0.6)
    integral = values.mean() * abs(np.linalg.det(SHEARED))
    assert integral == pytest.approx((2 * np.pi * 0.6**2) ** 1.5, rel=1e-10)


def test_field_is_periodic_and_its_gradient_points_uphill() -> None:
    site = np.array([[0.5, 0.5, 0.5]])
    field = Field(periodic_gaussians(SHEARED, site, np.ones(1), 32, 0.6), SHEARED)
    point = np.array([[0.4, 0.55, 0.6]])
    np.testing.assert_allclose(field.at(point), field.at(point + np.array([1, -2, 3])), atol=1e-9)
    away = ((point - site) @ SHEARED)[0]
    expected = -away / 0.6**2 * np.exp(-away @ away / (2 * 0.6**2))
    np.testing.assert_allclose(field.gradient(point)[0], expected, atol=0.05)


def test_nearest_site_goes_through_the_faces_of_the_cell() -> None:
    frac = np.array([[0.02, 0.5, 0.5], [0.7, 0.5, 0.5]])
    assert nearest_site(np.eye(3) * 4, frac, np.array([[0.98, 0.5, 0.5], [0.6, 0.5, 0.5]])).tolist() == [0, 1]


def test_mesh_has_the_volume_of_the_ball() -> None:
    cell, sigma, level = np.eye(3) * 5.0, 0.7, 0.3
    field = Field(periodic_gaussians(cell, np.array([[0.5, 0.5, 0.5]]), np.ones(1), 40, sigma), cell)
    mesh = surface(field, level, np.zeros(3))
    assert mesh is not None
    vertices, faces, normals = mesh
    a, b, c = (vertices @ cell)[faces].transpose(1, 0, 2)
    volume = np.einsum("ij,ij->i", a, np.cross(b, c)).sum() / 6  # positive: corners run as the normals say
    radius = sigma * np.sqrt(-2 * np.log(level))
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)
    outward = (vertices - 0.5) @ cell
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    np.testing.assert_allclose(normals, outward, atol=0.05)


def test_mesh_of_a_ball_on_a_corner_is_closed_by_the_faces_of_the_cell() -> None:
    cell = np.eye(3) * 5.0
    field = Field(periodic_gaussians(cell, np.zeros((1, 3)), np.ones(1), 40, 0.7), cell)
    mesh = surface(field, 0.3, np.zeros(3))
    assert mesh is not None
    edges = np.sort(mesh[1][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    assert set(np.unique(edges, axis=0, return_counts=True)[1]) == {2}


def test_no_surface_where_the_field_never_reaches_the_level() -> None:
    assert surface(Field(np.full((8, 8, 8), 0.1), np.eye(3)), 0.5, np.zeros(3)) is None


def test_surface_is_cut_where_the_cell_ends_and_the_cut_is_tinted() -> None:
    crystal = Structure(Lattice.cubic(5.0), ["Na"], [[0, 0, 0]])
    (found,) = surface_meshes(crystal, None, np.array([0.5, 0.5, 0.0]), 40)
    assert found.name == "field of Na"
    caps = found.points[found.faces[~found.lit]]  # half a ball at the bottom and half a ball at the top
    assert len(caps)
    np.testing.assert_allclose(np.minimum(caps[..., 2], 5 - caps[..., 2]), 0, atol=1e-3)
    area = np.linalg.norm(np.cross(caps[:, 1] - caps[:, 0], caps[:, 2] - caps[:, 0]), axis=1).sum() / 2
    radius = SIGMA * np.sqrt(-2 * np.log(LEVEL))
    assert area == pytest.approx(2 * np.pi * radius**2, rel=0.03)
    assert len(np.unique(found.colours[~found.lit], axis=0)) > 10
    assert len(np.unique(found.colours[found.lit], axis=0)) == 1

"""Painting: the right pixels, what is in front in front, seams closed."""

from __future__ import annotations

import io

import numpy as np
import pytest

from aiida_icsg3d.report.pictures.mesh import Mesh, ball, facets
from aiida_icsg3d.report.pictures.paint import paint, view_of

RED, BLUE = np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0])


def painted(meshes: list[Mesh], rotation: np.ndarray | None = None) -> np.ndarray:
    """Return (200, 200, 3) of 0..1: 5 x 5 Å around the origin, seen along z."""
    from matplotlib.figure import Figure
    from PIL import Image

    figure = Figure(figsize=(2, 2), dpi=100, facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(-2.5, 2.5), ylim=(-2.5, 2.5))
    paint(axes, meshes, np.eye(3) if rotation is None else rotation, np.zeros(3))
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    with Image.open(stream) as image:
        return np.asarray(image.convert("RGB")) / 255


def test_ball_covers_its_disc_without_seams() -> None:
    image = painted([ball("Na", np.zeros(3), 2.0, RED, 3)])
    covered = image[..., 1] < 0.99
    assert covered.sum() == pytest.approx(np.pi * (2.0 * 40) ** 2, rel=0.03)
    y, x = np.mgrid[:200, :200] - 99.5
    assert covered[np.hypot(x, y) < 75].all()


def test_what_is_in_front_hides_what_is_behind_in_any_order() -> None:
    balls = [ball("a", np.array([0, 0, 1.0]), 0.8, RED, 2), ball("b", np.array([0.3, 0, -1.0]), 0.8, BLUE, 2)]
    images = [painted(order) for order in (balls, balls[::-1])]
    np.testing.assert_array_equal(images[0], images[1])
    assert images[0][100, 100, 0] > 3 * images[0][100, 100, 2]


def test_balls_that_touch_cut_each_other_where_they_meet() -> None:
    pair = [ball("a", np.array([-0.5, 0, 0]), 1.0, RED, 3), ball("b", np.array([0.5, 0, 0]), 1.0, BLUE, 3)]
    image = painted(pair)
    assert (image[100, 70:97, 0] > image[100, 70:97, 2]).all()
    assert (image[100, 103:130, 2] > image[100, 103:130, 0]).all()


def test_facet_shows_what_is_behind_it_and_none_of_its_seams() -> None:
    triangle = np.array([[[-3.0, -3, 2], [3, -3, 2], [0, 3, 2]]])
    sheet = facets("TiO6", triangle, np.zeros(3), RED, 3)
    behind = ball("Na", np.zeros(3), 1.0, BLUE, 3)
    bare, image = painted([behind]), painted([behind, sheet])
    assert image[100, 100, 0] > bare[100, 100, 0]
    assert image[100, 100, 2] > image[100, 100, 0]
    alone = painted([sheet])[120:190, 60:140]
    assert np.ptp(alone, axis=(0, 1)).max() < 0.03


def test_view_is_a_rotation_with_the_third_vector_upright() -> None:
    cell = np.array([[4.0, 0.0, 0.0], [1.3, 3.8, 0.0], [-0.7, 0.9, 4.4]])
    rotation = view_of(cell)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)
    right, up, _ = rotation @ cell[2]
    assert up > 4
    assert abs(right) < 1.5
    assert (rotation @ cell[0])[2] > 3  # a points to the viewer
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turned *= np.linalg.det(turned)
    np.testing.assert_allclose(view_of(cell @ turned.T) @ turned @ cell.T, rotation @ cell.T, atol=1e-9)

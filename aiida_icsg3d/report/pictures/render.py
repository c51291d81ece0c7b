"""A small orthographic renderer in numpy: spheres, rods, translucent facets and periodic fields with depth.

Every pixel knows its depth, so balls, bonds, polyhedra and isosurfaces cut each other correctly, which
painting sorted objects cannot do. Lengths are in Å, images are (H, W) with row 0 at the top.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

AMBIENT, DIFFUSE, SPECULAR, SHININESS = 0.46, 0.56, 0.34, 28.0
LIGHT = np.array([-0.42, 0.58, 0.70]) / np.linalg.norm([-0.42, 0.58, 0.70])
HALFWAY = np.array([LIGHT[0], LIGHT[1], LIGHT[2] + 1]) / np.linalg.norm([LIGHT[0], LIGHT[1], LIGHT[2] + 1])


@dataclass(frozen=True)
class Camera:
    """A view along -z after a rotation, without perspective.

    :param rotation: (3, 3); its rows are the directions right, up and towards the viewer.
    :param centre: (3,) Å; drawn in the middle of the image.
    :param scale: pixels per Å.
    :param shape: height and width in pixels.
    """

    rotation: np.ndarray
    centre: np.ndarray
    scale: float
    shape: tuple[int, int]

    def view(self, points: np.ndarray) -> np.ndarray:
        """Return (n, 3) Å: right, up, towards the viewer, relative to the centre."""
        return (np.atleast_2d(points) - self.centre) @ self.rotation.T

    def pixel(self, view: np.ndarray) -> np.ndarray:
        """Return (n, 2) column and row of points in view coordinates."""
        height, width = self.shape
        return np.stack([width / 2 + view[:, 0] * self.scale, height / 2 - view[:, 1] * self.scale], axis=1)


def look(azimuth: float, elevation: float, upright: np.ndarray | None = None) -> np.ndarray:
    """Return the rotation of a camera that looks at the origin.

    :param azimuth: degrees from x towards y at which the viewer stands.
    :param elevation: degrees above the xy plane.
    """
    a, e = np.radians([azimuth, elevation])
    towards = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    up = np.array([0.0, 0.0, 1.0]) if upright is None else upright / np.linalg.norm(upright)
    right = np.cross(up, towards)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(towards, right), towards])


def shade(colour: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Return lit colours.

    :param colour: (..., 3) in 0..1.
    :param normal: (..., 3) unit vectors in view coordinates.
    """
    diffuse = np.clip(normal @ LIGHT, 0, 1)[..., None]
    shine = np.clip(normal @ HALFWAY, 0, 1)[..., None] ** SHININESS
    rim = np.clip(normal[..., 2:3], 0, 1)
    lit = colour * (AMBIENT + DIFFUSE * diffuse) * (0.62 + 0.38 * np.sqrt(rim))
    return np.clip(lit + SPECULAR * shine, 0, 1)


class Canvas:
    """An image with a depth for every pixel.

    ``colour`` (H, W, 3) in 0..1, ``alpha`` (H, W) and ``depth`` (H, W) in Å towards the viewer, -inf where empty.
    """

    def __init__(self, camera: Camera) -> None:
        self.camera = camera
        self.colour = np.ones((*camera.shape, 3))
        self.alpha = np.zeros(camera.shape)
        self.depth = np.full(camera.shape, -np.inf)

    @cached_property
    def plane(self) -> tuple[np.ndarray, np.ndarray]:
        """View coordinates (Å) of the pixel centres: right (W,) and up (H,)."""
        height, width = self.camera.shape
        right = (np.arange(width) + 0.5 - width / 2) / self.camera.scale
        return right, (height / 2 - np.arange(height) - 0.5) / self.camera.scale

    def _window(self, lowest: np.ndarray, highest: np.ndarray) -> tuple[slice, slice]:
        """Return rows and columns of the pixels between two corners in view coordinates."""
        height, width = self.camera.shape
        corners = self.camera.pixel(np.stack([lowest, highest]))
        columns = np.clip([np.floor(corners[0, 0]) - 1, np.ceil(corners[1, 0]) + 1], 0, width).astype(int)
        rows = np.clip([np.floor(corners[1, 1]) - 1, np.ceil(corners[0, 1]) + 1], 0, height).astype(int)
        return slice(*rows), slice(*columns)

    def _put(
        self,
        window: tuple[slice, slice],
        mask: np.ndarray,
        depth: np.ndarray,
        colour: np.ndarray,
        alpha: float = 1.0,
    ) -> None:
        """Write a patch where it lies in front; translucent patches leave the depth as it is."""
        front = mask & (depth > self.depth[window])
        target = self.colour[window]
        cover = self.alpha[window]
        if alpha < 1:
            # "over" with straight alpha: what is behind shows through
            out = alpha + cover[front] * (1 - alpha)
            old = target[front] * (cover[front] * (1 - alpha))[:, None]
            target[front] = (colour[front] * alpha + old) / out[:, None]
            cover[front] = out
        else:
            target[front] = colour[front]
            cover[front] = 1.0
            self.depth[window][front] = depth[front]

    def sphere(self, centre: np.ndarray, radius: float, colour: np.ndarray) -> None:
        """Draw a ball."""
        c = self.camera.view(centre)[0]
        window = self._window(c - radius, c + radius)
        x = (self.plane[0][window[1]] - c[0])[None, :] / radius
        y = (self.plane[1][window[0]] - c[1])[:, None] / radius
        square = x**2 + y**2
        z = np.sqrt(np.clip(1 - square, 0, None))
        normal = np.stack(np.broadcast_arrays(x, y, z), axis=-1)
        self._put(window, square <= 1, c[2] + z * radius, shade(colour, normal))

    def rod(self, start: np.ndarray, end: np.ndarray, radius: float, colour: np.ndarray, flat: bool = False) -> None:
        """Draw a cylinder without caps: its ends are meant to lie inside balls or other rods.

        :param flat: one colour without light, for lines.
        """
        a, b = self.camera.view(np.stack([start, end]))
        axis = b - a
        length = float(np.linalg.norm(axis))
        if length < 1e-9:
            return
        axis /= length
        window = self._window(np.minimum(a, b) - radius, np.maximum(a, b) + radius)
        x = self.plane[0][window[1]][None, :] - a[0]
        y = self.plane[1][window[0]][:, None] - a[1]
        # ray p(t) = (x, y, t): |p - (p.n) n|^2 = r^2
        across = x * axis[0] + y * axis[1]
        qa = 1 - axis[2] ** 2
        if qa < 1e-6:
            return
        qb = -across * axis[2]
        qc = x**2 + y**2 - across**2 - radius**2
        root = qb**2 - qa * qc
        t = (-qb + np.sqrt(np.clip(root, 0, None))) / qa
        along = across + t * axis[2]
        point = np.stack(np.broadcast_arrays(x, y, t), axis=-1)
        normal = (point - along[..., None] * axis) / radius
        mask = (root >= 0) & (along >= 0) & (along <= length)
        lit = np.broadcast_to(colour, point.shape) if flat else shade(colour, normal)
        self._put(window, mask, a[2] + t, lit)

    def facets(self, triangles: np.ndarray, colour: np.ndarray, alpha: float) -> None:
        """Draw translucent triangles (n, 3, 3), those behind first."""
        view = self.camera.view(triangles.reshape(-1, 3)).reshape(-1, 3, 3)
        for a, b, c in view[np.argsort(view[:, :, 2].mean(axis=1))]:
            normal = np.cross(b - a, c - a)
            size = float(np.linalg.norm(normal))
            if size < 1e-9 or abs(normal[2]) < 1e-9:
                continue
            window = self._window(np.min([a, b, c], axis=0), np.max([a, b, c], axis=0))
            x = self.plane[0][window[1]][None, :] - a[0]
            y = self.plane[1][window[0]][:, None] - a[1]
            u = ((c - a)[1] * x - (c - a)[0] * y) / normal[2]
            v = ((b - a)[0] * y - (b - a)[1] * x) / normal[2]
            depth = a[2] - (normal[0] * x + normal[1] * y) / normal[2]
            facing = normal / size * np.sign(normal[2])
            lit = np.broadcast_to(shade(colour, facing), (*depth.shape, 3))
            self._put(window, (u >= 0) & (v >= 0) & (u + v <= 1), depth, lit, alpha)

    def image(self, oversampling: int = 1) -> np.ndarray:
        """Return (H, W, 4) in 0..1, averaged over blocks of ``oversampling`` pixels."""
        n = oversampling
        height, width = (s // n for s in self.camera.shape)
        weight = self.alpha[: height * n, : width * n, None]
        weighted = np.concatenate([self.colour[: height * n, : width * n] * weight, weight], axis=2)
        mean = weighted.reshape(height, n, width, n, 4).mean(axis=(1, 3))
        mean[..., :3] /= np.maximum(mean[..., 3:], 1e-9)
        return mean

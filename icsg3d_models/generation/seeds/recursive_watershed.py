"""ICSG3D's segmentation: connected voxels that are convex are an atom, others are cut by a watershed, again and again.

After Court et al., J. Chem. Inf. Model. 2020, 10.1021/acs.jcim.0c00464, and its code. A component of more than three
voxels is an atom where it fills 0.8 of its convex hull. Otherwise it is eroded by a ball, what remains are the markers
of a watershed of the component, and where the pieces are fewer than their voxels suggest, each is looked at again, up
to five rounds deep. The box is not periodic. Changed here: a watershed stays within the component, so that no voxel is
lost, and every round erodes once more than the one before.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

LEAST_VOXELS = 4  # of a component
CONVEX = 0.8  # share of its convex hull that an atom fills
ATOM_VOXELS = 8  # of an atom, by which the number of pieces is judged
ROUNDS = 5


def atoms_of(mask: np.ndarray, as_published: bool = False, depth: int = 1) -> np.ndarray:
    """Return the number of the atom that each voxel belongs to, (n, n, n), 0 for none.

    :param mask: (n, n, n), not zero where there is an atom; pieces with different numbers are apart already.
    :param as_published: as the published code, which loses rims: the outside takes part in the watershed; and it knows
        the rim of a component only where that has the number 1, so that of all others what erosion leaves is left.
    """
    from skimage.measure import label

    atoms = np.zeros(mask.shape, dtype=np.int64)
    components = label(mask.astype(np.int64), connectivity=1)
    for number, box in enumerate(_boxes(components), start=1):
        part = components[box] == number
        if np.count_nonzero(part) < LEAST_VOXELS:
            continue
        here = atoms[box]
        if np.count_nonzero(part) >= CONVEX * _hull_size(part):
            here[part] = atoms.max() + 1
            continue
        pieces = _cut_as_published(part, number == 1) if as_published else _cut(part, depth)
        found = np.count_nonzero(pieces) // ATOM_VOXELS
        if found > len(np.unique(pieces)) - 1 and depth < ROUNDS:
            pieces = atoms_of(pieces, as_published, depth + 1)
        here[pieces > 0] = pieces[pieces > 0] + atoms.max()
    return atoms


def _boxes(components: np.ndarray) -> list[Any]:
    """Return the bounding box of every component, as slices."""
    from scipy.ndimage import find_objects

    boxes: list[Any] = find_objects(components)
    return boxes


def _hull_size(part: np.ndarray) -> int:
    """Return how many voxels the convex hull of a component has; of a flat one, as many as it has itself."""
    from skimage.morphology import convex_hull_image

    if min(part.shape) < 2:  # without a volume
        return int(np.count_nonzero(part))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a flat component has no hull, which is what 0 says
        size = int(np.count_nonzero(convex_hull_image(part)))
    return size or int(np.count_nonzero(part))


def _cut(part: np.ndarray, depth: int) -> np.ndarray:
    """Return the pieces of a component, numbered from 1: a watershed from what so many erosions leave of it.

    :param part: (i, j, k) bool; where nothing is left it is one piece.
    """
    from scipy.ndimage import binary_erosion
    from skimage.measure import label
    from skimage.morphology import ball
    from skimage.segmentation import watershed

    core = binary_erosion(part, ball(1), iterations=depth)
    if not core.any():
        return part.astype(np.int64)
    pieces: np.ndarray = watershed(part.astype(np.uint8), label(core), mask=part)
    return pieces.astype(np.int64)


def _cut_as_published(part: np.ndarray, rim_known: bool) -> np.ndarray:
    """Return the pieces of a component as the published code cuts it: what is outside floods the rim as well.

    :param rim_known: the watershed has the rim to divide; otherwise it has nothing to do, and what erosion leaves is
        what there is.
    """
    from skimage.measure import label
    from skimage.morphology import ball, dilation, erosion
    from skimage.segmentation import watershed

    solid = part.astype(np.uint8)
    core = erosion(solid, ball(1))
    markers = label(core) + 1  # 1: outside
    if rim_known:
        markers[dilation(solid, ball(1)) > core] = 0
    pieces = watershed(solid, markers)
    return np.where(pieces > 1, pieces - 1, 0).astype(np.int64)


def read_atoms(atoms: np.ndarray, species: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the element and place of every atom by majority and mean of its voxels.

    :param atoms: (n, n, n) from :func:`atoms_of`; ``species``: (n, n, n) atomic number of every voxel, 0 for none.
    :return: atomic numbers (R,), places (R, 3) in voxels, shares of the voxels that agree (R,), and the numbers (R,)
        that these have in ``atoms``; one whose voxels are of no element is none.
    """
    where = np.argwhere(atoms > 0)
    owner, kind = atoms[tuple(where.T)], species[tuple(where.T)]
    numbers, places, shares, labels = [], [], [], []
    for index in np.unique(owner):
        mine = owner == index
        counts = np.bincount(kind[mine])
        counts[0] = 0
        if not counts.any():
            continue
        numbers.append(int(counts.argmax()))
        places.append(where[mine].mean(axis=0))
        shares.append(float(counts.max() / mine.sum()))
        labels.append(int(index))
    return np.array(numbers, dtype=np.int64), np.array(places).reshape(-1, 3), np.array(shares), np.array(labels)

"""Structure fingerprints: CrystalNN coordination and order parameters, averaged over the sites.

The 61 numbers of a site are, for every coordination number 1 to 24, the likelihood of that number and,
for 1 to 12, that likelihood times the order parameters of the motifs known for it (octahedral, square
co-planar, ...). This is the preset "ops" that CDVAE (arXiv:2110.06197) takes for COV.

Sources: Zimmermann and Jain, RSC Adv. 10, 6063 (2020), doi:10.1039/C9RA07755C (order parameters and
fingerprint); Pan et al., Inorg. Chem. 60, 1590 (2021), doi:10.1021/acs.inorgchem.0c02996 (CrystalNN).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from ...crystals.batch import CrystalError, Crystals
from ...workers import Progress, parallel_map

if TYPE_CHECKING:
    from pymatgen.core import Structure

LARGEST_COORDINATION = 24
STEINHARDT = ("q2", "q4", "q6")
# Coordination numbers that the Steinhardt parameters describe, beside or in place of a named motif.
STEINHARDT_COORDINATIONS = (9, 10, 11, 12)


@functools.cache
def motifs() -> dict[int, tuple[tuple[str, Any], ...]]:
    """Return, per coordination number, the motifs as pairs of name and pymatgen order parameter."""
    from pymatgen.analysis.local_env import CN_OPT_PARAMS, LocalStructOrderParams

    result: dict[int, tuple[tuple[str, Any], ...]] = {}
    for coordination in range(1, LARGEST_COORDINATION + 1):
        found: list[tuple[str, Any]] = []
        for name, entry in CN_OPT_PARAMS.get(coordination, {}).items():
            kind: Any = entry[0]
            parameters: Any = entry[1] if len(entry) > 1 else None
            # a plain dictionary: pymatgen's keeps the comments of a YAML file and is slow to read
            parameters = None if parameters is None else dict(parameters)
            found.append((name, LocalStructOrderParams([kind], parameters=[parameters])))
        if coordination == 1:
            found.append(("sgl_bd", LocalStructOrderParams(["sgl_bd"], parameters=[None])))
        if coordination in STEINHARDT_COORDINATIONS:
            found += [(q, LocalStructOrderParams([q], parameters=[None])) for q in STEINHARDT]
        result[coordination] = tuple(found)
    return result


def labels() -> list[str]:
    """Return the 61 names of the components of a fingerprint."""
    return [f"{name} CN_{n}" for n, known in motifs().items() for name in ("wt", *(m for m, _ in known))]


@functools.cache
def _crystal_nn() -> Any:
    """Return CrystalNN with its defaults: distance_cutoffs (0.5, 1), x_diff_weight 3, porous_adjustment."""
    from pymatgen.analysis.local_env import CrystalNN

    return CrystalNN()


def site_fingerprint(structure: Structure, index: int) -> np.ndarray:
    """Return the fingerprint of one site, (61,)."""
    data = _crystal_nn().get_nn_data(structure, index)
    values: list[float] = []
    for coordination, known in motifs().items():
        weight = data.cn_weights.get(coordination, 0.0)
        values.append(weight)
        if weight == 0:
            values += [0.0] * len(known)
            continue
        cluster = [structure[index], *(neighbour["site"] for neighbour in data.cn_nninfo[coordination])]
        around = list(range(1, len(cluster)))
        for _, parameter in known:
            # None: the parameter is not defined for this cluster (for instance collinear neighbours)
            value = parameter.get_order_parameters(cluster, 0, indices_neighs=around)[0]
            values.append(weight * (value or 0.0))
    return np.array(values)


def fingerprint(arrays: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """Return the mean of the site fingerprints of one crystal, (61,); all NaN where there is none.

    CDVAE counts a crystal without a fingerprint as not valid. None exists where no Voronoi cell can be
    built, as in a singular cell.

    :param arrays: cell (3, 3) Å, fractional coordinates (n, 3), atomic numbers (n,).
    """
    from pymatgen.core import Lattice, Structure

    cell, frac, numbers = arrays
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # CrystalNN warns at every site that there are no oxidation states
        try:
            structure = Structure(Lattice(cell), numbers.tolist(), frac)
            sites = [site_fingerprint(structure, i) for i in range(len(structure))]
        except Exception:
            # qhull, pymatgen and numpy each have their own exceptions for impossible geometry; the
            # definition is "cannot be constructed", and the NaN returned is counted as a failure
            return np.full(len(labels()), np.nan)
    return np.mean(sites, axis=0) if sites else np.full(len(labels()), np.nan)


def crystal_key(cell: np.ndarray, frac: np.ndarray, numbers: np.ndarray) -> str:
    """Return a hash of one crystal, equal for numbers equal to 1e-6."""
    digest = hashlib.sha256()
    for array in (np.round(cell, 6) + 0.0, np.round(frac, 6) + 0.0, numbers.astype(np.int64)):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def structure_fingerprints(
    crystals: Crystals, workers: int = 1, cache: Path | None = None, progress: Progress | None = None
) -> np.ndarray:
    """Return the fingerprints of all crystals, (B, 61); a row of NaN where there is none.

    :param workers: processes; a Perov-5 crystal takes about 50 ms on one core.
    :param cache: HDF5 file to take known fingerprints from and to add the new ones to; one written with
        another version of pymatgen is started afresh.
    """
    keys = [crystal_key(crystals.cell[i], *crystals.sites(i)) for i in range(len(crystals))]
    known = _read_cache(cache)
    missing = {key: i for i, key in enumerate(keys) if key not in known}
    items = [(crystals.cell[i], *crystals.sites(i)) for i in missing.values()]
    known.update(zip(missing, parallel_map(fingerprint, items, workers, progress), strict=True))
    if cache is not None and missing:
        _write_cache(cache, known)
    return np.array([known[key] for key in keys]).reshape(len(crystals), len(labels()))


def _read_cache(path: Path | None) -> dict[str, np.ndarray]:
    if path is None or not path.is_file():
        return {}
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("pymatgen") != importlib.metadata.version("pymatgen"):
                return {}
            return dict(zip(file["keys"].asstr()[()], file["fingerprints"][()], strict=True))
    except (OSError, KeyError, ValueError) as exception:
        raise CrystalError(f"{path}: no readable cache of fingerprints ({exception}); delete it") from exception


def _write_cache(path: Path, known: dict[str, np.ndarray]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with h5py.File(temporary, "w") as file:
        file.attrs["pymatgen"] = importlib.metadata.version("pymatgen")
        file.create_dataset("keys", data=list(known), dtype=h5py.string_dtype())
        entry = file.create_dataset("fingerprints", data=np.array(list(known.values())), compression="gzip")
        entry.attrs.update(units="1", dimensions="crystal,component")
    os.replace(temporary, path)

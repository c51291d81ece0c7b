"""The CGCNN of ICSG3D: one graph convolution over the twelve nearest neighbours of every site, and their mean.

After Xie & Grossman, Phys. Rev. Lett. 120, 145301 (2018), 10.1103/PhysRevLett.120.145301, in the form of Court et al.,
J. Chem. Inf. Model. 2020, 10.1021/acs.jcim.0c00464: sites as 93 numbers that say in which class nine properties of the
element are, 41 Gaussians up to 8 Å, batch normalisation, one convolution of 64 channels, softplus throughout. Where the
shell of the twelfth neighbour has more sites than are still taken, which are taken is left to the order of the sites.
There a network predicts one property; here any number of heads stands on the same convolution, one where one is named.

Shapes: B crystals, N sites, E directed pairs, F channels, T targets.
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from ...crystals.elements import MAX_Z
from ...settings.seeds.options import ICSG3DCGCNNOptions
from ..cgcnn import CrystalGraph, mean_by_crystal
from ..layers.ensemble import PropertyEnsemble

EIGHT = ("formation_energy_per_atom", "bulk_modulus", "shear_modulus", "dielectric_constant", "eij_max",
         "refractive_index", "energy_per_atom", "band_gap")  # fmt: skip
"""The properties that ICSG3D predicts."""
EPSILON = 1e-5


class ICSG3DCGCNNConfig(ICSG3DCGCNNOptions):
    """Configuration of the network."""

    targets: list[str]
    """Names of the predicted properties."""
    elements: list[Annotated[int, Field(ge=1, le=MAX_Z)]]
    """Atomic numbers that training has seen; crystals with others are not predicted."""


@functools.cache
def element_classes() -> np.ndarray:
    """Return (MAX_Z + 1, 93) classes of the elements, as Xie and Grossman list them, each one of so many.

    Group (18), period (9), electronegativity 0.5 to 4 (10), covalent radius 0.25 to 2.5 Å (10), valence electrons (12),
    logarithm of the first ionisation energy 1.3 to 3.3 (10), electron affinity -3 to 3.7 eV (10), block (4), logarithm
    of the molar volume 1.5 to 4.3 (10). Values are those of pymatgen and, of the radii, of ASE (Cordero); what is not
    tabulated is in no class.
    """
    from ase.data import covalent_radii
    from pymatgen.core import Element

    rows = np.zeros((MAX_Z + 1, 93), dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of every value that it does not have
        for z in range(1, MAX_Z + 1):
            element = Element.from_Z(z)
            radius = float(covalent_radii[z]) if z < len(covalent_radii) else math.nan
            places = [
                (18, element.group - 1), (9, element.row - 1), (10, _bin(_value(element, "X"), 0.5, 4.0)),
                (10, _bin(radius, 0.25, 2.5)), (12, min(_valence(element), 12) - 1),
                (10, _bin(_log(_value(element, "ionization_energy")), 1.3, 3.3)),
                (10, _bin(_value(element, "electron_affinity"), -3.0, 3.7)), (4, "spdf".index(element.block)),
                (10, _bin(_log(_value(element, "molar_volume")), 1.5, 4.3)),
            ]  # fmt: skip
            start = 0
            for size, place in places:
                if place is not None:
                    rows[z, start + place] = 1.0
                start += size
    return rows


def _value(element: Any, name: str) -> float:
    """Return a property of a pymatgen Element, NaN where it has none."""
    try:
        value = getattr(element, name)
        return math.nan if value is None else float(value)
    except (KeyError, TypeError, ValueError):
        return math.nan


def _log(value: float) -> float:
    return math.log(value) if value > 0 else math.nan


def _bin(value: float, least: float, most: float, count: int = 10) -> int | None:
    """Return the class of a value between two bounds; those beyond are in the first or the last."""
    return None if math.isnan(value) else min(max(int((value - least) / (most - least) * count), 0), count - 1)


def _valence(element: Any) -> int:
    """Return the electrons beyond the noble gas before, without filled d and f shells, at least 1."""
    z, noble = element.Z, max(core for core in (0, 2, 10, 18, 36, 54, 86) if core < element.Z)
    electrons = z - noble
    if element.row >= 6 and element.block in "dp":
        electrons -= 14
    return max(1, electrons - 10 if element.block == "p" and element.row >= 4 else electrons)


class Normalisation(nn.Module):
    """Batch normalisation; or, as the published code has it, by one mean and one spread of all in the batch."""

    def __init__(self, channels: int, as_published: bool) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)
        self.as_published = as_published

    def forward(self, x: Tensor) -> Tensor:
        """Return x (M, channels), normalised."""
        if not self.as_published:
            return self.norm(x) if len(x) > 1 or not self.training else x
        scaled = (x - x.mean()) / (x.var(correction=0) + EPSILON).sqrt()
        return scaled * self.norm.weight + self.norm.bias


class Member(nn.Module):
    """The network: graph -> (B, T) standardised targets."""

    def __init__(self, config: ICSG3DCGCNNConfig, classes: int) -> None:
        super().__init__()
        width = config.width
        self.embed = nn.Linear(classes, width)
        self.pair = nn.Linear(2 * width + config.radial, 2 * width)
        self.pair_norm = Normalisation(2 * width, config.as_published_normalisation)
        self.site_norm = Normalisation(width, config.as_published_normalisation)
        self.hidden = nn.Linear(width, config.hidden)
        self.head = nn.Linear(config.hidden, len(config.targets))

    @property
    def heads(self) -> list[nn.Module]:
        """The layers that have an output for each target."""
        return [self.head]

    def forward(self, graph: CrystalGraph, classes: Tensor, rbf: Tensor) -> Tensor:
        """Return (B, T)."""
        h = self.embed(classes[graph.numbers])  # (N, F)
        joined = torch.cat([h[graph.source], h[graph.target], rbf], dim=1)  # (E, 2F + R)
        gate, core = self.pair_norm(self.pair(joined)).chunk(2, dim=1)  # (E, F) each
        total = torch.zeros_like(h).index_add(0, graph.source, torch.sigmoid(gate) * softplus(core))
        h = softplus(h + self.site_norm(total))
        found: Tensor = self.head(softplus(self.hidden(softplus(mean_by_crystal(h, graph)))))
        return found


class ICSG3DCGCNN(PropertyEnsemble):
    """One network, in the form in which the project takes several."""

    classes: Tensor
    centres: Tensor

    def __init__(self, config: ICSG3DCGCNNConfig) -> None:
        super().__init__(len(config.targets))
        self.config = config
        classes = torch.from_numpy(element_classes().copy())
        self.register_buffer("classes", classes)
        self.register_buffer("centres", torch.linspace(0, config.cutoff, config.radial), persistent=False)
        self.members = nn.ModuleList([Member(config, classes.shape[1])])

    def forward(self, graph: CrystalGraph) -> Tensor:
        """Return the standardised predictions, (1, B, T)."""
        step = self.config.cutoff / (self.config.radial - 1)
        rbf = torch.exp(-(((graph.distance[:, None] - self.centres) / step) ** 2))
        return torch.stack([member(graph, self.classes, rbf) for member in self.members])

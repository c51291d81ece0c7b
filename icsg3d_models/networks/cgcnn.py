"""CGCNN: a crystal graph convolutional network that predicts scalar properties of crystals.

After Xie & Grossman, Phys. Rev. Lett. 120, 145301 (2018), 10.1103/PhysRevLett.120.145301, with these changes:
every neighbour within the cut-off counts, weighted by an envelope that falls smoothly to zero, where the
original takes the nearest twelve, so that the prediction depends on the crystal and not on its cell; layer
normalisation in place of batch normalisation, so that it does not depend on the batch; several targets at
once, some of which may be missing; and an ensemble whose members also learn how large their errors are: what
all of them get wrong alike has no spread. That head sees the sites as they are and changes nothing in them, as
far as predictions go the network is the same (errors that are learned: Nix & Weigend, Proc. ICNN 1994,
10.1109/ICNN.1994.374138).

Shapes: B crystals, N sites, E directed pairs, F channels, T targets, M members.
"""

from __future__ import annotations

import functools
import math
import warnings
from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ..crystals.elements import MAX_Z
from ..settings.network_options import CGCNNOptions
from .layers.ensemble import PropertyEnsemble


class CGCNNConfig(CGCNNOptions):
    """Configuration of the network."""

    targets: list[str]
    """Names of the predicted properties."""
    elements: list[Annotated[int, Field(ge=1, le=MAX_Z)]]
    """Atomic numbers that training has seen; crystals with others are not predicted."""


_TABULATED = (
    "mendeleev_no",
    "X",
    "atomic_radius",
    "average_ionic_radius",
    "ionization_energy",
    "electron_affinity",
    "molar_volume",
)


class CrystalGraph(NamedTuple):
    """A batch of crystals as one graph."""

    numbers: Tensor  # (N,) int64 atomic numbers
    owner: Tensor  # (N,) int64 crystal of each site
    source: Tensor  # (E,) int64 site that receives
    target: Tensor  # (E,) int64 site that sends
    distance: Tensor  # (E,) float32 Å
    size: int  # B

    def to(self, device: torch.device | str) -> CrystalGraph:
        """Return the graph on another device."""
        numbers, owner, source, target, distance = (value.to(device) for value in self[:5])
        return CrystalGraph(numbers, owner, source, target, distance, self.size)


@functools.cache
def element_descriptors() -> np.ndarray:
    """Return (MAX_Z + 1, D) float32 descriptors of the elements: place in the table, shells, size, affinity.

    Each column has mean 0 and variance 1 over the elements; a value that is not tabulated is 0.
    """
    from pymatgen.core import Element

    rows = np.full((MAX_Z + 1, 15), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pymatgen warns of every value it does not have
        for z in range(1, MAX_Z + 1):
            element = Element.from_Z(z)
            states = element.common_oxidation_states or (math.nan,)
            tabulated = [_tabulated(element, name) for name in _TABULATED]
            rows[z] = [element.row, element.group, max(states), min(states), *_outer_shells(z), *tabulated]
    rows -= np.nanmean(rows, axis=0)
    rows /= np.nanstd(rows, axis=0)
    return np.nan_to_num(rows).astype(np.float32)


def _outer_shells(z: int) -> list[int]:
    """Return the electrons in the outermost s, p, d and f shell, filled in the order of n + l (Madelung)."""
    outer, left = [0, 0, 0, 0], z
    shells = [(n, angular) for n in range(1, 9) for angular in range(min(n, 4))]
    for _, angular in sorted(shells, key=lambda shell: (sum(shell), shell[0])):
        if left > 0:
            outer[angular] = min(left, 4 * angular + 2)
            left -= outer[angular]
    return outer


def _tabulated(element: Any, name: str) -> float:
    """Return a property of a pymatgen Element, NaN where it has none."""
    try:
        return float(getattr(element, name) or math.nan)
    except (KeyError, TypeError):
        return math.nan


class Convolution(nn.Module):
    """Gated messages from all neighbours, h_i += g(Σ_j w(d_ij) · sigmoid(a_ij) · silu(b_ij)).

    The linear map of [h_i, h_j, rbf(d_ij)] (equation 5 of the paper) is taken apart: what depends on one
    site is computed once a site, not once a pair.
    """

    def __init__(self, config: CGCNNConfig) -> None:
        super().__init__()
        width = config.width
        self.norm = nn.LayerNorm(width)
        self.receive = nn.Linear(width, 2 * width)
        self.send = nn.Linear(width, 2 * width, bias=False)
        self.radial = nn.Linear(config.radial, 2 * width, bias=False)
        self.mix = nn.Linear(width, width)

    def forward(self, h: Tensor, graph: CrystalGraph, rbf: Tensor, weight: Tensor) -> Tensor:
        """Return h (N, F) after one exchange; rbf is (E, R) and weight (E, 1)."""
        x = self.norm(h)
        pair = self.radial(rbf)  # (E, 2F)
        pair = pair + self.receive(x)[graph.source] + self.send(x)[graph.target]
        gate, core = pair.chunk(2, dim=-1)  # (E, F) each
        message = torch.sigmoid(gate) * nn.functional.silu(core) * weight
        total = torch.zeros_like(h).index_add(0, graph.source, message)  # (N, F)
        return h + self.mix(total)


class Member(nn.Module):
    """One network of the ensemble: graph -> (B, T) standardised targets."""

    def __init__(self, config: CGCNNConfig, descriptors: int) -> None:
        super().__init__()
        width = config.width
        self.embedding = nn.Embedding(MAX_Z + 1, width)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.describe = nn.Sequential(nn.Linear(descriptors, width), nn.SiLU(), nn.Linear(width, width))
        self.convolutions = nn.ModuleList(Convolution(config) for _ in range(config.convolutions))
        self.site = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, config.hidden), nn.SiLU())
        self.readout = nn.Sequential(
            nn.Linear(config.hidden, config.hidden),
            nn.SiLU(),
            nn.Dropout(config.dropout),
            nn.Linear(config.hidden, len(config.targets)),
        )
        self.error = None
        if config.error_head:
            self.error = nn.Sequential(
                nn.Linear(config.hidden, config.hidden), nn.SiLU(), nn.Linear(config.hidden, len(config.targets))
            )

    @property
    def heads(self) -> list[nn.Module]:
        """The layers that have an output for each target."""
        return [self.readout[-1]] if self.error is None else [self.readout[-1], self.error[-1]]

    def forward(
        self, graph: CrystalGraph, descriptors: Tensor, rbf: Tensor, weight: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Return predictions (B, T) and the logarithms of their typical errors (B, T), None without that head."""
        h = self.embedding(graph.numbers) + self.describe(descriptors[graph.numbers])  # (N, F)
        for convolution in self.convolutions:
            h = convolution(h, graph, rbf, weight)
        crystal = mean_by_crystal(self.site(h), graph)  # (B, H)
        return self.readout(crystal), None if self.error is None else self.error(crystal.detach())


def mean_by_crystal(values: Tensor, graph: CrystalGraph) -> Tensor:
    """Return the mean over the sites of each crystal, (N, F) -> (B, F)."""
    total = values.new_zeros(graph.size, values.shape[1]).index_add(0, graph.owner, values)
    return total / torch.bincount(graph.owner, minlength=graph.size).clamp(min=1)[:, None]


class CGCNN(PropertyEnsemble):
    """Ensemble of graph networks.

    :param config: see :class:`CGCNNConfig`.
    """

    descriptors: Tensor
    centres: Tensor

    def __init__(self, config: CGCNNConfig) -> None:
        super().__init__(len(config.targets))
        self.config = config
        descriptors = torch.from_numpy(element_descriptors().copy())
        self.register_buffer("descriptors", descriptors)
        self.register_buffer("centres", torch.linspace(0, config.cutoff, config.radial + 1)[1:], persistent=False)
        self.members = nn.ModuleList(Member(config, descriptors.shape[1]) for _ in range(config.members))

    def radial_basis(self, distance: Tensor) -> tuple[Tensor, Tensor]:
        """Return Gaussians of the distance (E, R) and the envelope (E, 1), both smooth at the cut-off."""
        width = self.config.cutoff / self.config.radial
        rbf = torch.exp(-0.5 * ((distance[:, None] - self.centres) / width) ** 2)
        envelope = 0.5 * (1 + torch.cos(math.pi * (distance / self.config.cutoff).clamp(max=1)))
        return rbf, envelope[:, None]

    @property
    def expects_errors(self) -> bool:
        """Whether the members say how large their errors are."""
        return self.config.error_head

    def forward(self, graph: CrystalGraph) -> Tensor:
        """Return the standardised predictions of every member, (M, B, T)."""
        return self.with_errors(graph)[0]

    def with_errors(self, batch: CrystalGraph) -> tuple[Tensor, Tensor | None]:
        """Return the standardised predictions of every member and the logarithms of their errors, (M, B, T) each."""
        rbf, weight = self.radial_basis(batch.distance)
        found = [member(batch, self.descriptors, rbf, weight) for member in self.members]
        errors = torch.stack([error for _, error in found]) if self.config.error_head else None
        return torch.stack([value for value, _ in found]), errors

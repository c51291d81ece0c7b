"""What can be chosen of the networks of the seed papers; the defaults are what was published.

Sources: ICSG3D, Court et al., J. Chem. Inf. Model. 2020, 10.1021/acs.jcim.0c00464, and its code; Hoffmann et al.,
arXiv:1909.00949, and its code.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ...strict import Positive
from ..base import NetworkOptions

Sixteenths = Annotated[int, Field(ge=16, multiple_of=16)]


class ICSG3DUNetOptions(NetworkOptions):
    """Of the U-Net of ICSG3D."""

    derived = ("elements", "radii", "class_weights")

    grid: Sixteenths = 32
    """Points of the box along each axis; the box reaches a quarter of the cell beyond it on either side."""
    width: Positive = 32
    """Channels of the first convolution; at most sixteen times as many at the bottom."""
    sigma_fraction: Annotated[float, Field(gt=0)] = 1.0
    """Width of the Gaussian of a site, in units of its mean ionic radius."""
    label_fraction: Annotated[float, Field(gt=0)] = 1.0
    """Voxels so close to a site belong to it, in units of the width of its Gaussian."""
    as_published_class_weights: bool = False
    """The published code computes class weights and gives the loss the number of classes, 95, in their place."""


class ICSG3DVAEOptions(NetworkOptions):
    """Of the conditional VAE of ICSG3D."""

    derived = ("elements", "radii", "edges", "grid", "sigma_fraction")

    target: str = "formation_energy_per_atom"
    """Property of the dataset that it is told, as one of `bins` quantiles."""
    bins: Annotated[int, Field(ge=2)] = 10
    filters: Annotated[tuple[Positive, ...], Field(min_length=4, max_length=4)] = (16, 32, 64, 128)
    """Channels of the encoder's four levels; those of the decoder mirror them."""
    latent: Annotated[int, Field(ge=2)] = 256
    loss_feature: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the squared differences of the U-Net's activations (alpha)."""
    loss_kl: Annotated[float, Field(ge=0)] = 3e-4
    """Weight of the KL divergence (beta)."""
    as_published_lattice: bool = False
    """The published code reads lattices 1/32 too short: it takes the last interval off twice."""


class ICSG3DCGCNNOptions(NetworkOptions):
    """Of the CGCNN of ICSG3D."""

    derived = ("elements", "targets")

    width: Positive = 64
    """Channels of a site."""
    hidden: Positive = 128
    """Channels of the dense layer after the pooling."""
    cutoff: Annotated[float, Field(gt=1)] = 8.0
    """Å."""
    nearest: Positive = 12
    """Neighbours of a site that take part, the nearest ones."""
    radial: Annotated[int, Field(ge=2)] = 41
    """Gaussians that describe a distance, equally spaced from 0 to the cut-off."""
    as_published_normalisation: bool = False
    """The published code normalises by mean and spread of the batch also where it predicts, so that a prediction
    depends on what it is predicted with."""


class HoffmannUNetOptions(NetworkOptions):
    """Of the attention U-Net of Hoffmann et al."""

    derived = ("elements",)

    representation: Literal["one", "repeating"] = "repeating"
    """What the box shows: the atoms of one cell in its middle, or the crystal without end."""
    width: Annotated[int, Field(ge=2)] = 64
    """Channels of the first level; each of the next four has twice as many."""
    as_published_images: bool = False
    """Of a repeating crystal, count of every site only the image that is nearest to a point, as the published code
    does: the density has edges half way between two images."""


class HoffmannVAEOptions(NetworkOptions):
    """Of the VAE of Hoffmann et al."""

    derived = ("elements", "representation", "as_published_images", "species_channels")

    latent: Annotated[int, Field(ge=2)] = 300
    width: Positive = 16
    """Channels of the first convolution; the last has sixteen times as many."""
    hidden: tuple[Positive, Positive] = (3000, 3200)
    """Channels of the dense layers before and after the latent."""
    loss_kl: Annotated[float, Field(ge=0)] = 5.0
    """Weight of the KL divergence, a mean over the latent."""
    loss_labels: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the binary cross-entropy of the labels that the U-Net gives the decoded density."""
    as_published_twice: bool = False
    """The published code adds the gradient of the labels a second time, with weight 1."""

"""What can be chosen of a network, each option once: the settings take it, and so does the network's configuration.

The configuration classes in networks/ add what follows from the data (elements, means); see ``derived``.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from ..strict import Positive, Strict
from .base import NetworkOptions
from .problems import describe_problems
from .seeds.options import (
    HoffmannUNetOptions,
    HoffmannVAEOptions,
    ICSG3DCGCNNOptions,
    ICSG3DUNetOptions,
    ICSG3DVAEOptions,
)

Width = Annotated[int, Field(ge=8, multiple_of=8)]


class UNetOptions(NetworkOptions):
    """Of the U-Net."""

    derived = ("elements", "species_channels")

    grid: Width = 16
    """Points of the occupancy along each lattice vector; species channels have half as many."""
    spacing: Annotated[float, Field(gt=0.1, lt=1.0)] | None = None
    """Å; points of the occupancy at most this far apart whatever the cell, in place of `grid`. For crystals of
    many shapes and sizes; VAE and prior trained upon it are then the local ones."""
    width: Width = 32
    """Channels at half resolution; a quarter resolution has twice as many."""


class VAELoss(Strict):
    """Weights of the loss of a VAE, and how its training crystals are changed."""

    loss_occupancy: Annotated[float, Field(ge=0)] = 0.2
    """Weight of the squared error of the occupancy, summed over voxels."""
    loss_species_field: Annotated[float, Field(ge=0)] = 0.1
    """Weight of the squared error of the species channels, summed over voxels and channels."""
    loss_feature: Annotated[float, Field(ge=0)] = 0.5
    """Weight of the mean squared error of the U-Net's activations, relative to their variance."""
    loss_species: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the cross-entropy of species, summed over sites."""
    loss_lattice: Annotated[float, Field(ge=0)] = 3.0
    """Weight of the squared error of the standardised lattice vector."""
    loss_kl: Annotated[float, Field(ge=0)] = 1e-3
    """Weight of the KL divergence, reached after the first quarter of the training."""
    loss_substitution: Annotated[float, Field(ge=0, le=1)] = 0.3
    """Probability that an element of a training crystal is exchanged for another."""
    keep_latents: bool = False
    """Fine-tuning: only the decoder learns. Latents stay what they were, so that a prior of them still fits."""
    loss_rattle: Annotated[float, Field(ge=0)] = 0.1
    """Å; local VAE: largest standard deviation of the displacements that the training crystals get."""


class VAEOptions(NetworkOptions):
    """Of a VAE upon a U-Net with a `grid`."""

    derived = ("elements", "lattice_mean", "lattice_std", "grid", "species_channels")

    latent: Annotated[int, Field(ge=2)] = 128
    """Size of the latent."""
    width: Width = 64
    """Channels at a quarter of the resolution; an eighth has twice as many."""


class LocalVAEOptions(NetworkOptions):
    """Of a VAE upon a U-Net with a `spacing`."""

    derived = ("elements", "spacing", "species_channels")

    channels: Annotated[int, Field(ge=2)] = 16
    """Latent numbers a block of 4³ voxels."""
    width: Width = 48
    encoder_blocks: Positive = 2
    """Residual blocks of the encoder; each looks two blocks of voxels further."""
    decoder_blocks: Positive = 3


class TrainedVAEOptions(VAEOptions, VAELoss):
    """Upon a U-Net with a `grid`."""


class TrainedLocalVAEOptions(LocalVAEOptions, VAELoss):
    """Upon a U-Net with a `spacing`."""


class PriorOptions(NetworkOptions):
    """Of a prior upon the latents of a VAE of a `grid`."""

    derived = ("elements", "latent_mean", "latent_std", "conditions", "targets", "target_mean", "target_std",
               "vae_sha256", "examples", "example_elements")  # fmt: skip

    valid_compositions: bool = False
    """Trained only on crystals whose composition passes the test of the screening: neutral, with electronegativities
    in order."""
    width: Annotated[int, Field(ge=16)] = 384
    depth: Positive = 3
    """Residual layers."""


class LocalPriorOptions(NetworkOptions):
    """Of a prior upon the latents of a VAE of a `spacing`."""

    derived = ("elements", "spacing", "latent_mean", "latent_std", "lattice_mean", "lattice_std", "conditions",
               "targets", "target_mean", "target_std", "patterns", "vae_sha256", "examples",
               "example_kinds", "example_symmetry", "example_codes")  # fmt: skip

    width: Width = 64
    depth: Positive = 4
    """Residual blocks; each looks two blocks of voxels further."""
    lattice_width: Annotated[int, Field(ge=8)] = 128
    lattice_depth: Positive = 3
    told_operations: bool = True
    """Told of the operations of the space group of a crystal, and where in the cell they stand, beside its number."""


class CGCNNOptions(NetworkOptions):
    """Of a CGCNN."""

    derived = ("elements", "targets")

    members: Positive = 3
    """Independent networks; their mean is the prediction and their spread the uncertainty."""
    width: Positive = 64
    """Channels of a site."""
    convolutions: Positive = 2
    """Graph convolutions, each of which looks one cut-off further."""
    cutoff: Annotated[float, Field(gt=1)] = 5.0
    """Å; every neighbour closer than this takes part."""
    radial: Positive = 20
    """Gaussians that describe a distance, equally spaced up to the cut-off."""
    hidden: Positive = 64
    """Channels of the readout."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of readout channels dropped while training."""
    error_head: bool = True
    """Members learn how large their errors are, beside the spread between them."""


class VoxelNetOptions(NetworkOptions):
    """Of a VoxelNet."""

    derived = ("elements", "targets")

    members: Positive = 1
    """Independent networks; their mean is the prediction and their spread the uncertainty."""
    channels: Literal["codes", "elements"] = "codes"
    """`elements`: one an element, as published; `codes`: 16 in all, in which the elements overlap."""
    grid: Literal["cartesian", "spherical"] = "spherical"
    """Both are published; docs/benchmarks/aflow.md compares them."""
    size: Annotated[int, Field(ge=8, multiple_of=2)] = 16
    """N, points along each edge."""
    length: Annotated[float, Field(gt=0)] = 10.0
    """L in Å: voxels have the width 2π/L, and the grid ends at πN/L."""
    sigma: Annotated[float, Field(ge=0)] = 0.05
    """Å; width of the Gaussian that stands for an atom."""
    width: Positive = 16
    """Channels of the convolutions."""
    hidden: tuple[Positive, ...] = (1024, 32, 8)
    """Channels of the dense layers."""
    orientations: Positive = 8
    """Orientations over which a prediction is averaged."""
    whole_grid: bool = False
    """Read both halves of the grid, as published; opposite points hold the same."""
    loss: Literal["huber", "squared"] = "huber"
    """Of the standardised targets."""


# network -> its kinds. Which kind a VAE or a prior is, the network before it decides: that of a `grid` or of a
# `spacing`. Without it, what either takes is accepted; where both do, the first stands.
KINDS: dict[str, tuple[type[NetworkOptions], ...]] = {
    "unet": (UNetOptions,),
    "vae": (TrainedVAEOptions, TrainedLocalVAEOptions),
    "prior": (PriorOptions, LocalPriorOptions),
    "cgcnn": (CGCNNOptions,),
    "voxelnet": (VoxelNetOptions,),
}
SYSTEM_KINDS: dict[str, dict[str, type[NetworkOptions]]] = {
    "icsg3d-2020": {"unet": ICSG3DUNetOptions, "vae": ICSG3DVAEOptions, "cgcnn": ICSG3DCGCNNOptions},
    "hoffmann-2019": {"unet": HoffmannUNetOptions, "vae": HoffmannVAEOptions},
    "voxelnet": {"voxelnet": VoxelNetOptions},
}
"""System of a seed paper -> network -> its options."""


def kinds_of(network: str, preset: str | None = None) -> tuple[type[NetworkOptions], ...]:
    """Return the kinds of options of a network; a system of a seed paper has one, where it has such a network.

    :raises ValueError: the system does not have it.
    """
    if preset is None:
        return KINDS[network]
    if network not in SYSTEM_KINDS[preset]:
        raise ValueError(f"{preset} has no {network}; it has {', '.join(SYSTEM_KINDS[preset])}")
    return (SYSTEM_KINDS[preset][network],)


def read_options(
    network: str, given: dict[str, Any], local: bool | None = None, preset: str | None = None
) -> NetworkOptions:
    """Return the options of a network.

    :param local: whether the network before it has a `spacing`; None: not known, or it does not matter.
    :param preset: the system of a seed paper that it belongs to.
    :raises ValueError: an unknown option, or a value that is not accepted.
    """
    kinds = kinds_of(network, preset)
    if local is not None and len(kinds) > 1:
        kinds = (kinds[local],)
    derived = [name for name in given if any(name in kind.derived for kind in kinds)]
    if derived:
        raise ValueError(f"{network}: {', '.join(derived)} follow from the data; leave them out")
    problems = []
    for kind in kinds:
        try:
            return kind.model_validate(given)
        except ValidationError as exception:
            problems.append((len(exception.errors()), describe_problems(exception, kind)))
    raise ValueError(f"{network}: {min(problems)[1]}")  # of the kind that fits best

"""The classes of networks that model files name. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkClass:
    """Where a class of networks is, and what it takes to use it.

    :param network: what it is for, one of :data:`icsg3d_models.networks.model_file.NETWORKS`.
    :param module: of this folder; it holds the class and its configuration, ``<class>Config``.
    :param needs_prior: autoencoders: nothing new can be decoded without a prior that was fitted to it.
    """

    network: str
    module: str
    needs_prior: bool = False


CLASSES = {
    "UNet": NetworkClass("unet", "unet"),
    "VAE": NetworkClass("vae", "vae"),
    "LocalVAE": NetworkClass("vae", "local_vae", needs_prior=True),
    "Prior": NetworkClass("prior", "prior"),
    "LocalPrior": NetworkClass("prior", "local_prior"),
    "CGCNN": NetworkClass("cgcnn", "cgcnn"),
    "VoxelNet": NetworkClass("voxelnet", "voxelnet"),
    "HoffmannUNet": NetworkClass("unet", "seeds.hoffmann_unet"),
    "HoffmannVAE": NetworkClass("vae", "seeds.hoffmann_vae"),
    "ICSG3DUNet": NetworkClass("unet", "seeds.icsg3d_unet"),
    "ICSG3DVAE": NetworkClass("vae", "seeds.icsg3d_vae"),
    "ICSG3DCGCNN": NetworkClass("cgcnn", "seeds.icsg3d_cgcnn"),
}

"""The stage ``sample``: latents from the prior, around base crystals or between two, decoded into fields."""

from __future__ import annotations

import math
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from ..crystals.batch import Crystals, read_crystals
from ..crystals.elements import NUMBER, SYMBOLS
from ..data.datasets import read_dataset
from ..devices import select_device
from ..fields.batches import to_batch
from ..fields.field_file import ArrayWriter, group_name
from ..networks.local_prior import LocalPrior
from ..networks.local_vae import LocalVAE
from ..networks.model_file import file_hash
from ..networks.prior import Prior
from ..networks.registry import load_network
from ..networks.vae import VAE
from ..results import Report, StageError
from ..settings import SampleSettings
from .encoding import decode, encode
from .local_latents import latents_between, latents_of_base, local_errors, reduced, spacing_of
from .local_prior_latents import latents_of_prior, wishes_of
from .registration import errors_of, register

UNITS = {
    "occupancy": "1 at the centre of an atom; sample,i,j,k",
    "species": "element code times a Gaussian; sample,channel,i,j,k",
    "cell": "angstrom; sample,vector,xyz",
    "latent": "1; sample,component",
    "sample": "index of the sample; sample",
}


def run(settings: SampleSettings, report: Report) -> None:
    """Write the field file; the counts say how many samples it holds."""
    device = select_device(settings, report)
    path = report.directory / settings.vae
    report.inputs["vae"] = file_hash(path) if path.is_file() else ""
    vae = load_network(path, "vae", device)
    assert isinstance(vae, VAE | LocalVAE)
    allowed = allowed_elements(settings.elements, vae.config.elements, str(settings.vae))
    generator = torch.Generator(device).manual_seed(settings.seed)
    if isinstance(vae, LocalVAE):
        write_local(settings, report, vae, device)
        return
    if settings.spacing is not None:
        raise StageError(
            "settings_rejected", f"`spacing`: the fields of {settings.vae} all have one grid; leave it out"
        )
    if settings.shape_wishes:
        raise StageError(
            "settings_rejected",
            f"{', '.join(settings.shape_wishes)}: {settings.vae} makes cells of one kind and cannot aim at that; "
            "a VAE for crystals of any shape with its prior can",
        )
    if settings.mode == "prior":
        latent = from_prior(settings, report, vae, allowed, generator)
    else:
        latent = from_base(settings, report, vae, generator)
    with ArrayWriter(report.directory / settings.fields, UNITS) as writer:
        done = 0
        for some in latent.split(settings.batch_size):
            occupancy, species, cell = decode(vae, some)
            writer.append(
                occupancy=occupancy[:, 0].half().cpu().numpy(),
                species=species.half().cpu().numpy(),
                cell=cell.cpu().numpy(),
                latent=some.cpu().numpy(),
                sample=np.arange(done, done + len(some)),
            )
            done += len(some)
            report.progress(done, len(latent))
    report.counts["samples"] = len(latent)


def write_local(settings: SampleSettings, report: Report, vae: LocalVAE, device: torch.device) -> None:
    """Write the field file of a local VAE, one group a grid."""
    total = settings.n_samples
    if settings.mode == "prior":
        prior = fitted_prior(settings, report, device)
        if not isinstance(prior, LocalPrior):
            raise StageError("input_incompatible", f"{settings.prior} is no prior of a VAE for crystals of any shape")
        latents = latents_of_prior(prior, wishes_of(settings, prior, str(settings.prior)), settings, device)
    else:
        base = known_base(settings, report, vae.config.elements)
        if settings.register_base or settings.mode == "interpolate":
            base = reduced(base)
        errors = local_errors(vae, base, device, spacing_of(vae, settings))
        report.tables["base"] = [
            {"id": name, "reconstruction_error": float(e)} for name, e in zip(base.ids, errors, strict=True)
        ]
        total = len(base) if settings.mode == "reconstruct" else settings.n_samples
        if settings.mode == "interpolate":
            latents = latents_between(vae, two(base), settings, device)
        else:
            latents = latents_of_base(vae, base, settings, device)
    done = 0
    with ArrayWriter(report.directory / settings.fields, UNITS) as writer:
        for some in latents:
            with torch.no_grad():
                occupancy, species = vae.decode(some.latent, some.cell)
            writer.append(
                group_name(some.grid),
                occupancy=occupancy[:, 0].half().cpu().numpy(),
                species=species.half().cpu().numpy(),
                cell=some.cell.cpu().numpy(),
                latent=some.latent.cpu().numpy(),
                sample=some.sample,
            )
            done += len(some.sample)
            report.progress(done, total)
    report.counts["samples"] = total


def fitted_prior(settings: SampleSettings, report: Report, device: torch.device) -> Prior | LocalPrior:
    """Load the prior.

    :raises StageError: none is given, or it was fitted to another VAE.
    """
    if settings.prior is None:
        raise StageError(
            "settings_rejected",
            f"mode 'prior' with {settings.vae} needs a fitted prior: give `prior`, or base crystals",
        )
    path = report.directory / settings.prior
    prior = load_network(path, "prior", device)
    assert isinstance(prior, Prior | LocalPrior)
    report.inputs["prior"] = file_hash(path)
    if prior.config.vae_sha256 != report.inputs["vae"]:
        raise StageError(
            "input_incompatible",
            f"{settings.prior} was fitted to another VAE than {settings.vae}; fit a prior to this one",
        )
    return prior


def two(base: Crystals) -> Crystals:
    """Return the base crystals, of which there must be two."""
    if len(base) != 2:
        raise StageError("settings_rejected", f"mode `interpolate` needs two base crystals, received {len(base)}")
    return base


def allowed_elements(symbols: list[str] | None, known: list[int], model: str) -> list[int]:
    """Return the atomic numbers that may occur.

    :raises StageError: an element the model does not know.
    """
    if symbols is None:
        return known
    numbers = [NUMBER[s] for s in symbols]
    unknown = [SYMBOLS[z] for z in numbers if z not in known]
    if unknown:
        names = ", ".join(SYMBOLS[z] for z in known)
        raise StageError(
            "input_incompatible",
            f"{model} does not know {', '.join(unknown)}; it was trained on {names}. "
            "Leave them out, or train on data that has them",
        )
    return numbers


def from_prior(
    settings: SampleSettings, report: Report, vae: VAE, allowed: list[int], generator: torch.Generator
) -> Tensor:
    """Return (n_samples, Z) latents from the fitted prior, or from N(0, 1) where none is given."""
    device = generator.device
    noise = torch.randn(settings.n_samples, vae.config.latent, generator=generator, device=device)
    if settings.prior is None:
        if settings.targets:
            raise StageError("settings_rejected", "targets need a fitted prior; give `prior`, or leave out `targets`")
        return noise
    prior = fitted_prior(settings, report, device)
    assert isinstance(prior, Prior)
    unknown = sorted(set(settings.targets) - set(prior.config.targets))
    if unknown:
        known = ", ".join(prior.config.targets) or "none"
        raise StageError("input_incompatible", f"{settings.prior} has no target {', '.join(unknown)}; it has {known}")
    if settings.elements is None and not settings.targets and prior.config.examples:
        masks, goals = prior.drawn(len(noise), generator)
    else:
        masks, goals = one_condition(settings, prior, allowed)
    size = 4 * settings.batch_size
    pieces = [
        prior.sample(some, mask, goal, settings.guidance)
        for some, mask, goal in zip(
            noise.split(size),
            masks.expand(len(noise), -1).split(size),
            goals.expand(len(noise), -1).split(size),
            strict=True,
        )
    ]
    return torch.cat(pieces)


def one_condition(settings: SampleSettings, prior: Prior, allowed: list[int]) -> tuple[Tensor, Tensor]:
    """Return what all samples are asked for: (1, E) elements allowed and (1, T) standardised targets."""
    config, device = prior.config, prior.latent_mean.device
    mask = torch.zeros(1, len(config.elements), device=device)
    if settings.elements is not None:
        mask = torch.tensor([[float(z in allowed) for z in config.elements]], device=device)
    goal = [
        (settings.targets[name] - mean) / std if name in settings.targets else math.nan
        for name, mean, std in zip(config.targets, config.target_mean, config.target_std, strict=True)
    ]
    return mask, torch.tensor([goal], device=device)


def from_base(settings: SampleSettings, report: Report, vae: VAE, generator: torch.Generator) -> Tensor:
    """Return latents of base crystals, around them, dealt evenly, or on the line between two."""
    device = generator.device
    base = known_base(settings, report, vae.config.elements)
    if settings.register_base:
        base, error = register(vae, base, device)
    else:
        error = errors_of(vae, to_batch(base).to(device)).cpu().numpy()
    report.tables["base"] = [
        {"id": name, "reconstruction_error": float(e)} for name, e in zip(base.ids, error, strict=True)
    ]
    mean, _ = encode(vae, to_batch(base).to(device))
    if settings.mode == "reconstruct":
        return mean
    if settings.mode == "interpolate":
        two(base)
        t = torch.linspace(0, 1, settings.n_samples, device=device)[:, None]
        return (1 - t) * mean[0] + t * mean[1]
    rows = torch.arange(settings.n_samples, device=device) % len(base)
    noise = torch.randn(settings.n_samples, vae.config.latent, generator=generator, device=device)
    width = torch.ones(vae.config.latent, device=device)
    if settings.prior is not None:
        prior = load_network(report.directory / settings.prior, "prior", device)
        assert isinstance(prior, Prior)
        width = prior.latent_std
    return mean[rows] + settings.spread * width * noise


def known_base(settings: SampleSettings, report: Report, elements: list[int]) -> Crystals:
    """Return the base crystals.

    :raises StageError: the file is missing or empty, or holds elements that the model does not know.
    """
    assert settings.base is not None
    base = read_base(report.directory / settings.base, settings.base_part)
    unknown = sorted(set(base.numbers.tolist()) - set(elements))
    if unknown:
        names = ", ".join(SYMBOLS[z] for z in unknown)
        raise StageError("input_incompatible", f"{settings.base}: the model does not know {names}")
    return base


def read_base(path: Path, part: str | None = None) -> Crystals:
    """Return the base crystals of a crystal file or, in their order, of one part of a dataset file.

    :param part: ``train``, ``validation`` or ``test``; None: all crystals of either kind of file.
    :raises StageError: the file is missing or empty.
    :raises icsg3d_models.crystals.batch.CrystalError: the file is damaged, or no dataset where a part is asked for.
    """
    if not path.is_file():
        raise StageError("input_missing", f"{path}: no such file of base crystals")
    if part is not None:
        dataset = read_dataset(path)
        return dataset.crystals.take(dataset.part(part))
    with h5py.File(path, "r") as file:
        crystals = read_crystals(file.get("crystals", file))
    if len(crystals) == 0:
        raise StageError("input_unreadable", f"{path}: holds no crystal")
    return crystals

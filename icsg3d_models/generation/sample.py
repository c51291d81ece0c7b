"""The stage ``sample``: latents from the prior, around base crystals or between two, decoded into fields."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from ..conditions import completed, not_taken
from ..conditions.target import PREFIX
from ..crystals.elements import NUMBER, SYMBOLS
from ..devices import select_device
from ..fields.field_file import ArrayWriter, group_name
from ..networks.generator import Autoencoder, DrawError, Drawing, Draws, LatentPrior, Latents
from ..networks.model_file import file_hash, read_header
from ..networks.registry import load_network
from ..results import Report, StageError
from ..settings import SampleSettings
from .base_crystals import known_base, recognised, settled
from .base_latents import latents_between, latents_of_base

UNITS = {
    "occupancy": "1 at the centre of an atom; sample,i,j,k",
    "species": "element code times a Gaussian; sample,channel,i,j,k",
    "coordinates": "angstrom; sample,xyz,i,j,k",
    "cell": "angstrom; sample,vector,xyz",
    "latent": "1; sample,component",
    "sample": "index of the sample; sample",
    "contents": "atomic number and atoms in the cell that it was drawn to hold; sample,element,pair",
}


def run(settings: SampleSettings, report: Report) -> None:
    """Write the field file; the counts say how many samples it holds."""
    device = select_device(settings, report)
    path = report.directory / settings.vae
    report.inputs["vae"] = file_hash(path) if path.is_file() else ""
    vae = load_network(path, "vae", device)
    allowed_elements(settings.asked.get("elements"), vae.config.elements, str(settings.vae))
    if settings.mode == "prior":
        latents, total = new_latents(settings, report, vae), settings.n_samples
    else:
        latents, total = base_latents(settings, report, vae)
    done = 0
    with ArrayWriter(report.directory / settings.fields, UNITS) as writer:
        for some in latents:
            with torch.no_grad():
                occupancy, species, cell = vae.decode(some.latent, some.cell)
            nx, ny, nz = occupancy.shape[2:]
            writer.append(
                "" if vae.spacing is None else group_name((nx, ny, nz)),
                occupancy=occupancy[:, 0].half().cpu().numpy(),
                **({} if vae.second_array is None else {vae.second_array: species.half().cpu().numpy()}),
                cell=cell.cpu().numpy(),
                latent=some.latent.cpu().numpy(),
                sample=np.asarray(some.sample),
                **({} if some.contents is None else {"contents": some.contents}),
            )
            done += len(some.sample)
            report.progress(done, total)
    report.counts["samples"] = total


def new_latents(settings: SampleSettings, report: Report, vae: Autoencoder) -> Iterator[Latents]:
    """Return the latents of new crystals as they are drawn, under what is asked for.

    :raises StageError: the prior does not take or know what is asked for.
    """

    def say(text: str) -> None:
        report.tables.setdefault("notes", []).append(text)
        print(f"note: {text}", file=sys.stderr)

    prior = prior_of(settings, report, vae)
    can = isinstance(prior, LatentPrior) and prior.symmetric
    if settings.symmetric and not can:
        raise StageError(
            "settings_rejected",
            f"`symmetric` needs a prior that keeps the space groups of its training data; {settings.prior} does not",
        )
    made = vae if can and settings.symmetric is not False else None
    how = Drawing(settings.guidance, settings.batch_size, settings.restarts, say, made)
    first = settings.unaimed
    try:
        if first:
            # guidance is towards targets; what is asked of the crystals is asked here too
            plain = {name: value for name, value in settings.asked.items() if not name.startswith(PREFIX)}
            report.tables["unaimed"] = first
            yield from prior.draw(plain, first, settings.seed, how)
        for some in prior.draw(settings.asked, settings.n_samples, settings.seed, how):
            rest = np.flatnonzero(np.asarray(some.sample) >= first)
            if len(rest):
                yield some.take(rest)
    except DrawError as exception:
        raise StageError("settings_rejected", str(exception)) from exception


def base_latents(settings: SampleSettings, report: Report, vae: Autoencoder) -> tuple[Iterator[Latents], int]:
    """Return the latents that come from base crystals, and how many there are.

    :raises StageError: the base crystals do not fit the model or the mode.
    """
    device = vae.latent_std.device
    known, places, told = known_base(settings, report, vae)
    base, errors = settled(vae, known, settings, device, told)
    kept = recognised(vae, base, settings, report, device)
    base, errors, places, told = base.take(kept), errors[kept], places[kept], None if told is None else told[kept]
    report.tables["base"] = [
        {"id": name, "reconstruction_error": float(e)} for name, e in zip(base.ids, errors, strict=True)
    ]
    if settings.mode == "interpolate":
        return latents_between(vae, base, settings, device, told), settings.n_samples
    if settings.mode == "reconstruct":
        # A sample has the number of its base crystal in the file, so that the two are still found together.
        found = latents_of_base(vae, base, settings, device, told)
        return (replace(some, sample=places[np.asarray(some.sample)]) for some in found), len(base)
    if not torch.isfinite(vae.latent_std).all():
        if settings.prior is None:
            raise StageError(
                "settings_rejected",
                f"`spread` is in standard deviations of the training latents, which {settings.vae}, a file of an early "
                "release, does not hold; give its `prior`, which does",
            )
        vae.latent_std.copy_(torch.tensor(fitted_prior(settings, report, vae).config.latent_std))
    return latents_of_base(vae, base, settings, device, told), settings.n_samples


def prior_of(settings: SampleSettings, report: Report, vae: Autoencoder) -> Draws:
    """Return what new latents are drawn from, after checking that it takes and knows what is asked for.

    :raises StageError: it does not, or there is no prior where one is needed.
    """
    asked = settings.asked
    if settings.prior is None:
        prior = vae.without_prior()
        if prior is None:
            raise StageError(
                "settings_rejected",
                f"mode 'prior' with {settings.vae} needs a fitted prior: give `prior`, or base crystals",
            )
        if beyond := not_taken(asked, prior.takes):
            raise StageError(
                "settings_rejected", f"{', '.join(beyond)}: needs a fitted prior; give `prior`, or do not ask for it"
            )
        return prior
    fitted = fitted_prior(settings, report, vae)
    if beyond := not_taken(asked, fitted.conditions.blocks):
        raise StageError(
            "input_incompatible",
            f"{settings.prior} was not trained with {', '.join(beyond)}; it can be asked for "
            f"{', '.join(fitted.conditions.blocks)}. Do not ask for it, or train a prior with it",
        )
    allowed = completed(asked).get("elements")
    if allowed is not None:
        allowed_elements([SYMBOLS[z] for z in allowed], fitted.config.elements, str(settings.prior))
    return fitted


def fitted_prior(settings: SampleSettings, report: Report, vae: Autoencoder) -> LatentPrior:
    """Load the prior.

    :raises StageError: it was fitted to another VAE.
    """
    path = report.directory / str(settings.prior)
    prior = load_network(path, "prior", vae.latent_std.device)
    report.inputs["prior"] = file_hash(path)
    formerly = read_header(report.directory / settings.vae).card.get("formerly", [])
    if prior.config.vae_sha256 not in (report.inputs["vae"], *formerly):
        raise StageError(
            "input_incompatible",
            f"{settings.prior} was fitted to another VAE than {settings.vae}; fit a prior to this one",
        )
    return prior


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

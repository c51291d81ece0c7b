"""The trial of a trained set: 16 crystals there and back, 16 new ones, and which network needs more.

A loss does not say whether anything comes out. Here the stages themselves are run on a few crystals, and the first
network of the chain that fails more than half of them is named.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch

from ..crystals.batch import Crystals, read_crystals, write_crystals
from ..crystals.validity import composition_valid, structure_problems
from ..data.datasets import PARTS, Dataset
from ..fields.batches import to_batch
from ..fields.field_file import ArrayWriter, group_name
from ..fields.grids import grid_sizes, half, same_grids
from ..fields.occupancy import occupancy_field, species_field
from ..generation import rebuild, sample, segment
from ..networks.registry import load_network
from ..networks.unet import UNet
from ..results import Report, StageError
from ..settings import RebuildSettings, SampleSettings, SegmentSettings, TrainSettings

ENOUGH = 0.5  # share that must come out right; a set that is worth using has more than 0.9


@dataclass(frozen=True)
class Trial:
    """What came of it.

    :param part: of the dataset, whose crystals were tried.
    :param tried: crystals tried, and samples drawn.
    :param unet: crystals that the U-Net finds in their own fields.
    :param vae: crystals that come back through the VAE and the U-Net.
    :param prior: samples of the prior that are possible crystals.
    :param compositions: how many of these also have a valid composition.
    """

    part: str
    tried: int
    sampled: int
    unet: int
    vae: int
    prior: int
    compositions: int

    @property
    def needs_more(self) -> str | None:
        """The first network that fails more than half; None where all do well."""
        shares = {"unet": self.unet / self.tried, "vae": self.vae / self.tried, "prior": self.prior / self.sampled}
        return next((network for network, share in shares.items() if share < ENOUGH), None)

    def words(self) -> str:
        """Return the outcome in a sentence."""
        text = (
            f"of {self.tried} crystals of the {self.part} part the unet finds {self.unet} in their own fields, and "
            f"{self.vae} come back through the vae; of {self.sampled} samples of the prior {self.prior} are possible "
            f"crystals, {self.compositions} with a valid composition"
        )
        if self.needs_more is None:
            return text
        return f"{text}: the {self.needs_more} needs more steps (`optimiser.min_steps`), or more data"

    def table(self) -> dict[str, Any]:
        """Return it for results.json and the model card."""
        return {**asdict(self), "needs_more": self.needs_more}


def run_trial(settings: TrainSettings, report: Report, dataset: Dataset, device: torch.device) -> Trial:
    """Try the U-Net, the VAE and the prior of ``settings`` on some crystals of the dataset.

    The crystals are of the test part, else of the validation part, else of the training part.
    """
    count = settings.trial_samples
    files = {name: report.directory / str(path) for name, path in
             (("unet", settings.unet), ("vae", settings.vae), ("prior", settings.output))}  # fmt: skip
    unet = load_network(files["unet"], "unet", device)
    assert isinstance(unet, UNet)
    part, true = crystals_to_try(dataset, set(unet.config.elements), count)
    common = {"device": device.type, "threads": settings.threads, "seed": settings.seed}
    with tempfile.TemporaryDirectory(dir=report.directory, prefix=".trial_") as name:
        folder = Path(name)
        with h5py.File(folder / "base.h5", "w") as file:
            write_crystals(file.create_group("crystals"), true)
        write_true_fields(folder / "fields.h5", unet, true, device)
        own = come_back(rebuilt(folder, files["unet"], common), true)
        base = {"mode": "reconstruct", "base": "base.h5", "prior": None, "register_base": False}
        draw(folder, {**base, "vae": str(files["vae"].resolve()), **common})
        back = come_back(rebuilt(folder, files["unet"], common), true)
        new = {"vae": str(files["vae"].resolve()), "prior": str(files["prior"].resolve()), "n_samples": count}
        draw(folder, {**new, **common})
        made = rebuilt(folder, files["unet"], common)
    sound = [problem is None for problem in structure_problems(made)]
    neutral = [composition_valid(formula) for formula in made.formulas()]
    return Trial(part, len(true), count, own, back, sum(sound), sum(np.logical_and(sound, neutral).tolist()))


def crystals_to_try(dataset: Dataset, elements: set[int], count: int) -> tuple[str, Crystals]:
    """Return the first crystals of these elements that training saw least of, and the part that they are of."""
    for part in ("test", "validation", "train"):
        there = np.flatnonzero(dataset.split == PARTS.index(part))
        places = [int(i) for i in there if set(dataset.crystals.sites(int(i))[1].tolist()) <= elements]
        if places:
            break
    return part, dataset.crystals.take(places[:count])


def write_true_fields(path: Path, unet: UNet, crystals: Crystals, device: torch.device) -> None:
    """Write the fields of crystals as the U-Net is trained on, in the format of the stage ``sample``."""
    batch = to_batch(crystals).to(device)
    with ArrayWriter(path, sample.UNITS) as writer:
        for grid, rows in same_grids(grid_sizes(batch.cell, unet.config.grid, unet.config.spacing)):
            some = batch.take(rows)
            writer.append(
                "" if unet.config.spacing is None else group_name(grid),
                occupancy=occupancy_field(some, grid)[:, 0].half().cpu().numpy(),
                species=species_field(some, half(grid)).half().cpu().numpy(),
                cell=some.cell.cpu().numpy(),
                sample=rows.cpu().numpy(),
            )


def draw(folder: Path, settings: dict[str, Any]) -> None:
    """Run the stage ``sample`` in the folder."""
    sample.run(SampleSettings.model_validate(settings), Report("sample", folder, quiet=True))


def rebuilt(folder: Path, unet: Path, common: dict[str, Any]) -> Crystals:
    """Run the stages ``segment`` and ``rebuild`` in the folder and return the crystals, none where nothing came out."""
    chosen = {"unet": str(unet.resolve()), **common}
    segment.run(SegmentSettings.model_validate(chosen), Report("segment", folder, quiet=True))
    try:
        rebuild.run(RebuildSettings.model_validate(common), Report("rebuild", folder, quiet=True))
    except StageError as error:
        if error.status != "nothing_rebuilt":
            raise
        return Crystals.from_arrays([], [], [], [])
    with h5py.File(folder / "crystals.h5", "r") as file:
        return read_crystals(file["crystals"])


def come_back(found: Crystals, true: Crystals) -> int:
    """Return how many crystals match the true one of their number, with the tolerances of CDVAE."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    matcher = StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10)
    structures = dict(zip(found.ids, found.structures(), strict=True))
    pairs = [(structures.get(f"s{index:06d}"), structure) for index, structure in enumerate(true.structures())]
    return sum(mine is not None and bool(matcher.fit(mine, structure)) for mine, structure in pairs)

"""The page of the seed papers' systems beside ours, from what one_system.py has measured; see compare.py."""

from __future__ import annotations

import json
import platform
from pathlib import Path
from typing import Any

from icsg3d_models.data.datasets import PARTS, read_dataset
from icsg3d_models.results import versions

SYSTEMS = ("ours", "icsg3d-2020", "hoffmann-2019", "voxelnet")
CHAIN = ("unet", "vae")
PASSES = {"icsg3d-2020": {"unet": 50 * 11, "vae": 50 * 11}, "hoffmann-2019": {"unet": 100 * 3, "vae": 100 * 3}}
"""How often the published trainings see a crystal: passes times orientations."""
PUBLISHED_MATCH, PUBLISHED_RMSE = 0.5165, 0.0217
DAY = 86400
TOLD = ("mae", "species_acc", "voxel", "mask_over", "composition", "field_loss", "occupancy")
"""What is shown of the test of a network, beside its loss."""


def write_page(path: Path, output: Path, size: dict[str, Any]) -> None:
    """Write the page."""
    found = {name: json.loads((output / name / "figures.json").read_text()) for name in SYSTEMS
             if (output / name / "figures.json").is_file()}  # fmt: skip
    dataset = read_dataset(output / "dataset.h5")
    counts = ", ".join(f"{int((dataset.split == i).sum())} {part}" for i, part in enumerate(PARTS))
    device = next(iter(next(iter(found.values()))["networks"].values()))["device"]
    used = "; ".join(f"{name} {version}" for name, version in versions().items())
    text = [
        "# The systems of the seed papers beside ours",
        "",
        "Written by `python benchmarks/seeds/compare.py --source perov_5_train.csv --output results/seeds "
        f"--size {name_of(size)}`. Each "
        "system goes through the same stages, with the same crystals, the same split and one thread on one machine. A "
        "ratio above 1 says that ours does better, in whatever direction better is. What the systems are: "
        "[seeds](../seeds.md).",
        "",
        f"Size of this run: {size['said']}. {len(dataset)} crystals of Perov-5 ({counts}), split by composition, "
        f"content hash `{dataset.content_hash()[:16]}`; {size['samples']} new samples of each system. "
        f"{device}, {platform.processor() or platform.machine()}; {used}.",
        "",
        *blunt(found, size),
        "",
        "## At the published size",
        "",
        "One training step of one crystal, networks untrained; seconds of the process. The last column multiplies "
        "them by the training crystals of the whole of Perov-5 (11,356) and the published number of times that each is "
        "seen; it was not run. Property models stand beside our graph network.",
        "",
        *at_published_size(found),
        "",
        "## Trained at the size of this run",
        "",
        *trained(found),
        "",
        "## What comes out",
        "",
        *outcome(found),
        "",
        "A crystal that a system cannot take, or that is not rebuilt, is no match. The distance of sites is the RMS "
        "displacement of matched crystals (StructureMatcher, as CDVAE) times (V/N)^(1/3); Hoffmann et al. read about "
        "0.08 Å in the median and 0.25 Å at 90 % off their figure, of single atoms. Cells that can be taken: of the "
        "ordered prototypes of AFLOW's library, by what the encoding accepts, whatever elements were trained; of "
        "hoffmann-2019 a lattice is found again only where it "
        "repeats within 10 Å, which not all of these do.",
    ]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")


def name_of(size: dict[str, Any]) -> str:
    """Return the name of a size in sizes.json."""
    sizes = json.loads((Path(__file__).parent / "sizes.json").read_text())
    return next(name for name, one in sizes.items() if one == size)


def blunt(found: dict[str, Any], size: dict[str, Any]) -> list[str]:
    """Return how far the run is from the published figure, in words."""
    theirs = found.get("icsg3d-2020", {}).get("reconstruction")
    if theirs is None:
        return []
    rmse = "none" if theirs["rmse"] is None else f"{theirs['rmse']:.4f}"
    steps = {name: network["steps"] for name, network in found["icsg3d-2020"]["networks"].items()}
    narrow = size["icsg3d-2020"]["unet"].get("options", {}).get("width")
    why = (
        f"Its U-Net was {32 // narrow} times narrower than published, its VAE narrower too, "
        f"and they had {steps['unet']} and {steps['vae']} "
        f"steps, in place of tens of thousands.{start_left(steps['unet'])} **This run is far too short to judge the "
        "quality of the published systems: it says what each reaches in this time. What it does say is what a step "
        "costs, how large the networks are, and which crystals they can take.**"
        if narrow
        else f"It had {steps['unet']} and {steps['vae']} steps."
    )
    untrained = [name for name, figures in found.items() if not figures["networks"]]
    others = f" Not trained at all in this run, for want of time: {', '.join(untrained)}." if untrained else ""
    return [
        f"**ICSG3D as published has {100 * PUBLISHED_MATCH:.2f} % and {PUBLISHED_RMSE} on Perov-5 (CDVAE, "
        f"arXiv:2110.06197); here it has {100 * theirs['match']:.2f} % and {rmse}.** {why}{others}"
    ]


def start_left(steps: int) -> str:
    """Return what of the start is left in the running statistics of the U-Net, in words; nothing below 1 %."""
    left = 100 * 0.99**steps
    if left < 1:
        return ""
    return (
        " After so few the running statistics of its batch normalisation, which follow by 1 % a step as in Keras, are "
        f"still by {left:.0f} % those of the start, and outside of training it does something else."
    )


def at_published_size(found: dict[str, Any]) -> list[str]:
    """Return the table of parameters and steps."""
    lines = ["| system | network | parameters | s a crystal and step | ratio | published training, days of this core |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    ours = found["ours"]["published"]
    for system, figures in found.items():
        for network, row in figures["published"].items():
            if network == "prototypes":
                continue
            beside = ours.get(network, ours["cgcnn"])["seconds_a_crystal"]
            ratio = "" if system == "ours" else f"{row['seconds_a_crystal'] / beside:.3g}"
            seen = PASSES.get(system, {}).get(network)
            days = "" if seen is None else f"{11356 * seen * row['seconds_a_crystal'] / DAY:.0f}"
            seconds = f"{row['seconds_a_crystal']:.3f}"
            lines.append(f"| {system} | {network} | {row['parameters']:,} | {seconds} | {ratio} | {days} |")
    return lines


def trained(found: dict[str, Any]) -> list[str]:
    """Return the table of what was trained here."""
    lines = ["| system | network | parameters | steps | s, process (wall) | test |", "|---|---|---|---|---|---|"]
    for system, figures in found.items():
        for name, row in figures["networks"].items():
            told = {key: value for key, value in row["test"].items() if key == "loss" or key.startswith(TOLD)}
            shown = ", ".join(f"{key} {value:.3g}" for key, value in told.items()) or "-"
            lines.append(f"| {system} | {name} | {row['parameters']:,} | {row['steps']} | {row['process_seconds']:.0f} "
                         f"({row['seconds']:.0f}) | {shown} |")  # fmt: skip
    return lines


def outcome(found: dict[str, Any]) -> list[str]:
    """Return the table of what comes out, ours and its ratio to each."""
    rows: list[tuple[str, str, bool, Any]] = [
        ("process s to train U-Net and VAE", "{:.0f}", False,
         lambda f: sum(f["networks"][n]["process_seconds"] for n in CHAIN)),
        ("samples a second, latent to crystal", "{:.2f}", True,
         samples_a_second),
        ("peak memory, MB", "{:.0f}", False, lambda f: f["peak_memory"] / 2**20),
        ("test crystals rebuilt, %", "{:.1f}", True,
         lambda f: 100 * f["reconstruction"]["rebuilt"] / f["reconstruction"]["crystals"]),
        ("match, %", "{:.2f}", True, lambda f: 100 * f["reconstruction"]["match"]),
        ("RMSE, (V/N)^(1/3)", "{:.4f}", False, lambda f: f["reconstruction"]["rmse"]),
        ("distance of sites, Å, median", "{:.3f}", False, lambda f: f["reconstruction"]["site_error_median"]),
        ("distance of sites, Å, 90 %", "{:.3f}", False, lambda f: f["reconstruction"]["site_error_90"]),
        ("new samples rebuilt, %", "{:.1f}", True,
         lambda f: 100 * f["generation"]["rebuilt"] / f["generation"]["samples"]),
        ("valid structure, % of samples", "{:.1f}", True, lambda f: 100 * f["generation"]["structure_validity"]),
        ("valid composition, % of samples", "{:.1f}", True, lambda f: 100 * f["generation"]["composition_validity"]),
        ("novel, %", "{:.1f}", True, lambda f: 100 * f["generation"]["novelty"]),
        ("formation energy, MAE, eV/atom", "{:.3f}", False, property_error),
        ("cells that can be taken, of 288", "{:.0f}", True, lambda f: f["published"]["prototypes"]["taken"]),
        ("sites of the largest of them", "{:.0f}", True, lambda f: f["published"]["prototypes"]["most_sites"]),
    ]  # fmt: skip
    others = [name for name in found if name != "ours"]
    lines = ["| | ours | " + " | ".join(f"{name} | ratio" for name in others) + " |",
             "|---" * (2 + 2 * len(others)) + "|"]  # fmt: skip
    for label, form, more, value in rows:
        mine = known(value, found["ours"])
        cells = ["-" if mine is None else form.format(mine)]
        for name in others:
            theirs = known(value, found[name])
            cells += ["-" if theirs is None else form.format(theirs), ratio(mine, theirs, more)]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return lines


def samples_a_second(figures: dict[str, Any]) -> float | None:
    """Return how many samples go from latent to crystal in a second; None where none of them arrives."""
    generation = figures["generation"]
    return generation["samples"] / generation["process_seconds"] if generation["rebuilt"] else None


def property_error(figures: dict[str, Any]) -> float | None:
    """Return the error of the property model on the test part."""
    tests = [row["test"] for name, row in figures["networks"].items() if name in ("cgcnn", "voxelnet")]
    return tests[0]["mae_formation_energy_per_atom"] if tests else None


def known(value: Any, figures: dict[str, Any]) -> float | None:
    """Return a figure, None where a system does not have it."""
    try:
        found = value(figures)
    except (KeyError, TypeError):
        return None
    return None if found is None else float(found)


def ratio(mine: float | None, theirs: float | None, more: bool) -> str:
    """Return how many times better ours is, "-" where one of the two is not known or nothing."""
    if mine is None or theirs is None or not mine or not theirs:
        return "-"
    return f"{(mine / theirs if more else theirs / mine):.2g}"

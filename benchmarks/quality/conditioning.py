"""Does the condition move what comes out? Generate at several targets and let an independent predictor judge.

    python benchmarks/quality/conditioning.py --samples 200 --output results/conditioning

The predictor is a CGCNN that shares nothing with the VAE or the prior but the training crystals. Beside every row
stands what unconditioned samples score against the same target. Defaults are the shipped models.
"""

from __future__ import annotations

import argparse
import json
import platform
from pathlib import Path

import h5py
import numpy as np

import icsg3d_models
from icsg3d_models.crystals.batch import Crystals, read_crystals
from icsg3d_models.generation import rebuild as rebuilding
from icsg3d_models.generation import sample as sampling
from icsg3d_models.generation import segment as segmentation
from icsg3d_models.networks.model_file import file_hash, read_header
from icsg3d_models.properties.predict import predict
from icsg3d_models.results import Report, StageError, versions
from icsg3d_models.settings import RebuildSettings, SampleSettings, SegmentSettings

SHIPPED = Path(icsg3d_models.__file__).parent / "pretrained" / "perov5"
# Targets in standard deviations of the training set; its distribution has a long upper tail.
STEPS = (-1.25, -0.6, 0.0, 1.0, 2.0)


def generate(models: Path, folder: Path, **settings: object) -> Crystals:
    """Sample, segment and rebuild; a run in which nothing is rebuilt returns no crystals."""
    files = {"vae": str(models / "vae.safetensors"), "prior": str(models / "prior.safetensors")}
    sampling.run(SampleSettings.model_validate({**files, **settings}), Report("sample", folder, quiet=True))
    unet = str(models / "unet.safetensors")
    segmentation.run(SegmentSettings(unet=unet), Report("segment", folder, quiet=True))
    try:
        rebuilding.run(RebuildSettings(), Report("rebuild", folder, quiet=True))
    except StageError as exception:
        if exception.status != "nothing_rebuilt":
            raise
    with h5py.File(folder / "crystals.h5") as file:
        return read_crystals(file["crystals"])


def main() -> None:
    """Read the command line, generate at each target and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=SHIPPED, help="folder of vae, unet, prior and cgcnn")
    parser.add_argument("--samples", type=int, default=200, help="samples a row (%(default)s)")
    parser.add_argument("--guidance", type=float, nargs="+", default=[1.0, 2.0], help="strengths to try")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="folder of the table and of intermediate files")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    header = read_header(options.models / "prior.safetensors", "prior")
    name, centre, width = (header.config[key][0] for key in ("targets", "target_mean", "target_std"))
    judge = options.models / "cgcnn.safetensors"

    def energies(**settings: object) -> tuple[np.ndarray, Crystals]:
        made = generate(options.models, options.output, n_samples=options.samples, seed=options.seed, **settings)
        return predict(made, judge).values[name], made

    free, _ = energies()
    lines = [
        f"# Conditioning on {name}",
        "",
        f"Unconditioned: mean {np.nanmean(free):.3f}, standard deviation {np.nanstd(free):.3f} eV/atom "
        f"({len(free)} of {options.samples} rebuilt).",
        "",
        "| guidance | target | rebuilt | mean | standard deviation | mean abs. deviation | the same, unconditioned |",
        "|---|---|---|---|---|---|---|",
    ]
    for guidance in options.guidance:
        for step in STEPS:
            target = round(centre + step * width, 3)
            found, made = energies(targets={name: target}, guidance=guidance)
            lines.append(
                f"| {guidance:g} | {target:.3f} | {len(made)} | {np.nanmean(found):.3f} | {np.nanstd(found):.3f} "
                f"| {np.nanmean(np.abs(found - target)):.3f} | {np.nanmean(np.abs(free - target)):.3f} |"
            )
    hashes = ", ".join(
        f"{n} `{file_hash(options.models / f'{n}.safetensors')[:12]}`" for n in ("vae", "unet", "prior", "cgcnn")
    )
    mae = read_header(judge).card["test"].get(f"mae_{name}")
    lines += [
        "",
        f"- models: {hashes}; seed {options.seed}, {options.samples} samples a row",
        f"- the predictor's own error on its test part: {mae:.3f} eV/atom",
        f"- {platform.machine()}, {json.dumps(versions())}",
    ]
    page = "\n".join(lines) + "\n"
    (options.output / "conditioning.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()

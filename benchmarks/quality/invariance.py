"""Does the setting of a crystal matter? Reconstruct the test part from other origins, axes and cells.

    python benchmarks/quality/invariance.py --dataset dataset.h5 --output results/invariance

Each test crystal is rewritten (the same crystal, other numbers), registered to the model's setting, encoded, decoded,
segmented and rebuilt, and compared with the original by StructureMatcher (stol 0.5, ltol 0.3, angle_tol 10; RMSE in
units of (V/N)^(1/3), as Xie et al., arXiv:2110.06197). Defaults are the shipped models.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np
from pymatgen.analysis.structure_matcher import StructureMatcher

import icsg3d_models
from icsg3d_models.crystals.batch import Crystals, read_crystals, write_crystals
from icsg3d_models.crystals.cells import axis_settings
from icsg3d_models.data.datasets import read_dataset
from icsg3d_models.generation import rebuild as rebuilding
from icsg3d_models.generation import sample as sampling
from icsg3d_models.generation import segment as segmentation
from icsg3d_models.networks.model_file import file_hash
from icsg3d_models.results import Report
from icsg3d_models.settings import RebuildSettings, SampleSettings, SegmentSettings

SHIPPED = Path(icsg3d_models.__file__).parent / "pretrained" / "perov5"
SHEAR = np.array([[1, 1, 0], [0, 1, 0], [0, -1, 1]])  # determinant 1: another cell of the same lattice
SUPERCELL = np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 1]])  # determinant 2


def rewritten(crystals: Crystals, kind: str, seed: int) -> Crystals:
    """Return the same crystals in another setting: origin, axes and orientation at random, and another cell."""
    rng = np.random.default_rng(seed)
    axes = axis_settings()
    cells, fracs, numbers = [], [], []
    for index in range(len(crystals)):
        frac, kinds = crystals.sites(index)
        turn = axes[rng.integers(len(axes))]
        order = rng.permutation(len(kinds))
        rotation = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        cell, frac = turn @ crystals.cell[index], (frac[order] @ turn.T + rng.random(3)) % 1.0
        kinds = kinds[order]
        if kind == "sheared cell":
            cell, frac = SHEAR @ cell, frac @ np.linalg.inv(SHEAR)
        elif kind == "supercell":
            frac = np.concatenate([frac, frac + np.array([1, 0, 0])]) @ np.linalg.inv(SUPERCELL)
            cell, kinds = SUPERCELL @ cell, np.concatenate([kinds, kinds])
        cells.append(cell @ rotation)
        fracs.append(frac)
        numbers.append(kinds)
    return Crystals.from_arrays(cells, fracs, numbers, crystals.ids)


def reconstruct(crystals: Crystals, models: Path, folder: Path, register: bool) -> dict[str, Crystals]:
    """Encode and decode crystals; return those that were rebuilt, by id."""
    with h5py.File(folder / "base.h5", "w") as file:
        write_crystals(file.create_group("crystals"), crystals)
    files = {"vae": str(models / "vae.safetensors"), "prior": None, "base": "base.h5"}
    chosen = SampleSettings.model_validate({**files, "mode": "reconstruct", "register_base": register})
    sampling.run(chosen, Report("sample", folder, quiet=True))
    unet = str(models / "unet.safetensors")
    segmentation.run(SegmentSettings(unet=unet), Report("segment", folder, quiet=True))
    rebuilding.run(RebuildSettings(), Report("rebuild", folder, quiet=True))
    with h5py.File(folder / "crystals.h5") as file:
        found = read_crystals(file["crystals"])
    return {crystals.ids[int(name.removeprefix("s"))]: found.take([i]) for i, name in enumerate(found.ids)}


def main() -> None:
    """Read the command line, reconstruct in each setting and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True, help="dataset file, whose test part is taken")
    parser.add_argument("--models", type=Path, default=SHIPPED, help="folder of vae and unet")
    parser.add_argument("--crystals", type=int, help="only the first so many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="folder of the table and of intermediate files")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    dataset = read_dataset(options.dataset)
    test = dataset.crystals.take(dataset.part("test")[: options.crystals])
    originals = dict(zip(test.ids, test.structures(), strict=True))
    matcher = StructureMatcher(stol=0.5, angle_tol=10, ltol=0.3)
    lines = [
        f"# Reconstruction of {dataset.name} from other settings",
        "",
        "| setting | registered | match, % | RMSE, mean | RMSE, median |",
        "|---|---|---|---|---|",
    ]
    for kind, register in (
        ("as in the data", False),
        ("as in the data", True),
        ("random origin, axes, orientation and site order", True),
        ("sheared cell", True),
        ("supercell", True),
        ("random origin, axes, orientation and site order", False),
    ):
        given = test if kind == "as in the data" else rewritten(test, kind, options.seed)
        found = reconstruct(given, options.models, options.output, register)
        distances = []
        for name, original in originals.items():
            match = matcher.get_rms_dist(original, next(found[name].structures())) if name in found else None
            distances.append(np.nan if match is None else match[0])
        rms = np.array(distances)
        lines.append(
            f"| {kind} | {'yes' if register else 'no'} | {100 * np.isfinite(rms).mean():.2f} "
            f"| {np.nanmean(rms):.4f} | {np.nanmedian(rms):.4f} |"
        )
        print(lines[-1], flush=True)
    hashes = ", ".join(f"{n} `{file_hash(options.models / f'{n}.safetensors')[:12]}`" for n in ("vae", "unet"))
    lines += [
        "",
        f"- test part, {len(test)} crystals of {dataset.name} {dataset.content_hash()[:12]}, split by composition",
        f"- models: {hashes}; seed {options.seed}",
    ]
    (options.output / "invariance.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

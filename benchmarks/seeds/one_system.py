"""Train, sample, rebuild and score one system, and measure a step at its published size; see compare.py."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from published_size import step_of

from icsg3d_models.crystals.batch import read_crystals
from icsg3d_models.data.datasets import read_dataset
from icsg3d_models.evaluation.evaluate import run as evaluate
from icsg3d_models.evaluation.metrics.reconstruction import match_distances
from icsg3d_models.generation import rebuild, sample, segment
from icsg3d_models.networks.model_file import read_header
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import (
    EvaluateSettings,
    RebuildSettings,
    SampleSettings,
    SegmentSettings,
    TrainSettings,
)
from icsg3d_models.training.train import run as train

HERE = Path(__file__).parent
TARGET = "formation_energy_per_atom"
PREDICTORS = ("cgcnn", "voxelnet")
COMMON: dict[str, Any] = {"device": "auto", "threads": 1, "seed": 0}


class System:
    """One system in its folder, beside the dataset that all share.

    :ivar figures: what was measured.
    """

    def __init__(self, name: str, output: Path, size: str) -> None:
        self.name, self.folder, self.data = name, (output / name).resolve(), (output / "dataset.h5").resolve()
        self.size = json.loads((HERE / "sizes.json").read_text())[size]
        self.folder.mkdir(exist_ok=True)
        self.common = COMMON if name == "ours" else {**COMMON, "preset": name}
        self.figures: dict[str, Any] = {"networks": {}}

    def train(self, network: str) -> None:
        """Train a network, or take what was trained."""
        output = f"{network}.safetensors"
        given = {**self.common, "network": network, "dataset": str(self.data), "output": output, "trial_samples": 0,
                 "checkpoint": f"checkpoint_{network}", **self.size[self.name][network]}  # fmt: skip
        if network in PREDICTORS:
            given["targets"] = [TARGET]
        given |= {"vae": {"unet": "unet.safetensors"}, "prior": {"vae": "vae.safetensors"}}.get(network, {})
        report, start = Report("train", self.folder, quiet=True), time.process_time()
        train(TrainSettings.model_validate(given), report)
        card = read_header(self.folder / output).card
        self.figures["networks"][network] = {
            "parameters": report.counts["parameters"], "process_seconds": time.process_time() - start,
            "seconds": card["seconds"], "steps": card["steps"], "left_out": len(report.tables.get("left_out", [])),
            "test": card["test"], "device": report.device,
        }  # fmt: skip
        print(self.name, network, self.figures["networks"][network], flush=True)

    def rebuilt(self, **sampling: Any) -> tuple[int, float]:
        """Sample, segment and rebuild; return how many samples there were, and the time of the process in seconds."""
        start = time.process_time()
        report = Report("sample", self.folder, quiet=True)
        sample.run(SampleSettings.model_validate({**self.common, **sampling}), report)
        given = {**self.common, "unet": "unet.safetensors"}
        segment.run(SegmentSettings.model_validate(given), Report("segment", self.folder, quiet=True))
        rebuilding = Report("rebuild", self.folder, quiet=True)
        (self.folder / "crystals.h5").unlink(missing_ok=True)
        try:
            rebuild.run(RebuildSettings.model_validate(COMMON), rebuilding)
        except StageError as error:
            if error.status != "nothing_rebuilt":
                raise
        mode = str(sampling.get("mode", "prior"))
        self.figures[f"not_rebuilt_{mode}"] = rebuilding.tables.get("reasons", {})
        return report.counts["samples"], time.process_time() - start

    def reconstruct(self) -> None:
        """Encode, decode and match the test part; what is left out, and what is not rebuilt, is no match."""
        base = {"mode": "reconstruct", "base": str(self.data), "base_part": "test", "register_base": False}
        _, seconds = self.rebuilt(**base)
        dataset = read_dataset(self.data)
        true = dataset.crystals.take(dataset.part("test"))
        with h5py.File(self.folder / "crystals.h5") as file:
            found = read_crystals(file["crystals"])
        named = type(true)(
            true.cell, true.frac, true.numbers, true.offsets, tuple(f"s{i:06d}" for i in range(len(true)))
        )
        rms = match_distances(found, named)
        matched = np.isfinite(rms)
        errors = (rms * (true.volumes / true.counts) ** (1 / 3))[matched]
        self.figures["reconstruction"] = {
            "crystals": len(true), "rebuilt": len(found), "match": float(matched.mean()), "process_seconds": seconds,
            "rmse": float(rms[matched].mean()) if matched.any() else None,
            "site_error_median": float(np.median(errors)) if matched.any() else None,
            "site_error_90": float(np.quantile(errors, 0.9)) if matched.any() else None,
        }  # fmt: skip
        print(self.name, self.figures["reconstruction"], flush=True)

    def generate(self) -> None:
        """Draw new crystals and score them."""
        asked, seconds = self.rebuilt(n_samples=self.size["samples"])
        with h5py.File(self.folder / "crystals.h5") as file:
            made = len(read_crystals(file["crystals"]))
        self.figures["generation"] = {"samples": asked, "rebuilt": made, "process_seconds": seconds}
        if made:
            report = Report("evaluate", self.folder, quiet=True)
            given = {**COMMON, "mode": "generation", "reference": str(self.data), "samples": asked}
            evaluate(EvaluateSettings.model_validate(given), report)
            names = ("structure_validity", "composition_validity", "novelty", "uniqueness")
            self.figures["generation"] |= {name: report.scalars.get(name) for name in names}
        print(self.name, self.figures["generation"], flush=True)

    def run(self) -> None:
        """Do all of it and write figures.json."""
        for network in self.size[self.name]:
            self.train(network)
        if "vae" in self.size[self.name]:
            self.reconstruct()
            self.generate()
        # before the networks of the published size, which would be the peak
        self.figures["peak_memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self.figures["published"] = step_of(self.name, self.data)
        (self.folder / "figures.json").write_text(json.dumps(self.figures, indent=1))


if __name__ == "__main__":
    System(sys.argv[1], Path(sys.argv[2]), sys.argv[3]).run()

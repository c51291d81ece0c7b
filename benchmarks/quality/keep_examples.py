"""Keep contents, space groups and operations of a training part in a prior that was trained before these were kept.

    python benchmarks/quality/keep_examples.py prior.safetensors --dataset dataset.h5 --output prior.safetensors

Codes of the elements, by which compositions are likened to these, are learned from them (seed 0). No weight is
changed. The dataset has to be the one of the prior's training, by its content hash. ``icsg3d train`` keeps
the same in every prior of crystals of any shape.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from icsg3d_models.conditions.analogy import examples_of
from icsg3d_models.crystals.cells import reduced_crystals
from icsg3d_models.crystals.symmetry import space_group_numbers
from icsg3d_models.data.datasets import read_dataset
from icsg3d_models.networks.model_file import read_header, save_model
from icsg3d_models.training.kinship import learn_codes


def main() -> None:
    """Read the command line, and write the prior with what it keeps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prior", type=Path)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    header, dataset = read_header(options.prior, "prior"), read_dataset(options.dataset)
    if header.card["data"]["content_hash"] != dataset.content_hash():
        raise SystemExit(f"{options.dataset}: not the data that {options.prior} was trained on; the hashes differ")
    crystals = reduced_crystals(dataset.crystals.take(dataset.part("train")))
    examples = examples_of(crystals, space_group_numbers(crystals).tolist())
    assert examples.symmetry is not None
    rows = np.concatenate([examples.numbers, examples.amounts, examples.groups[:, None]], axis=1)
    weights = load_file(options.prior)
    weights["kept_examples"] = torch.from_numpy(rows.astype(np.uint8))
    weights["kept_symmetry"] = torch.from_numpy(examples.symmetry.packed())
    size = {"examples": len(examples), "example_kinds": examples.numbers.shape[1], "example_symmetry": True}
    codes = learn_codes(examples, 0, print)
    if codes is not None:
        weights["kept_codes"] = torch.from_numpy(codes).half()
        size["example_codes"] = codes.shape[1]
    header.config.update(size)
    print(save_model(options.output, header, weights))


if __name__ == "__main__":
    main()

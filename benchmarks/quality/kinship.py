"""Is the space group of a composition found by known crystals like it? By usual and by learned codes of the elements.

    python benchmarks/quality/kinship.py --dataset wide.h5 --models icsg3d_models/pretrained/wide

Of each composition of a part that is held back: how likely a sample is drawn like an example of the true space group,
and whether the first sample is.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from icsg3d_models.crystals.cells import reduced_crystals
from icsg3d_models.crystals.symmetry import space_group_numbers
from icsg3d_models.data.datasets import read_dataset
from icsg3d_models.networks.local_prior import LocalPrior
from icsg3d_models.networks.registry import load_network


def main() -> None:
    """Read the command line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", type=Path, required=True)
    parser.add_argument("--part", default="validation", choices=("validation", "test"))
    parser.add_argument("--models", type=Path, required=True, help="folder of the prior")
    options = parser.parse_args()
    prior = load_network(options.models / "prior.safetensors", "prior", torch.device("cpu"))
    assert isinstance(prior, LocalPrior)
    dataset = read_dataset(options.dataset)
    true = reduced_crystals(dataset.crystals.take(dataset.part(options.part)))
    groups = space_group_numbers(true)
    print("| codes | compositions | drawn with the true group, % | first sample, % |")
    print("|---|---|---|---|")
    learned = prior.examples()
    for name, examples in (("usual", replace(learned, codes=None)), ("learned", learned)):
        drawn, first = [], []
        for index in range(len(true)):
            contents = dict(Counter(true.sites(index)[1].tolist()))
            found = examples.likenesses(contents)
            likeliest = found.draw(contents, None)
            if likeliest is None:
                continue
            weight = found.akin.sum(axis=1)
            drawn.append(weight[examples.groups[found.rows] == groups[index]].sum() / weight.sum())
            first.append(likeliest.group == groups[index])
        print(f"| {name} | {len(drawn)} | {100 * np.mean(drawn):.1f} | {100 * np.mean(first):.1f} |")


if __name__ == "__main__":
    main()

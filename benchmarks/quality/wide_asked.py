"""What the prior of a set of models for any chemistry makes, unasked and asked: prints a table.

    python benchmarks/quality/wide_asked.py icsg3d_models/pretrained/wide --output results/wide_asked

A crystal counts as asked for where the criterion `as_asked` says so; one that is not rebuilt does not. Seed 0, guidance
2 where something is asked.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from asked import share
from conditioning import generate

from icsg3d_models.crystals.symmetry import space_group_numbers
from icsg3d_models.crystals.validity import composition_valid, structure_problems

ASKED: tuple[dict[str, Any], ...] = (
    {"elements": ["Li", "Mn", "O"]}, {"composition": "CaTiO3"}, {"composition": "NaCl"}, {"composition": "TiO2"},
    {"composition": "Bi2Te3"}, {"composition": "Ca3N2"}, {"elements": ["C"], "n_atoms": 12}, {"space_group": 225},
)  # fmt: skip


def main() -> None:
    """Sample, count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, help="folder with vae, unet and prior")
    parser.add_argument("--output", type=Path, required=True, help="folder to work in")
    parser.add_argument("--unasked", type=int, default=100)
    parser.add_argument("--each", type=int, default=20)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    models = options.models.resolve()
    made = generate(models, options.output, n_samples=options.unasked, seed=0)
    formulas = made.formulas()
    sound = sum(problem is None for problem in structure_problems(made))
    print("| of samples | share, % |\n|---|---|")
    figures = {
        "possible structure": sound,
        "valid composition": sum(composition_valid(formula) for formula in formulas),
        "different formulas": len(set(formulas)),
        "space group other than P1 within 0.1 Å": int((np.asarray(space_group_numbers(made)) > 1).sum()),
    }
    for name, count in figures.items():
        print(f"| {name} ({options.unasked}) | {100 * count / options.unasked:.0f} |")
    for asked in ASKED:
        found = generate(models, options.output, n_samples=options.each, seed=0, guidance=2.0, **asked)
        words = ", ".join(f"{name} {value}" for name, value in asked.items())
        print(f"| asked: {words} ({options.each}) | {share(found, asked, options.each):.0f} |", flush=True)


if __name__ == "__main__":
    main()

"""Which AFLOW prototypes of pymatgen cannot be the crystals that they are named after: forces by a potential.

    python benchmarks/references/prototype_forces.py --most-sites 24

A measured crystal is near a minimum of its energy. chgnet's largest force on a site is 0.2 eV/Å over the library in the
median; where it is above 3 eV/Å coordinates were written down wrong. The compounds of what is printed are the table of
``icsg3d_models/phases/distrusted.py``.
"""

from __future__ import annotations

import argparse

import numpy as np
from pymatgen.core import Composition

from icsg3d_models.phases.distrusted import LARGEST
from icsg3d_models.phases.prototypes import whole_library
from icsg3d_models.relaxation.potentials import load
from icsg3d_models.settings.relax import Potential


def main() -> None:
    """Read the command line and print the forces."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--most-sites", type=int, default=24, help="larger prototypes are not looked at (%(default)s)")
    parser.add_argument("--potential", default="chgnet")
    options = parser.parse_args()
    calculator = load(Potential(name=options.potential), torch.device("cpu")).calculator
    found = []
    for prototype in whole_library():
        if len(prototype.structure) > options.most_sites:
            continue
        atoms = prototype.structure.to_ase_atoms()
        atoms.calc = calculator
        try:
            force = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
        except RuntimeError as exception:  # elements that the potential does not know
            print(f"# {prototype.aflow} {prototype.mineral}: {exception}")
            continue
        formula = prototype.structure.composition.reduced_formula
        found.append((force, prototype.aflow, formula, prototype.mineral))
    for force, aflow, formula, mineral in sorted(found, reverse=True):
        if force > LARGEST and len(Composition(formula)) > 1:
            print(f'    ("{aflow}", "{formula}"): {force:.1f},  # {mineral}')
    print(f"# {len(found)} prototypes, median {np.median([force for force, *_ in found]):.2f} eV/Å")


if __name__ == "__main__":
    main()

"""Densities of states of a relaxed crystal, by PdosWorkChain, with the settings of its relaxation."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import ProcessBuilder
from aiida_quantumespresso.workflows.pdos import PdosWorkChain

from .pw_bands import MORE_BANDS, base_of, needed_relaxation, options_of, scf_of

DENSER = 0.5
"""Distance between k-points of the densities, of that of the SCF."""
STEP = 0.05
"""eV between points."""
RANGE = [-20.0, 10.0]
"""eV from the Fermi energy."""
SMEARING = ("smearing", "degauss")


def dos_builder(structure: orm.StructureData, dos: orm.AbstractCode, projwfc: orm.AbstractCode) -> ProcessBuilder:
    """Return the builder of the total and projected densities of states of a crystal that pw.x relaxed.

    Tetrahedra on twice as dense k-points as those of its energy; all else as in its relaxation.

    :param dos: code of dos.x; ``projwfc``: of projwfc.x.
    :raises ValueError: no PwRelaxWorkChain relaxed it.
    """
    relaxation = needed_relaxation(structure)
    scf, nscf = scf_of(relaxation, structure), base_of(relaxation, "nscf")
    parameters = nscf.pw.parameters.get_dict()
    system = {name: value for name, value in parameters["SYSTEM"].items() if name not in SMEARING}
    nscf.pw.parameters = orm.Dict({**parameters, "SYSTEM": {**system, "occupations": "tetrahedra"}})
    if "kpoints_distance" in scf:
        nscf.kpoints_distance = orm.Float(DENSER * scf.kpoints_distance.value)
    else:
        mesh, _ = scf.kpoints.get_kpoints_mesh()
        nscf.kpoints = orm.KpointsData()
        nscf.kpoints.set_kpoints_mesh([round(count / DENSER) for count in mesh])
    builder: Any = PdosWorkChain.get_builder()
    builder.structure, builder.scf, builder.nscf = structure, scf, nscf
    builder.nbands_factor = orm.Float(MORE_BANDS)
    builder.energy_range_vs_fermi = orm.List(RANGE)
    options = {k: v for k, v in options_of(relaxation).items() if k != "custom_scheduler_commands"}  # GPUs of pw.x
    for name, code, card in (("dos", dos, "DOS"), ("projwfc", projwfc, "PROJWFC")):
        builder[name].code = code
        builder[name].parameters = orm.Dict({card: {"deltae": STEP}})
        builder[name].metadata.options = options
    made: ProcessBuilder = builder
    return made

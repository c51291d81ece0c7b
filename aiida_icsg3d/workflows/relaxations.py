"""What goes into and comes out of a relaxation: symmetrised input, comparison, reason of a failure."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import calcfunction

RELAXED, FAILED = "relaxed", "failed"
SYMMETRY_PRECISION = 0.01
"""Å; tolerance of the space group that is reported for a relaxed crystal."""

HINTS = {
    "ERROR_IONIC_CONVERGENCE_REACHED_EXCEPT_IN_FINAL_SCF": "the stress or the forces of the final SCF, with "
    "the plane waves of the relaxed cell, exceed the thresholds: raise ecutwfc and ecutrho, or allow more "
    "iterations with relax.max_meta_convergence_iterations",
    "ERROR_ELECTRONIC_CONVERGENCE_NOT_REACHED": "lower ELECTRONS.mixing_beta or raise SYSTEM.degauss",
    "ERROR_IONIC_CYCLE_ELECTRONIC_CONVERGENCE_NOT_REACHED": "lower ELECTRONS.mixing_beta or raise SYSTEM.degauss",
    "ERROR_IONIC_CYCLE_EXCEEDED_NSTEP": "raise CONTROL.nstep, or look whether the crystal falls apart",
    "ERROR_OUT_OF_WALLTIME": "raise metadata.options.max_wallclock_seconds",
    "ERROR_SCHEDULER_OUT_OF_WALLTIME": "raise metadata.options.max_wallclock_seconds",
    "ERROR_SCHEDULER_OUT_OF_MEMORY": "ask for more memory or fewer processes in metadata.options",
    "ERROR_MAX_ITERATIONS_EXCEEDED": "raise relax.max_meta_convergence_iterations, or the cut-offs",
}
"""Label of an exit code -> what to do about it."""


@calcfunction
def symmetrise_structure(structure: orm.StructureData, precision: orm.Float) -> orm.StructureData:
    """Return the primitive cell with the sites moved onto the symmetry that holds within a tolerance.

    :param structure: any ordered crystal.
    :param precision: spglib's ``symprec`` in Å.
    """
    import spglib

    crystal = structure.get_pymatgen()
    numbers = [site.specie.Z for site in crystal]
    found = spglib.standardize_cell(
        (crystal.lattice.matrix, crystal.frac_coords, numbers),
        to_primitive=True,
        no_idealize=False,
        symprec=precision.value,
    )
    if found is None:  # sites closer together than the tolerance: leave them to pw.x as they are
        return structure.clone()
    from pymatgen.core import Element, Structure

    cell, positions, species = found
    return orm.StructureData(
        pymatgen=Structure(cell, [Element.from_Z(z) for z in species], positions).get_sorted_structure()
    )


def rms_displacement(generated: Any, relaxed: Any) -> float | None:
    """Return the root mean square displacement of the sites from generated to relaxed crystal, in Å.

    pymatgen's StructureMatcher pairs the sites of the primitive cells, after scaling both to the geometric
    mean of their volumes and removing a common shift: a change of volume alone is no displacement. Its value
    is in units of (V/N)^(1/3) of that mean cell, which is multiplied back. None: the two no longer match
    (ltol 0.3, stol 0.5, angle_tol 10, the tolerances of the published reconstruction metrics), the
    relaxation found another crystal.

    :param generated: pymatgen Structure before the relaxation.
    :param relaxed: pymatgen Structure after it.
    """
    from pymatgen.analysis.structure_matcher import StructureMatcher

    found = StructureMatcher(ltol=0.3, stol=0.5, angle_tol=10).get_rms_dist(generated, relaxed)
    if found is None:
        return None
    per_atom = (generated.volume / len(generated) * relaxed.volume / len(relaxed)) ** 0.5
    return float(found[0] * per_atom ** (1 / 3))


def describe_relaxation(generated: orm.StructureData, relaxed: orm.StructureData, energy: float) -> dict[str, Any]:
    """Return what is reported of a relaxed crystal.

    Volumes (Å³) and the energy (eV) are those of the relaxed cell; the generated volume is scaled to as many
    atoms. a, b, c (Å) are those of the conventional cell.
    """
    from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

    before, after = generated.get_pymatgen(), relaxed.get_pymatgen()
    symmetry = SpacegroupAnalyzer(after, symprec=SYMMETRY_PRECISION)
    conventional = symmetry.get_conventional_standard_structure().lattice
    volume = before.volume / len(before) * len(after)
    return {
        "energy_eV": energy,
        "energy_per_atom_eV": energy / len(after),
        "volume_initial": volume,
        "volume_relaxed": after.volume,
        "volume_change_percent": 100 * (after.volume / volume - 1),
        "a": conventional.a,
        "b": conventional.b,
        "c": conventional.c,
        "spacegroup_symbol": symmetry.get_space_group_symbol(),
        "spacegroup_number": symmetry.get_space_group_number(),
        "rmsd_angstrom": rms_displacement(before, after),
    }


@calcfunction
def collect_relaxations(outcomes: orm.Dict, **nodes: Any) -> orm.Dict:
    """Return ``{id: {status, reason, exit_status, workchain_uuid, energy_eV, ...}}`` of all relaxations.

    :param outcomes: status, reason, exit status and UUID of each relaxation.
    :param nodes: namespaces ``generated``, ``relaxed`` and ``parameters``: the crystals before and after, and
        what pw.x printed, by the same identifiers; the last two hold the successful relaxations only.
    """
    results = {}
    for identifier, outcome in outcomes.get_dict().items():
        results[identifier] = dict(outcome)
        if outcome["status"] == RELAXED:
            energy = nodes["parameters"][identifier]["energy"]
            results[identifier].update(
                describe_relaxation(nodes["generated"][identifier], nodes["relaxed"][identifier], energy)
            )
    return orm.Dict(results)


def innermost_failure(node: orm.ProcessNode) -> orm.ProcessNode:
    """Return the process in which a failure began: the last failed child of the last failed child ..."""
    failed = [child for child in node.called if child.is_failed or child.is_excepted or child.is_killed]
    return innermost_failure(max(failed, key=lambda child: child.pk or 0)) if failed else node


def explain_failure(node: orm.ProcessNode) -> str:
    """Return why a process failed, from its innermost failed process, and what to do about it."""
    inner = innermost_failure(node)
    name = f"{inner.process_label}<{inner.pk}>"
    if inner.is_excepted or inner.is_killed:
        word = "raised an exception" if inner.is_excepted else "was killed"
        return f"{name} {word}; see `verdi process report {inner.pk}`"
    status = inner.exit_status
    codes = {code.status: label for label, code in inner.process_class.exit_codes.items()}
    message = (inner.exit_message or codes.get(status, "no message")).rstrip(".")
    hint = HINTS.get(codes.get(status, ""), f"see `verdi process report {node.pk}`")
    return f"{name} ended with {status}: {message}; {hint}"


def final_scf_exceeded(relaxation: orm.ProcessNode) -> bool:
    """Whether the last iteration of a PwRelaxWorkChain ended above its thresholds in the final SCF (501).

    Without meta-convergence, or within 10 % of the threshold, PwRelaxWorkChain itself still ends with 0 then.
    """
    from aiida_quantumespresso.workflows.pw.base import PwBaseWorkChain

    code = PwBaseWorkChain.exit_codes.ERROR_IONIC_CONVERGENCE_REACHED_EXCEPT_IN_FINAL_SCF.status
    iterations = [child for child in relaxation.called if child.process_class is PwBaseWorkChain]
    return bool(iterations) and max(iterations, key=lambda child: child.pk or 0).exit_status == code

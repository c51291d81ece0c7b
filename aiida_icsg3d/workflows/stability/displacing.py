"""Between a crystal and its modes, as nodes: supercells with a moved site, modes from forces, the crystal pushed."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.engine import calcfunction

from ...dft.quantum_espresso.pw_forces import last_forces


@calcfunction
def displace(structure: orm.StructureData, settings: orm.Dict) -> dict[str, Any]:
    """Return the supercells whose forces are wanted, as ``displaced.d_NNN``, with the kinds of the crystal.

    :param settings: ``supercell`` and ``displacement`` (Å).
    """
    from icsg3d_models.relaxation.modes import begin, displaced, sites_of_supercell

    wanted = settings.get_dict()
    phonons = begin(structure.get_ase(), tuple(wanted["supercell"]), wanted["displacement"])
    sites = sites_of_supercell(phonons)
    return {
        "displaced": {
            f"d_{number:03d}": with_kinds(atoms.cell.array, atoms.positions, sites, structure)
            for number, atoms in enumerate(displaced(phonons))
        }
    }


@calcfunction
def find_modes(structure: orm.StructureData, settings: orm.Dict, **forces: orm.TrajectoryData) -> dict[str, orm.Data]:
    """Return ``modes``, and ``pushed`` along the lowest mode where it is imaginary.

    :param settings: those of :func:`displace`, and ``threshold`` (THz).
    :param forces: by the label of the supercell.
    """
    from icsg3d_models.relaxation.modes import begin, pushed, spectrum

    wanted, atoms = settings.get_dict(), structure.get_ase()
    phonons = begin(atoms, tuple(wanted["supercell"]), wanted["displacement"])
    found = spectrum(phonons, [last_forces(forces[name]) for name in sorted(forces)])
    mode = found.lowest()
    stable = not mode.frequency < -wanted["threshold"]
    content = {
        **wanted,
        "n_displacements": len(forces),
        "lowest_frequency_THz": float(mode.frequency),
        "wave_vector": [float(q) for q in mode.wave_vector],
        "dynamically_stable": stable,
        "frequencies_THz": [
            {"wave_vector": point.tolist(), "frequencies": kept.tolist()}
            for point, kept in zip(found.points, found.without_translations(), strict=True)
        ],
    }
    made: dict[str, orm.Data] = {"modes": orm.Dict(content)}
    if not stable:
        moved = pushed(atoms, mode)
        sites = [site % len(atoms) for site in range(len(moved))]
        made["pushed"] = with_kinds(moved.cell.array, moved.positions, sites, structure)
    return made


@calcfunction
def compare_with_lower(before: orm.Dict, after: orm.Dict, results: orm.Dict) -> orm.Dict:
    """Return how much lower the crystal that the mode led to is, and its space group.

    :param before: energy of the crystal, as ValidateWorkChain gives it in ``energies``; ``after``: of the other.
    :param results: of the ValidateWorkChain that relaxed the other.
    :raises aiida_icsg3d.dft.fingerprint.SettingsDifferError: the energies have different settings.
    """
    from icsg3d_models.relaxation.modes import LOWER

    from ...dft.fingerprint import Settings, check_same

    old, new, entry = before.get_dict(), after.get_dict(), results.get_dict()["lower"]
    check_same({name: Settings.from_dict(one["settings"]) for name, one in (("before", old), ("lower", new))})
    gain = old["energy_per_atom_eV"] - new["energy_per_atom_eV"]
    return orm.Dict({
        "lower_by_eV_per_atom": gain, "is_lower": gain > LOWER,
        **{key: entry.get(key) for key in ("spacegroup_symbol", "spacegroup_number", "a", "b", "c")},
    })  # fmt: skip


def with_kinds(cell: Any, positions: Any, sites: list[int], crystal: orm.StructureData) -> orm.StructureData:
    """Return a structure whose sites have the kinds of those sites of a crystal."""
    made = orm.StructureData(cell=cell.tolist(), pbc=crystal.pbc)
    kinds = {kind.name: kind for kind in crystal.kinds}
    for position, site in zip(positions, sites, strict=True):
        kind = kinds[crystal.sites[site].kind_name]
        made.append_atom(position=position.tolist(), symbols=kind.symbol, name=kind.name, mass=kind.mass)
    return made

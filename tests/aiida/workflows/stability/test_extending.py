"""Verdicts become data: which energies meet, which candidates are left out, and where the new dataset comes from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from aiida import orm
from pymatgen.core import Lattice, Structure

from aiida_icsg3d.data import CrystalDatasetData
from aiida_icsg3d.dft.fingerprint import Settings
from aiida_icsg3d.workflows.stability.extending import extend, usable

COMMON = {"functional": "LDA", "code": "quantumespresso.pw", "ecutwfc_Ry": 30.0}
COLUMN = f"formation_energy_per_atom@LDA-{Settings(COMMON, {}).hash[:8]}"


def perovskite(a: str, b: str, length: float = 3.9) -> orm.StructureData:
    sites = [[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    return orm.StructureData(pymatgen=Structure(Lattice.cubic(length), [a, b, "O", "O", "O"], sites)).store()


def energy(structure: orm.StructureData, md5: str = "a", **common: Any) -> orm.Dict:
    """Return the energy of a crystal as a relaxation leaves it."""
    settings = Settings({**COMMON, **common}, {e: {"pseudo_md5": md5} for e in structure.get_symbols_set()})
    content = {"formula": structure.get_formula(), "energy_per_atom_eV": -9.0, "structure_uuid": structure.uuid,
               "settings": settings.as_dict(), "settings_hash": settings.hash}  # fmt: skip
    return orm.Dict(content).store()


def verdicts(**heats: float | None) -> orm.Dict:
    """Return verdicts; a height where there is an energy."""
    return orm.Dict(
        {
            name: {"formation_energy_per_atom": value, "e_above_hull": None if value is None else value + 3.0,
                   "reason": None if value is not None else "Pb has no energy"}
            for name, value in heats.items()
        }
    ).store()  # fmt: skip


def test_a_new_dataset_with_its_provenance(dataset: CrystalDatasetData) -> None:
    """One crystal that is there (SrTiO3), one that is new, three that cannot be used."""
    relaxed = {"known": perovskite("Sr", "Ti", 3.86), "new": perovskite("Pb", "Ti"), "bare": perovskite("Ca", "Ti"),
               "lost": perovskite("Mg", "Si")}  # fmt: skip
    energies = {name: energy(relaxed[name]) for name in ("known", "new", "bare")}
    judged = verdicts(known=-3.2, new=-2.5, bare=None, failed=None)
    before = dataset.get_dataset()
    made, changes = extend(dataset, relaxed, energies, judged)
    content = made.get_dataset()
    assert (made.n_crystals, dataset.n_crystals) == (9, 8)
    said = changes.get_dict()
    assert said["added"] == ["new"]
    assert said["updated"] == {"known": "s000000"}
    assert said["left_out"] == {
        "bare": "no formation energy: Pb has no energy", "lost": "no energy", "failed": "no relaxed crystal"
    }  # fmt: skip
    assert said["new_columns"] == sorted([COLUMN, COLUMN.replace("formation_energy_per_atom", "e_above_hull")])
    assert said["fidelities"][COLUMN]["functional"] == "LDA"
    assert content.values(COLUMN)[0] == -3.2
    assert content.values(COLUMN)[-1] == -2.5
    assert np.isfinite(content.values(COLUMN)).sum() == 2
    assert content.values(f"e_above_hull{COLUMN.removeprefix('formation_energy_per_atom')}")[-1] == pytest.approx(0.5)
    np.testing.assert_equal(
        content.values("formation_energy_per_atom")[:-1], before.values("formation_energy_per_atom")
    )
    assert content.crystals.ids[-1] == relaxed["new"].uuid
    assert made.properties[COLUMN] == "eV/atom"
    creator: Any = made.creator
    assert creator.process_label == "extend_dataset"
    inputs = {link.node.uuid for link in creator.base.links.get_incoming()}
    assert {dataset.uuid, judged.uuid, relaxed["new"].uuid, energies["known"].uuid} <= inputs


def test_the_next_round_goes_on_with_the_same_column(dataset: CrystalDatasetData) -> None:
    first = perovskite("Pb", "Ti")
    made, _ = extend(dataset, {"a": first}, {"a": energy(first)}, verdicts(a=-2.5))
    twin, other = perovskite("Pb", "Ti", 3.95), perovskite("Pb", "Zr", 4.1)
    relaxed = {"twin": twin, "other": other}
    final, changes = extend(made, relaxed, {k: energy(v) for k, v in relaxed.items()}, verdicts(twin=-2.6, other=-2.0))
    said = changes.get_dict()
    assert (said["added"], said["updated"], said["new_columns"]) == (["other"], {"twin": first.uuid}, [])
    assert final.get_dataset().values(COLUMN)[-2:].tolist() == [-2.6, -2.0]


def test_settings_that_differ_do_not_meet(dataset: CrystalDatasetData) -> None:
    """Two cut-offs are two columns; two pseudopotentials of one element are refused."""
    one, two = perovskite("Pb", "Ti"), perovskite("Pb", "Zr", 4.1)
    energies = {"one": energy(one), "two": energy(two, ecutwfc_Ry=40.0)}
    made, changes = extend(dataset, {"one": one, "two": two}, energies, verdicts(one=-2.5, two=-2.0))
    columns = [name for name in changes["fidelities"] if name.startswith("formation")]
    assert len(columns) == 2
    assert all(np.isfinite(made.get_dataset().values(name)).sum() == 1 for name in columns)
    energies["two"] = energy(two, md5="b")
    with pytest.raises(ValueError, match=r"settings of O, Pb \(pseudopotential"):
        extend(dataset, {"one": one, "two": two}, energies, verdicts(one=-2.5, two=-2.0))


def test_nothing_to_extend_with(dataset: CrystalDatasetData) -> None:
    crystal = perovskite("Pb", "Ti")
    with pytest.raises(ValueError, match="nothing to extend with"):
        extend(dataset, {"a": crystal}, {}, verdicts(a=-2.5))
    foreign = {"a": energy(perovskite("Pb", "Zr"))}
    ready, left_out = usable({"a": crystal}, foreign, verdicts(a=-1.0).get_dict())
    assert (ready, left_out) == ([], {"a": "the energy is that of another crystal"})


def test_magnetic_kinds_of_one_element(dataset: CrystalDatasetData) -> None:
    """An order of spins is no other crystal."""
    node = orm.StructureData(cell=np.diag([3.0, 3.0, 6.0]).tolist())
    for name, height in (("Fe1", 0.0), ("O", 1.5), ("Fe2", 3.0), ("O", 4.5)):
        node.append_atom(symbols=name.rstrip("12"), position=(height % 3.0, height % 3.0, height), name=name)
    node.store()
    made, changes = extend(dataset, {"feo": node}, {"feo": energy(node)}, verdicts(feo=-1.0))
    assert changes["added"] == ["feo"]
    assert sorted(made.get_dataset().crystals.sites(8)[1].tolist()) == [8, 8, 26, 26]

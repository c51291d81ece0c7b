"""Datasets of any source through `aiida-icsg3d import`, with the words that go with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ase.build
import numpy as np
import pytest
from aiida import orm
from click.testing import CliRunner, Result

from aiida_icsg3d.cli import cmd_root
from aiida_icsg3d.data import CrystalDatasetData
from aiida_icsg3d.data.importing import EXTRA, import_structures
from icsg3d_models.settings import PrepareSettings
from tests.optimade_server import Server

CIF = (
    "data_x\n_symmetry_space_group_name_H-M 'F m 3 m'\n_cell_length_a {a}\n_cell_length_b {a}\n_cell_length_c {a}\n"
    "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\nloop_\n_atom_site_label\n"
    "_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n{metal}1 {metal} 0 0 0\n"
    "O1 O 0.5 0.5 0.5\n"
)


@pytest.fixture
def run(aiida_profile_clean: object) -> Callable[..., Result]:
    """Return a function that runs `aiida-icsg3d import` with arguments."""

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(cmd_root, ["import", *map(str, arguments)])

    return invoke


def only_dataset() -> CrystalDatasetData:
    return orm.QueryBuilder().append(CrystalDatasetData).one()[0]


def test_a_folder_with_its_table(run: Callable[..., Result], tmp_path: Path) -> None:
    folder = tmp_path / "oxides"
    folder.mkdir()
    for metal, a in (("Mg", 4.2), ("Ca", 4.8), ("Sr", 5.2)):
        (folder / f"{metal}.cif").write_text(CIF.format(metal=metal, a=a))
    (folder / "bad.cif").write_text("data_x\n")
    (folder / "properties.csv").write_text("material_id;gap\nMg.cif;7.8\nca;6.2\nBa;1\n")
    result = run(folder, "--property", "gap=gap", "--unit", "gap=eV", "-l", "mine")
    assert result.exit_code == 0, result.output
    assert "2 of 3 rows of properties.csv match a crystal; without a crystal: Ba" in result.output
    assert "read 4, used 3, rejected 1" in result.output
    assert "gap: 2 values, 1 missing" in result.output
    node = only_dataset()
    assert (node.n_crystals, node.properties, node.label) == (3, {"gap": "eV"}, "mine")
    assert node.base.attributes.get("name") == "oxides"
    assert node.get_dataset().crystals.counts.tolist() == [8, 8, 8]
    assert node.base.extras.get(EXTRA)["counts"]["rejected"] == 1
    assert run(folder, "--property", "gap=gap", "--unit", "gap=eV").exit_code == 0
    assert only_dataset().pk == node.pk


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give one of SOURCE, --group and --structures"),
        (("x.cif", "--structures", "1"), "give one of SOURCE"),
        (("nowhere.cif",), "no such file or folder"),
        (("x.csv", "--property", "gap"), "--property gap: write NAME=COLUMN"),
        (("x.csv", "--property", "gap=a", "--property", "gap=b"), "given twice"),
        (("x.csv", "--unit", "gap=eV"), "a unit for gap, which `properties` does not define"),
        (("x.csv", "--split", "0.5", "0.5", "0.5"), "add up to 1"),
        (("x.h5", "--name", "mine"), "is a dataset already; name cannot change it"),
        (("x.csv", "--filter", "nsites<3"), "`filter` and `limit` are for OPTIMADE"),
        (("--structures", "12345"), "12345"),
    ],
)
def test_what_cannot_be_imported_is_said_in_a_sentence(
    run: Callable[..., Result], arguments: tuple[str, ...], said: str
) -> None:
    result = run(*arguments)
    assert result.exit_code != 0
    assert said in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_structures_of_a_group(run: Callable[..., Result]) -> None:
    group = orm.Group("mine").store()
    good = []
    for index, metal in enumerate(("Mg", "Ca")):
        node = orm.StructureData(ase=ase.build.bulk(f"{metal}O", "rocksalt", a=4.2 + index / 2)).store()
        node.base.extras.set("gap", 7.0 - index)
        good.append(node)
    magnetic = orm.StructureData(cell=np.eye(3) * 4)
    magnetic.append_atom(position=(0, 0, 0), symbols="Fe", name="Fe1")
    magnetic.append_atom(position=(2, 2, 2), symbols="Fe", name="Fe2")
    alloy = orm.StructureData(cell=np.eye(3) * 4)
    alloy.append_atom(position=(0, 0, 0), symbols=("Fe", "Ni"), weights=(0.5, 0.5))
    slab = orm.StructureData(cell=np.eye(3) * 4, pbc=(True, True, False))
    slab.append_atom(position=(0, 0, 0), symbols="C")
    group.add_nodes([*good, magnetic.store(), alloy.store(), slab.store(), orm.Int(1).store()])
    result = run("--group", "mine", "--property", "gap=gap", "--unit", "gap=eV")
    assert result.exit_code == 0, result.output
    assert "read 5, used 2, rejected 3" in result.output
    assert "1 nodes are Int" in result.output
    for reason in ("kinds Fe1, Fe2 of one element", "partial occupancy", "not periodic"):
        assert reason in result.output
    dataset = only_dataset().get_dataset()
    by_id = dict(zip(dataset.crystals.ids, dataset.values("gap"), strict=True))
    assert by_id == {good[0].uuid: 7.0, good[1].uuid: 6.0}
    for index, structure in enumerate(dataset.crystals.structures()):
        node = orm.load_node(dataset.crystals.ids[index])
        np.testing.assert_allclose(structure.lattice.matrix, node.cell)
        assert structure.composition == node.get_pymatgen().composition
    result = run("--group", "mine", "--property", "gap=gpa")
    assert "no structure has gpa in its extras or attributes" in result.output
    assert "is gap meant?" in " ".join(result.output.split())


@pytest.mark.usefixtures("aiida_profile_clean")
def test_structures_of_a_query_and_of_hubbard() -> None:
    from aiida_quantumespresso.data.hubbard_structure import HubbardStructureData

    plain = orm.StructureData(ase=ase.build.bulk("MgO", "rocksalt", a=4.2)).store()
    hubbard = HubbardStructureData.from_structure(orm.StructureData(ase=ase.build.bulk("NiO", "rocksalt", a=4.2)))
    hubbard.initialize_onsites_hubbard("Ni", "3d", 5.0)
    hubbard.store()
    query = orm.QueryBuilder().append((orm.StructureData, HubbardStructureData))
    node = import_structures(query.all(flat=True), PrepareSettings(source="all structures"))
    assert node.get_dataset().crystals.ids == (plain.uuid,)
    assert list(node.base.extras.get(EXTRA)["rejected"]) == ["Hubbard parameters, which would be lost"]


def test_a_provider(run: Callable[..., Result], optimade_server: Server) -> None:
    optimade_server.refusals.clear()
    question: tuple[Any, ...] = ("--filter", 'elements HAS "Sr"', "--property", "gap=_made_gap", "--name", "made")
    result = run(optimade_server.url, *question)
    assert result.exit_code == 0, result.output
    node = only_dataset()
    assert node.properties == {"gap": "eV"}
    assert node.elements == ["O", "Sr"]
    assert node.base.extras.get(EXTRA)["source"] == optimade_server.url
    assert node.base.extras.get(EXTRA)["settings"]["filter"] == 'elements HAS "Sr"'

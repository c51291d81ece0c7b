"""Storing many nodes at once gives the same nodes as storing them one by one."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.manage import get_manager
from aiida.manage.caching import enable_caching
from aiida.orm import CalcJobNode, QueryBuilder, SinglefileData, StructureData, load_node
from sqlalchemy import event

from aiida_icsg3d.calculations import bulk
from aiida_icsg3d.calculations.bulk import store_created
from aiida_icsg3d.calculations.rebuild import RebuildCalculation
from aiida_icsg3d.calculations.segment import SegmentCalculation
from aiida_icsg3d.parsers.rebuild import structures
from icsg3d_models.crystals.elements import SYMBOLS
from tests.aiida import made_up


@pytest.fixture
def job(localhost: Any) -> CalcJobNode:
    """Return a stored job."""
    return CalcJobNode(computer=localhost, process_type="aiida.calculations:icsg3d.rebuild").store()


def test_same_as_one_by_one(job: CalcJobNode) -> None:
    fresh = dict(structures(made_up.crystals(6), seed=1))
    uuids = {f"crystals__{name}": node.uuid for name, node in fresh.items()}
    store_created(job, {f"crystals__{name}": node for name, node in fresh.items()})
    assert {triple.link_label: triple.node.uuid for triple in job.base.links.get_outgoing()} == uuids
    for name, twin in structures(made_up.crystals(6), seed=1):
        node = load_node(uuids[f"crystals__{name}"])
        twin.store()
        assert isinstance(node, StructureData)
        assert node.base.attributes.all == twin.base.attributes.all
        assert (node.label, node.description, node.user.pk) == (twin.label, twin.description, twin.user.pk)
        assert node.base.caching.get_hash() == twin.base.caching.get_hash() == node.base.caching.compute_hash()
        assert node.creator.pk == job.pk
        assert [t.link_label for t in node.base.links.get_incoming(link_type=LinkType.CREATE)] == [f"crystals__{name}"]
    assert job.outputs.crystals.s000003.get_formula() == "F3KMg"


def test_a_crystal_is_what_append_atom_would_make() -> None:
    batch = made_up.crystals(3)
    for index, (_, node) in enumerate(structures(batch, seed=1)):
        frac, numbers = batch.sites(index)
        other = StructureData(cell=batch.cell[index].tolist())
        for position, number in zip(frac @ batch.cell[index], numbers.tolist(), strict=True):
            other.append_atom(position=position.tolist(), symbols=SYMBOLS[number])
        assert node.base.attributes.all == other.base.attributes.all
        assert node.get_pymatgen() == other.get_pymatgen()


def test_others_have_their_turn_while_crystals_are_stored(
    fake_code: Any, remote: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiida_icsg3d.calculations.bulk.CHECKED", 2)
    monkeypatch.setattr("aiida_icsg3d.calculations.bulk.INSERTED", 3)
    turns: list[int] = []
    insert = bulk.insert_created

    def inserted(process: Any, rows: Any) -> None:
        insert(process, rows)
        asyncio.get_event_loop().call_soon(turns.append, len(rows))  # comes between two batches, or not at all
        order.append(len(turns))

    order: list[int] = []
    monkeypatch.setattr(bulk, "insert_created", inserted)
    for name in ("fields", "segments"):
        (tmp_path / f"{name}.h5").write_bytes(b"x")
    folder = remote()
    inputs = {"code": fake_code(rebuild={"count": 8}), "fields_folder": folder, "segments_folder": folder}
    outputs, node = run_get_node(RebuildCalculation, **inputs)
    assert node.is_finished_ok, node.exit_message
    assert len(outputs["crystals"]) == 8
    assert order == [0, 1, 2]  # of 3, 3 and 2
    assert turns == [3, 3, 2]


def test_nothing_is_stored_where_one_is_wrong(job: CalcJobNode) -> None:
    before = QueryBuilder().append(StructureData).count()
    good = dict(structures(made_up.crystals(2), seed=1))
    with pytest.raises(ValueError, match="stored already"):
        store_created(job, {**good, "old": StructureData(cell=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]).store()})
    with pytest.raises(ValueError, match="files cannot"):
        store_created(job, {**good, "file": SinglefileData(io.BytesIO(b"x"))})
    flat = StructureData(cell=[[0, 0, 0], [0, 0, 0], [0, 0, 0]], pbc=True)
    with pytest.raises(ValueError, match="volume 0"):
        store_created(job, {**good, "flat": flat})
    assert QueryBuilder().append(StructureData).count() == before + 1  # `old` itself


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """Collect the statements to the database."""
    found: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    engine = get_manager().get_profile_storage().get_session().get_bind()
    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "before_cursor_execute", note)


COUNT = 300


def test_through_the_engine_and_again_from_the_cache(
    fake_code: Any, remote: Any, tmp_path: Path, statements: list[str]
) -> None:
    (tmp_path / "fields.h5").write_bytes(b"fields")
    (tmp_path / "segments.h5").write_bytes(b"segments")
    folder = remote()
    inputs = {"code": fake_code(rebuild={"count": COUNT}), "fields_folder": folder, "segments_folder": folder}
    outputs, node = run_get_node(RebuildCalculation, **inputs)
    assert node.is_finished_ok, node.exit_message
    assert len(outputs["crystals"]) == COUNT
    assert all(crystal.is_stored for crystal in outputs["crystals"].values())
    query = QueryBuilder().append(CalcJobNode, filters={"id": node.pk}, tag="job")
    query.append(StructureData, with_incoming="job", filters={"label": {"like": "BaZrO3 %"}})
    assert query.count() == COUNT // 4

    statements.clear()
    with enable_caching():
        again, copy = run_get_node(RebuildCalculation, **inputs)
    assert copy.base.caching.get_cache_source() == node.uuid
    assert len(statements) < COUNT  # whatever their number; one by one they were many for each crystal
    assert set(copy.outputs) == set(node.outputs)
    assert again["crystals"].keys() == outputs["crystals"].keys()
    for name, crystal in again["crystals"].items():
        first = outputs["crystals"][name]
        assert crystal.uuid != first.uuid
        assert crystal.base.attributes.all == first.base.attributes.all
        assert (crystal.label, crystal.description) == (first.label, first.description)
        assert crystal.base.caching.get_hash() == first.base.caching.get_hash()
        assert [(t.node.pk, t.link_label) for t in crystal.base.links.get_incoming()] == [
            (copy.pk, f"crystals__{name}")
        ]


@pytest.mark.parametrize("gone", ["purged", "cleaned", "there"])
def test_a_job_whose_files_are_gone_does_not_stand_for_another(
    fake_code: Any, remote: Any, model: Any, tmp_path: Path, gone: str
) -> None:
    """Before, the cache gave the purged fields again, for ever."""
    (tmp_path / "fields.h5").write_bytes(b"fields")
    inputs = {"code": fake_code(), "fields_folder": remote(), "unet": model("unet")}
    _, node = run_get_node(SegmentCalculation, **inputs)
    folder = node.outputs.remote_folder
    if gone == "purged":
        (Path(folder.get_remote_path()) / "segments.h5").unlink()
    if gone == "cleaned":
        folder._clean()
    with enable_caching():
        _, again = run_get_node(SegmentCalculation, **inputs)
    assert again.is_finished_ok
    assert again.base.caching.is_created_from_cache == (gone == "there")
    assert (Path(again.outputs.remote_folder.get_remote_path()) / "segments.h5").exists()

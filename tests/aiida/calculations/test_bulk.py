"""Storing many nodes at once gives the same nodes as storing them one by one."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from aiida.common.links import LinkType
from aiida.engine import run_get_node
from aiida.orm import CalcJobNode, QueryBuilder, SinglefileData, StructureData, load_node

from aiida_icsg3d.calculations.bulk import store_created
from aiida_icsg3d.calculations.rebuild import RebuildCalculation
from aiida_icsg3d.parsers.rebuild import structures
from tests.aiida import made_up


@pytest.fixture
def job(localhost: Any) -> CalcJobNode:
    """Return a stored job."""
    return CalcJobNode(computer=localhost, process_type="aiida.calculations:icsg3d.rebuild").store()


def test_same_as_one_by_one(job: CalcJobNode) -> None:
    fresh = dict(structures(made_up.crystals(6), seed=1))
    uuids = {f"crystals__{name}": node.uuid for name, node in fresh.items()}
    stored = store_created(job, {f"crystals__{name}": node for name, node in fresh.items()})
    assert {label: node.uuid for label, node in stored.items()} == uuids
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


def test_through_the_engine(fake_code: Any, remote: Any, tmp_path: Path) -> None:
    (tmp_path / "fields.h5").write_bytes(b"fields")
    (tmp_path / "segments.h5").write_bytes(b"segments")
    folder = remote()
    inputs = {"code": fake_code(rebuild={"count": 300}), "fields_folder": folder, "segments_folder": folder}
    outputs, node = run_get_node(RebuildCalculation, **inputs)
    assert node.is_finished_ok, node.exit_message
    assert len(outputs["crystals"]) == 300
    assert all(crystal.is_stored for crystal in outputs["crystals"].values())
    query = QueryBuilder().append(CalcJobNode, filters={"id": node.pk}, tag="job")
    query.append(StructureData, with_incoming="job", filters={"label": {"like": "BaZrO3 %"}})
    assert query.count() == 75

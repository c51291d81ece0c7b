"""Structures of a real OPTIMADE server: filters, properties with units, pages, interruptions, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icsg3d_models.crystals.batch import CrystalError
from icsg3d_models.data.datasets import read_dataset
from icsg3d_models.data.prepare import PAGES_FILE, run
from icsg3d_models.data.readers import Request
from icsg3d_models.data.readers.optimade import Provider, read_optimade
from icsg3d_models.data.readers.optimade.structures import crystal_of
from icsg3d_models.results import Report, StageError
from icsg3d_models.settings import PrepareSettings
from tests.optimade_server import Server, structure

GAP = {"gap": "_made_gap"}


@pytest.fixture
def server(optimade_server: Server) -> Server:
    """Return the server without refusals of an earlier test."""
    optimade_server.refusals.clear()
    optimade_server.asked.clear()
    return optimade_server


def provider(server: Server, waited: list[float] | None = None) -> Provider:
    return Provider(server.url, wait=(waited if waited is not None else []).append)


def prepare(folder: Path, **settings: Any) -> Report:
    report = Report("prepare", folder, quiet=True)
    run(PrepareSettings(**settings), report)
    return report


def test_a_whole_database_with_a_property_and_its_unit(server: Server, tmp_path: Path) -> None:
    report = prepare(tmp_path, source=server.url, properties=GAP, filter='elements HAS "O"')
    dataset = read_dataset(tmp_path / "dataset.h5")
    assert report.counts["read"] == 250
    assert {r["id"] for r in report.tables["rejected"]} == {"made-247", "made-248"}
    assert dataset.crystals.ids[:2] == ("made-000", "made-001")
    np.testing.assert_allclose(dataset.values("gap")[:3], [1.0, 1.01, 1.02])
    assert np.isnan(dataset.values("gap")[-1])
    assert dataset.units == {"gap": "eV"}
    np.testing.assert_allclose(dataset.crystals.cell[4], 2.94 * np.eye(3))
    assert report.tables["summary"]["properties"]["gap"]["known"] == 247
    pages = [path for path in server.asked if "/structures?" in path]
    assert len(pages) == 3  # a hundred each, not the 20 of the server's default
    assert not (tmp_path / PAGES_FILE).exists()


def test_filter_and_limit(server: Server) -> None:
    found = read_optimade(provider(server), Request(filter='elements HAS "Mg" AND nsites<=2'))
    assert len(found.records) == 63  # with the one that is disordered
    assert all(record.values == {} for record in found.records)
    found = read_optimade(provider(server), Request(limit=7))
    assert [record.id for record in found.records] == [f"made-{i:03d}" for i in range(7)]
    assert "first 7 of 250" in found.notes[0]


@pytest.mark.parametrize(
    ("request_", "status", "said"),
    [
        (Request(filter="elements HAS"), "settings_rejected", "answers 400"),
        (Request(filter='elements HAS "Au"'), "input_incompatible", "no structure matches"),
        (Request(columns={"gap": "_made_gpa"}), "settings_rejected", "no property _made_gpa; is _made_gap meant"),
    ],
)
def test_questions_that_are_refused(server: Server, request_: Request, status: str, said: str) -> None:
    with pytest.raises(StageError, match=said) as raised:
        read_optimade(provider(server), request_)
    assert raised.value.status == status


def test_a_provider_that_is_busy_is_asked_again_when_it_says(server: Server) -> None:
    waited: list[float] = []
    server.refusals += [(429, "7"), (503, None), (429, "Wed, 21 Oct 2015 07:28:00 GMT")]
    assert len(read_optimade(provider(server, waited), Request(limit=3)).records) == 3
    assert waited == [7.0, 2.0, 0.0]
    server.refusals += [(429, "4000")]
    with pytest.raises(StageError, match="asks to wait 4000 s"):
        read_optimade(provider(server), Request())
    server.refusals[:] = [(503, None)] * 6
    with pytest.raises(StageError, match=r"does not answer \(503 Service Unavailable\) after 6 tries; it may be down"):
        read_optimade(provider(server), Request())


def test_a_run_that_was_interrupted_goes_on(server: Server, tmp_path: Path) -> None:
    kept = tmp_path / "pages.jsonl"
    calls = 0

    def broken(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 4:  # info, two pages, then Ctrl-C
            raise KeyboardInterrupt
        return original(*args, **kwargs)

    first = provider(server)
    original = first.session.get
    first.session.get = broken.__get__(first.session)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        read_optimade(first, Request(columns=GAP), kept)
    with open(kept, "a", encoding="utf-8") as stream:
        stream.write('{"data": [{"id": "cut')
    server.asked.clear()
    found = read_optimade(provider(server), Request(columns=GAP), kept)
    assert [record.id for record in found.records] == [f"made-{i:03d}" for i in range(250)]
    assert len([path for path in server.asked if "/structures?" in path]) == 1
    whole = read_optimade(provider(server), Request(columns=GAP))
    assert whole.digest == found.digest
    # another question does not go on with these pages
    assert len(read_optimade(provider(server), Request(limit=5), kept).records) == 5
    assert json.loads(kept.read_text().splitlines()[0])["response_fields"].endswith("chemical_formula_reduced")


def test_who_is_no_provider(server: Server, tmp_path: Path) -> None:
    with pytest.raises(StageError, match="no OPTIMADE provider") as raised:
        prepare(tmp_path, source=server.url + "/nowhere")
    assert raised.value.status == "input_missing"
    silent = Provider("http://127.0.0.1:9", wait=lambda seconds: None)
    with pytest.raises(StageError, match=r"does not answer \(no connection\) after 6 tries"):
        read_optimade(silent, Request())
    with pytest.raises(StageError, match="`filter` and `limit` are for OPTIMADE"):
        prepare(tmp_path, source="crystals.csv", filter="nsites<3")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"structure_features": ["disorder"]}, "disorder: no ordered"),
        ({"nperiodic_dimensions": 2}, "not periodic"),
        ({"lattice_vectors": None}, "gives no lattice_vectors"),
        ({"lattice_vectors": [[3, 0, 0], [0, 3, 0], [0, None, 3]]}, "null"),
        ({"lattice_vectors": [[3, 0, 0], [3, 0, 0], [0, 0, 3]]}, "singular"),
        ({"nsites": 3}, "cut off"),
        ({"chemical_formula_reduced": "MgO2"}, "provider states MgO2"),
        ({"species": [{"name": "Mg", "chemical_symbols": ["Mg", "vacancy"], "concentration": [0.9, 0.1]}]}, "partial"),
        ({"species": [{"name": "Mg", "chemical_symbols": ["X"], "concentration": [1.0]}]}, "no chemical element"),
        ({"species": [{"name": "Mg", "chemical_symbols": ["Mg"], "concentration": [1.0], "attached": ["H"],
                       "nattached": [1]}]}, "attached"),
        ({"species_at_sites": ["Mg1", "O"]}, "is not described"),
    ],
)  # fmt: skip
def test_structures_that_are_refused(changes: dict[str, Any], reason: str) -> None:
    assert len(crystal_of(structure(0)).numbers) == 2
    with pytest.raises(CrystalError, match=reason):
        crystal_of(structure(0, **changes))

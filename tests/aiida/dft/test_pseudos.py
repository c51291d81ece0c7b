"""Which pseudopotential family is used, with a made-up server, made-up files and the real record."""

from __future__ import annotations

import importlib.util
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiida.plugins import DataFactory, GroupFactory

from aiida_icsg3d.dft.pseudos import FamilyError, choose_family, debian, download, families, load_family
from tests.aiida.pseudo_families import make_family, write_upf

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.usefixtures("aiida_profile_clean")


class Refuse(BaseHTTPRequestHandler):
    """Answers every request with 403, which is an answer."""

    def do_HEAD(self) -> None:
        self.send_response(403)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Keep the test output quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    """Return the address of a server that answers."""
    httpd = HTTPServer(("127.0.0.1", 0), Refuse)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}/"
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture
def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no archive answer."""
    monkeypatch.setattr(download, "answers", lambda url: False)


def test_server_that_answers(server: str) -> None:
    assert download.answers(server, 5)


def test_closed_port_does_not_answer() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        assert not download.answers(f"http://127.0.0.1:{listener.getsockname()[1]}/", 2)


def test_server_that_hangs_is_given_up_in_time() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        start = time.monotonic()
        assert not download.answers(f"http://127.0.0.1:{listener.getsockname()[1]}/", 0.5)
        assert time.monotonic() - start < 2


def test_download_runs_the_command(server: str) -> None:
    lines: list[str] = []
    assert download.download_sssp(lines.append, server, [sys.executable, "-c", ""]) == "SSSP/1.3/PBE/efficiency"
    assert "SSSP 1.3 PBE efficiency" in lines[0]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ([sys.executable, "-c", "import sys; sys.exit('the archive is down for maintenance')"], "maintenance"),
        (["/nowhere/aiida-pseudo"], "No such file"),
    ],
)
def test_download_that_fails(server: str, command: list[str], message: str) -> None:
    with pytest.raises(download.DownloadError, match=message):
        download.download_sssp(lambda line: None, server, command)


def test_named_family_wins(tmp_path: Path) -> None:
    make_family(tmp_path, "SSSP/1.3/PBE/efficiency")
    mine = make_family(tmp_path, "mine")
    assert choose_family("mine").pk == mine.pk


def test_unknown_family_names_what_there_is(tmp_path: Path) -> None:
    make_family(tmp_path, "mine")
    with pytest.raises(
        FamilyError, match=r"'hers' is not installed \(installed: 'mine'\); install one with `aiida-pseudo"
    ):
        load_family("hers")


def test_family_without_cutoffs(tmp_path: Path) -> None:
    write_upf(tmp_path, "O")
    bare: Any = GroupFactory("pseudo.family")
    bare.create_from_folder(tmp_path, "bare", pseudo_type=DataFactory("pseudo.upf"))
    with pytest.raises(FamilyError, match="recommends no cut-offs; set them with"):
        load_family("bare")


def test_order_of_installed_families(tmp_path: Path) -> None:
    for label in (debian.LABEL, "PseudoDojo/0.4/PBE/SR/standard/upf", "SSSP/1.2/PBE/efficiency", "other"):
        make_family(tmp_path, label)
        if label != "other":
            assert choose_family(install=False).label == label


def test_nothing_installed_and_nothing_wanted() -> None:
    with pytest.raises(FamilyError, match="no SSSP or PseudoDojo family is installed; install one with"):
        choose_family(install=False)


def test_falls_back_to_debian_and_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unreachable: None
) -> None:
    record = {"description": "made up", "unit": "Ry", "files": {}, "cutoffs": {"normal": {}, "low": {}}}
    for element in ("O", "Ti", "Pb"):
        path = write_upf(tmp_path / "upf", element)
        digest = debian.hashlib.sha256(path.read_bytes()).hexdigest()
        record["files"][element] = {"name": path.name, "sha256": digest}  # type: ignore[index]
        for name in ("normal", "low"):
            record["cutoffs"][name][element] = {"cutoff_wfc": 30.0, "cutoff_rho": 240.0}  # type: ignore[index]
    (tmp_path / "record.json").write_text(json.dumps(record))
    monkeypatch.setattr(debian, "RECORD", tmp_path / "record.json")
    monkeypatch.setenv("ESPRESSO_PSEUDO", str(tmp_path / "upf"))
    (tmp_path / "upf" / "Pb.upf").write_text("another file of that name")
    lines: list[str] = []
    family = choose_family(say=lines.append)
    assert set(family.elements) == {"O", "Ti"}
    assert family.get_recommended_cutoffs(elements=("O", "Ti"), unit="Ry") == pytest.approx((30, 240))
    assert family.get_default_stringency() == "normal"
    assert "did not answer" in lines[0]
    assert "Pb is left out: Pb.upf is not the file whose cut-offs were converged" in lines
    assert choose_family().pk == family.pk


def test_no_files_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unreachable: None) -> None:
    monkeypatch.setenv("ESPRESSO_PSEUDO", str(tmp_path))
    with pytest.raises(FamilyError, match=r"holds none of the LDA files.*apt-get install"):
        choose_family()


def test_preferred_labels_are_those_of_aiida_pseudo() -> None:
    known = {
        *GroupFactory("pseudo.family.sssp").get_valid_labels(),  # type: ignore[attr-defined]
        *GroupFactory("pseudo.family.pseudo_dojo").get_valid_labels(),  # type: ignore[attr-defined]
    }
    assert set(families.PREFERRED) <= known


def test_record_is_what_the_benchmark_recommends() -> None:
    path = ROOT / "benchmarks" / "pseudopotentials" / "converge.py"
    spec = importlib.util.spec_from_file_location("converge", path)
    assert spec is not None
    assert spec.loader is not None
    converge = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(converge)
    content = json.loads(path.with_name("cutoffs.json").read_text())
    for name, tolerance in converge.TOLERANCES.items():
        assert converge.recommend(content["solids"], tolerance) == content["cutoffs_Ry"][name]
    assert json.loads(debian.RECORD.read_text()) == converge.record(content)
    page = (ROOT / "docs" / "pseudopotentials.md").read_text()
    for part in converge.table(content).split("\n\n"):
        assert part in page
    assert set(content["files"]) == set(content["cutoffs_Ry"]["normal"])

"""The report of a run: every file, in every state of the run, and nothing from input unescaped."""

from __future__ import annotations

import base64
import csv
import json
import re
import shutil
import zipfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from aiida import orm
from pymatgen.core import Structure

from aiida_icsg3d.campaigns.campaign import read_campaign
from aiida_icsg3d.report import write_report
from aiida_icsg3d.report.console import summarise
from aiida_icsg3d.report.generated import generated_occupancy
from aiida_icsg3d.report.pictures.provenance import draw_provenance
from tests.aiida.discovery_graph import ASKED, Discovery, build_discovery, local_computer, process

EVIL = "<script>alert('&')</script>"


@pytest.fixture(scope="module")
def run(aiida_profile: object, tmp_path_factory: pytest.TempPathFactory) -> Discovery:
    """Return a run that ended; one crystal was set aside for a reason that holds markup."""
    return build_discovery(tmp_path_factory.mktemp("run"), reason=EVIL)


@pytest.fixture(scope="module")
def unfinished(aiida_profile: object, tmp_path_factory: pytest.TempPathFactory) -> tuple[Discovery, Path]:
    """Return a run that still runs, with models from elsewhere, and the folder its jobs ran in."""
    folder = tmp_path_factory.mktemp("unfinished")
    return build_discovery(folder, summary=False, trained_here=False), folder


@pytest.fixture(scope="module")
def report(run: Discovery, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the files of its report, with small pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("aiida_icsg3d.report.pictures.picture.DPI", 40)
        return write_report(run.workchain, tmp_path_factory.mktemp("report") / "new" / "folder")


def test_all_files_are_there(report: dict[str, Path]) -> None:
    pictures = {"picture.png", "provenance.svg", "provenance.png"}
    names = {"candidates.csv", "cifs.zip", "metrics.json", "index.html", *pictures}
    assert {path.name for path in report.values()} == names
    assert all(path.stat().st_size > 0 for path in report.values())
    folder = report["index"].parent
    assert {path.name for path in folder.iterdir()} == names


def test_table_has_all_candidates_best_first(report: dict[str, Path], run: Discovery) -> None:
    with open(report["candidates"], newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == ["s000002", "s000005", "s000001", "s000007"]
    first, second, third, _ = rows
    assert first["structure_uuid"] == run.crystals["s000002"].uuid
    assert first["relaxed_uuid"] == run.relaxed["s000002"].uuid
    assert float(first["dft_energy_per_atom_eV"]) == -1024.1
    assert (second["dft_status"], second["dft_exit_status"], second["relaxed_uuid"]) == ("failed", "401", "")
    assert third["structure_uuid"] == run.crystals["s000001"].uuid
    assert third["dft_status"] == ""


def test_cifs_can_be_read_back(report: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(report["cifs"]) as archive:
        archive.extractall(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "001_PbTiO3_s000002_generated.cif",
        "001_PbTiO3_s000002_relaxed.cif",
        "002_BaNbN3_s000005_generated.cif",
    ]
    crystal = Structure.from_file(tmp_path / "001_PbTiO3_s000002_relaxed.cif")
    assert crystal.composition.reduced_formula == "TiPbO3"
    assert crystal.lattice.a == pytest.approx(3.88)
    text = (tmp_path / "001_PbTiO3_s000002_generated.cif").read_text()
    assert re.search(r"_symmetry_space_group_name_H-M\s+Pm-3m", text)
    assert "sites moved onto it" in text


def test_metrics(report: dict[str, Path], run: Discovery) -> None:
    metrics = json.loads(report["metrics"].read_text())
    assert metrics["funnel"]["sampled"] == 8
    assert metrics["wall_seconds_by_stage"]["icsg3d.sample"] == 4.0
    assert metrics["versions"]["smact"] == "4.0.0"
    assert metrics["seeds"]["icsg3d.rebuild"] == 7
    assert metrics["asked_for"] == {k: v for k, v in ASKED.items() if k != "batch_size"}
    assert {m["sha256"] for m in metrics["models"] if m["kind"] == "model"} == {m.sha256 for m in run.models.values()}
    assert metrics["relaxations"]["s000002"]["a"] == 3.88


class Page(HTMLParser):
    """Collects tags, links and text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, Any]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def test_page_is_one_file_and_escaped(report: dict[str, Path]) -> None:
    html = report["index"].read_text()
    page = Page()
    page.feed(html)
    addresses = [attrs[key] for tag, attrs in page.tags for key in ("src", "href") if key in attrs]
    assert len(addresses) > 8
    assert all(address.startswith("data:") for address in addresses)
    assert EVIL not in html
    assert "&lt;script&gt;alert(" in html
    assert f"{len(html.encode()) / 1e6:.1f} MB" in page.text
    for text in (
        "elements O Pb · targets gap = 1.5 · guidance 2.0",
        "PbTiO3, relaxed by DFT, not in the training data; no energy above a hull",
        "failed [401]",
        "not predicted, so not judged",
        "Ti: 6 O at 1.94 Å",
        "No parity plot: no two energies of this run count from the same zero",
    ):
        assert text in page.text
    assert "-1024" not in page.text  # a total energy says nothing
    assert "O3PbTi" not in page.text


def test_cif_of_the_page_is_the_one_of_the_zip(report: dict[str, Path]) -> None:
    page = Page()
    page.feed(report["index"].read_text())
    links = {attrs["download"]: attrs["href"] for tag, attrs in page.tags if tag == "a" and "download" in attrs}
    with zipfile.ZipFile(report["cifs"]) as archive:
        for name in archive.namelist():
            assert base64.b64decode(links[name].split(",", 1)[1]) == archive.read(name)


VERDICT = {"dft_e_above_hull": 0.0, "dft_formation_energy": -2.54, "dft_hull": {"functional": "LDA", "phases": 9},
           "estimated_e_above_hull": 0.02, "known_formula": True}  # fmt: skip


def test_verdict_comes_first_where_there_is_one(
    run: Discovery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiida_icsg3d.report.pictures.picture.DPI", 30)
    campaign = read_campaign(run.workchain)
    for candidate, shift in zip(campaign.candidates[:2], (0.0, 0.3), strict=True):
        candidate.row.update(VERDICT | {"dft_e_above_hull": shift, "estimated_e_above_hull": shift + 0.02})
    monkeypatch.setattr("aiida_icsg3d.campaigns.campaign.read_campaign", lambda node: campaign)
    monkeypatch.setattr("aiida_icsg3d.report.console.read_campaign", lambda node: campaign)
    page = Page()
    page.feed(write_report(run.workchain, tmp_path)["index"].read_text())
    first = "PbTiO3, 0.00 eV/atom above the hull (LDA, 9 phases), known"
    assert first in page.text
    assert page.text.index("above hull, DFT") < page.text.index("predicted formation energy")
    assert "estimated energy above hull (eV/atom)" in page.text  # of the parity plot
    assert "No parity plot" not in page.text
    lines = summarise(run.workchain).splitlines()
    assert lines[0] == first
    row = next(line for line in lines if line.startswith("PbTiO3  "))
    assert row.split()[1:4] == ["+0.000", "-2.540", "+0.020"]


def test_report_of_a_running_run(
    unfinished: tuple[Discovery, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiida_icsg3d.report.pictures.picture.DPI", 30)
    files = write_report(unfinished[0].workchain, tmp_path / "report")
    assert "picture" in files
    assert json.loads(files["metrics"].read_text())["workchain"]["state"] == "running"


def test_report_of_a_run_that_has_just_begun(aiida_profile: object, tmp_path: Path) -> None:
    node = process(orm.WorkChainNode, "aiida.workflows:icsg3d.discover", {}, None)
    files = write_report(node, tmp_path)
    assert set(files) == {"candidates", "cifs", "metrics", "index"}
    assert "No crystal was screened" in files["index"].read_text()
    assert "nothing sampled yet" in summarise(node)


def test_summary_for_the_terminal(run: Discovery) -> None:
    text = summarise(run.workchain)
    pk = run.workchain.pk
    assert "sampled 8 → rebuilt 4 → valid 3 → unique 3 → novel 2 → selected 2 → relaxed 1 (1 failed)" in text
    line = next(line for line in text.splitlines() if line.startswith("PbTiO3  "))
    relaxed = str(run.relaxed["s000002"].pk)
    assert line.split() == ["PbTiO3", "Pm-3m", "3.880", "-1.120", "relaxed", "-6.6", "0.016", relaxed]
    assert "failed [401]" in text
    for command in (f"verdi process status {pk}", f"verdi node graph generate {pk}", f"aiida-icsg3d report {pk}"):
        assert command in text


def test_provenance_is_drawn_with_the_nodes_of_the_way(run: Discovery, tmp_path: Path) -> None:
    svg, png = tmp_path / "p.svg", tmp_path / "p.png"
    draw_provenance(run.relaxed["s000002"], svg, png)
    assert png.read_bytes().startswith(b"\x89PNG")
    text = svg.read_text()
    assert run.dataset is not None
    crystals = (run.crystals["s000002"], run.relaxed["s000002"])
    for node in [run.dataset, *run.models.values(), *crystals, run.jobs["screen"]]:
        assert f"PK {node.pk} ·" in text
    assert f"PK {run.crystals['s000005'].pk} ·" not in text
    assert "crystal PbTiO3" in text
    assert "cgcnn model" in text


def test_generated_field_is_read_where_it_is_on_this_machine(unfinished: tuple[Discovery, Path]) -> None:
    found, folder = unfinished
    assert generated_occupancy(found.crystals["s000005"]) is None  # no such file
    fields = np.random.default_rng(0).random((2, 4, 4, 4)).astype(np.float16)
    (folder / "sample").mkdir()
    with h5py.File(folder / "sample" / "fields.h5", "w") as file:
        file["occupancy"], file["sample"] = fields, [2, 5]
    values = generated_occupancy(found.crystals["s000005"])
    np.testing.assert_array_equal(values, fields[1])
    assert generated_occupancy(found.crystals["s000007"]) is None  # not in the file
    assert generated_occupancy(found.relaxed["s000002"]) is None  # born of DFT, not of a field
    # fields on another computer stay there
    computer = local_computer(folder)
    computer.transport_type = "core.ssh"
    try:
        assert generated_occupancy(found.crystals["s000005"]) is None
    finally:
        computer.transport_type = "core.local"
    (folder / "sample" / "fields.h5").write_bytes(b"half removed")
    assert generated_occupancy(found.crystals["s000005"]) is None  # there was no report at all of such a run
    shutil.rmtree(folder / "sample")

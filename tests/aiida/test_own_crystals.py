"""A folder of CIFs, nothing else, to new crystals: the real program, started from the shipped set."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from click.testing import CliRunner

from aiida_icsg3d.cli import cmd_root
from aiida_icsg3d.setup import prepare_code
from tests.aiida.test_examples import load

REAL = {stage: {"real": True} for stage in ("prepare", "train", "sample", "segment", "rebuild", "screen")}


def run(*words: str) -> str:
    """Return what a command says."""
    shown = CliRunner().invoke(cmd_root, words)
    assert shown.exit_code == 0, shown.output
    return shown.output


def newest(label: str) -> Any:
    """Return the newest process of a label."""
    query = orm.QueryBuilder().append(orm.ProcessNode, filters={"attributes.process_label": label}, tag="process")
    return query.order_by({"process": {"id": "desc"}}).first(flat=True)


def test_structures_alone_lead_to_new_crystals(
    aiida_profile_clean: Any, fake_code: Callable[..., orm.InstalledCode], localhost: orm.Computer, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    prepare_code(localhost, "icsg3d", None, Path(fake_code(**REAL).filepath_executable))
    monkeypatch.chdir(tmp_path)
    mine = Path("mine")
    mine.mkdir()
    oxides = [each for each in load("own_perovskites").perovskites() if each[0].endswith("TiO3") or "Zr" in each[0]]
    for name, structure, _ in oxides:
        structure.to(filename=mine / f"{name}.cif")
    assert len(oxides) > 5

    said = run("train", "--source", "mine", "--start-from", "wide", "--epochs-prior", "2", "--code", "icsg3d@localhost")
    assert "kept as wide has them: unet, vae, cgcnn" in said
    training = newest("TrainAllWorkChain")
    assert training.outputs.prior.card["fine_tuned_from"]["data"]["name"] == "wide+perov5+carbon24"
    assert training.outputs.prior.card["trial"]["prior"] > 0

    elements = ["--elements", "Ba", "Ti", "Zr", "O", "--n-samples", "8", "--n-relaxations", "0", "--no-prerelax"]
    run("generate", "--models", str(training.pk), *elements)
    found = newest("DiscoverWorkChain")
    funnel = found.outputs.summary.get_dict()["funnel"]
    assert funnel["valid"] >= 4
    screening = next(node for node in found.called_descendants if node.process_label == "ScreenCalculation")
    assert screening.outputs.results["tables"]["reference"].startswith("fingerprint of mine and wide+perov5+carbon24")

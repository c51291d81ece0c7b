"""The whole chain with a fake program: what is linked, what is attached, and every way it can end."""

from __future__ import annotations

from typing import Any

import pytest
from aiida.engine import run_get_node

from aiida_icsg3d.workflows.discover import DiscoverWorkChain


@pytest.fixture
def models(model: Any) -> dict[str, Any]:
    """Return a full set of models."""
    return {"vae": model("vae"), "unet": model("unet"), "prior": model("prior"), "predictors": {"a": model("cgcnn")}}


def run(code: Any, **kwargs: Any) -> Any:
    """Run the chain without DFT and return (outputs, node)."""
    builder = DiscoverWorkChain.get_builder_from_protocol({"icsg3d": code}, n_relaxations=0, n_samples=4, **kwargs)
    return run_get_node(builder)


def test_without_dft(fake_code: Any, models: dict[str, Any]) -> None:
    outputs, node = run(fake_code(), models=models, seed=3)
    assert node.is_finished_ok, node.exit_message
    summary = outputs["summary"].get_dict()
    assert summary["funnel"] == {
        "sampled": 4, "rebuilt": 4, "valid": 4, "unique": 4, "novel": 4, "selected": 2, "relaxed": 0, "failed": 0,
    }  # fmt: skip
    best = summary["candidates"][0]
    assert (best["id"], best["rank"], best["formula"], best["relax"]) == ("s000002", 1, "BaZrO3", None)

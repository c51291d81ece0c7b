"""What an installation says of itself."""

from __future__ import annotations

import json
import sys

import pytest

from icsg3d_models import __version__
from icsg3d_models.cli import main, probe


def test_probe_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--probe"])
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["version"] == __version__
    assert found["missing"] == []
    assert found["device"]
    assert found["cores"] >= 1


def test_probe_without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setattr(probe, "installed", lambda name: name != "torch")
    found = probe.look()
    assert (found["device"], found["missing"]) == (None, ["torch"])
    assert "torch" in found["problem"]

"""Importing the plugin and loading every entry point needs no torch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from importlib.abc import MetaPathFinder
from importlib.metadata import entry_points

class Blocker(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "safetensors", "skimage", "cc3d", "smact"}:
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocker())
import aiida_icsg3d
groups = ("data", "calculations", "calculations.monitors", "parsers", "workflows")
found = [e for g in groups for e in entry_points(group=f"aiida.{g}") if e.name.startswith("icsg3d.")]
for entry in found:
    loaded = entry.load()
    if hasattr(loaded, "spec"):
        loaded.spec()
assert "torch" not in sys.modules
print(len(found))
"""


def test_entry_points_without_torch(tmp_path: Path) -> None:
    environment = {**os.environ, "AIIDA_PATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) >= 21

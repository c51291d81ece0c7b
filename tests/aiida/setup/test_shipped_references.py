"""Reference energies in an archive: imported once, found afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiida import orm
from aiida.tools.archive import create_archive

from aiida_icsg3d.setup.shipped_references import count_energies, import_references

pytestmark = pytest.mark.usefixtures("aiida_profile_clean")


def test_an_archive_is_imported_once(tmp_path: Path, aiida_profile_clean: object) -> None:
    node = orm.Dict({"settings_hash": "a", "formula": "Mg", "energy_per_atom_eV": -1.0}).store()
    archive = tmp_path / "references.aiida"
    create_archive([node], filename=archive)
    aiida_profile_clean.reset_storage()  # type: ignore[attr-defined]
    assert count_energies() == 0
    lines: list[str] = []
    assert import_references(lines.append, archive) == 1
    assert import_references(lines.append, archive) == 0
    assert count_energies() == 1
    assert lines == ["reference energies of the package: 1 added", "reference energies of the package: there"]


def test_no_archive(tmp_path: Path) -> None:
    assert import_references(print, tmp_path / "none.aiida") == 0

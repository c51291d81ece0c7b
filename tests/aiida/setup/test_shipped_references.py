"""Reference energies in an archive: imported once, found afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aiida import orm
from aiida.tools.archive import create_archive

from aiida_icsg3d.dft.pseudos.debian import LABEL, create_family
from aiida_icsg3d.setup.shipped_references import ARCHIVE, count_energies, export_references, import_references
from aiida_icsg3d.workflows.stability.guessing import guessed_formulas
from aiida_icsg3d.workflows.stability.references import ReferencesWorkChain

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


def test_codes_that_come_with_it_are_hidden(
    tmp_path: Path, aiida_profile_clean: object, aiida_localhost: orm.Computer
) -> None:
    """Nobody can run them here, and `pw` alone would be ambiguous."""
    code = orm.InstalledCode(computer=aiida_localhost, filepath_executable="/usr/bin/true", label="pw").store()
    node = orm.Dict({"settings_hash": "a", "formula": "Mg", "energy_per_atom_eV": -1.0}).store()
    archive = tmp_path / "references.aiida"
    create_archive([node, code], filename=archive)
    with pytest.raises(ValueError, match="is there already"):
        export_references([node], archive)
    with pytest.raises(ValueError, match="compute them first"):
        export_references([], tmp_path / "other.aiida")
    aiida_profile_clean.reset_storage()  # type: ignore[attr-defined]
    import_references(print, archive)
    assert [found.is_hidden for found in orm.QueryBuilder().append(orm.InstalledCode).all(flat=True)] == [True]


def test_what_is_shipped_is_found_by_a_run_of_the_quick_start(aiida_localhost: orm.Computer, workchain: Any) -> None:
    """Settings of the protocol `fast` with Debian's files: the same hash, so that a verdict finds its references."""
    create_family()
    import_references(print)
    code = orm.InstalledCode(
        computer=aiida_localhost,
        filepath_executable="/bin/true",
        label="pw",
        default_calc_job_plugin="quantumespresso.pw",
    ).store()
    elements = ["Al", "Mg", "O", "Pb", "Ti"]
    builder = ReferencesWorkChain.get_builder_from_protocol(
        code, elements, ["PbO", "TiO2", "MgTiO3"], protocol="fast", pseudo_family=LABEL, compute=False
    )
    chain = workchain(ReferencesWorkChain, builder)
    assert chain.look_up() is None
    chain.choose()
    assert chain.ctx.missing == {}
    assert {"Al", "Mg", "O", "Pb", "Ti", "PbO", "TiO2", "MgO", "Al2O3", "MgTiO3", "TiPbO3"} <= chain.known_formulas()
    guessed = guessed_formulas(chain.ctx.known)
    assert "MgTiO3" in guessed
    assert "TiPbO3" not in guessed
    assert ARCHIVE.stat().st_size < 5e6

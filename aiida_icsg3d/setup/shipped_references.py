"""Energies of references that come with the package, as an AiiDA archive with their provenance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from aiida import orm

ARCHIVE = Path(__file__).with_name("lda_references.aiida")
"""Elements and oxides with the protocol ``fast`` and Debian's LDA files; docs/verdict.md says how it was made."""


def import_references(say: Callable[[str], None] = print, archive: Path = ARCHIVE) -> int:
    """Import the references that come with the package, and return how many energies there are now of theirs.

    Nodes that are there already are left as they are.
    """
    from aiida.tools.archive import import_archive

    if not archive.is_file():
        return 0
    count = count_energies()
    import_archive(archive)
    added = count_energies() - count
    say(f"reference energies of the package: {added} added" if added else "reference energies of the package: there")
    return added


def count_energies() -> int:
    """Return how many energies of crystals with known settings the profile holds."""
    query = orm.QueryBuilder().append(orm.Dict, filters={"attributes": {"has_key": "settings_hash"}})
    return query.count()

"""Energies of references that come with the package, as an AiiDA archive with their provenance."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
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
    count, codes = count_energies(), set(all_codes())
    logger = logging.getLogger("aiida.export")  # of imports, too: thirty lines of counts
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        import_archive(archive, create_group=False)
    finally:
        logger.setLevel(level)
    for pk in set(all_codes()) - codes:  # of the machine where they were computed: nobody can run it here
        orm.load_code(pk).is_hidden = True
    added = count_energies() - count
    say(f"reference energies of the package: {added} added" if added else "reference energies of the package: there")
    return added


def all_codes() -> list[int]:
    """Return the PKs of the codes in the profile."""
    query = orm.QueryBuilder().append(orm.Data, filters={"node_type": {"like": "data.core.code.%"}}, project=["id"])
    return query.all(flat=True)


def export_references(energies: Iterable[orm.Dict], path: Path) -> None:
    """Write energies with their provenance into an archive that :func:`import_references` reads.

    :raises ValueError: there are none, or the file is there already.
    """
    from aiida.tools.archive import create_archive

    nodes = list(energies)
    if not nodes:
        raise ValueError("no energies of these settings are in the profile; compute them first, without --export")
    if path.exists():
        raise ValueError(f"{path} is there already; name another file")
    create_archive(nodes, filename=path, include_logs=False, include_comments=False, compression=9)


def count_energies() -> int:
    """Return how many energies of crystals with known settings the profile holds."""
    query = orm.QueryBuilder().append(orm.Dict, filters={"attributes": {"has_key": "settings_hash"}})
    return query.count()

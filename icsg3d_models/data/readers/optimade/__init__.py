"""Structures of any OPTIMADE provider: Materials Project, AFLOW, OQMD, Alexandria, one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ....results import StageError
from ..record import Found, Record, Request
from ..table import meant
from .client import Provider, pages_hash
from .structures import FIELDS, OptimadeEntry

__all__ = ("Provider", "is_provider", "read_optimade")


def is_provider(source: str) -> bool:
    """Return whether a source is the URL of a provider."""
    return source.lower().startswith(("http://", "https://"))


def read_optimade(provider: Provider, request: Request, kept: Path | None = None) -> Found:
    """Return the structures that a filter chooses, with properties in the units that the provider states.

    :param kept: file where pages are kept until the dataset is written; a next run goes on there.
    :raises StageError: down, no provider, a filter or property that it does not know.
    """
    described = provider.described()
    named = [*request.columns.values(), *([request.id_column] if request.id_asked else [])]
    if unknown := [name for name in named if name not in described]:
        own = sorted(name for name in described if name.startswith("_"))
        raise StageError("settings_rejected", f"{provider.url}: the provider has no property {', '.join(unknown)}"
                         f"{meant(unknown, described)}; of its own it has {', '.join(own[:40]) or 'none'}")  # fmt: skip
    asked = {"response_fields": ",".join(dict.fromkeys([*FIELDS, *named]))}
    if request.filter:
        asked["filter"] = request.filter
    pages = list(provider.pages(asked, kept, request.limit))
    entries = [entry for page in pages for entry in page["data"]]
    notes = _notes(provider, pages, entries, request.limit)
    entries = entries[: request.limit]
    if not entries:
        raise StageError(
            "input_incompatible", f"{provider.url}: no structure matches {request.filter or '(no filter)'}"
        )
    units = {key: str(described[column].get("unit") or "") for key, column in request.columns.items()}
    records = [_record(entry, request) for entry in entries]
    return Found(records, notes, {key: unit for key, unit in units.items() if unit}, pages_hash(pages))


def _record(entry: dict[str, Any], request: Request) -> Record:
    attributes = entry.get("attributes") or {}
    name = attributes.get(request.id_column) if request.id_asked else None
    values = {key: attributes.get(column) for key, column in request.columns.items()}
    return Record(str(name or entry.get("id")), OptimadeEntry(attributes), values)


def _notes(
    provider: Provider, pages: list[dict[str, Any]], entries: list[dict[str, Any]], limit: int | None
) -> list[str]:
    """Return what the user should know of the pages."""
    notes = []
    total = next((page["total"] for page in pages if page["total"] is not None), None)
    if limit is not None and len(entries) >= limit:
        notes.append(
            f"{provider.url}: the first {limit} of {total if total is not None else 'more'} structures (`limit`)"
        )
    elif total is not None and total != len(entries):
        notes.append(f"{provider.url}: the provider counts {total} structures and sent {len(entries)}")
    if twice := len(entries) - len({entry.get("id") for entry in entries}):
        notes.append(f"{provider.url}: {twice} structures were sent more than once")
    return notes

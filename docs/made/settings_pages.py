"""Settings of every stage: one page each, from the classes that check them."""

from __future__ import annotations

from icsg3d_models.cli.arguments import default_words, places_of
from icsg3d_models.cli.value_words import bound_words, type_words
from icsg3d_models.settings import STAGES

from .tables import code, prose, table

WITHOUT_JOB = ("predict",)  # in AiiDA its parts are jobs of their own
HEADERS = ("setting", "accepts", "default", "meaning")


def pages() -> dict[str, str]:
    """Return path -> Markdown."""
    return {f"reference/settings/{name}.md": page(name) for name in STAGES}


def page(stage: str) -> str:
    """Return the page of a stage."""
    model = STAGES[stage]
    groups: dict[str, list[tuple[str, ...]]] = {}
    for name, places in places_of(stage).items():
        for whose, field in places:
            bounds = bound_words(field)
            accepts = code(type_words(field.annotation)) + (f", {bounds}" if bounds else "")
            meaning = (f"{whose}: " if whose else "") + prose(field.description or "")
            default = default_words(field)
            shown = default if default in ("required", "by its parts below") else code(default)
            groups.setdefault(name.rpartition(".")[0], []).append((code(name), accepts, shown, meaning))
    parts = [f"# `icsg3d {stage}`\n", f"{prose(model.__doc__ or '')}\n"]
    for group, rows in groups.items():
        parts += [f"## {group or 'Settings'}\n", table(HEADERS, rows)]
    parts.append(
        "The same names are options of the command (`--name value`) and keys of its JSON file"
        + (
            f", and of the input `settings` of the CalcJob `icsg3d.{stage}`, which fills in the paths itself"
            if stage not in WITHOUT_JOB
            else ""
        )
        + ".\n"
    )
    return "\n".join(parts)

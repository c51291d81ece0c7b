"""Descriptions of clusters to start from."""

from __future__ import annotations

from importlib.resources import files


def template_names() -> list[str]:
    """Return the names of the templates."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in files(__name__).iterdir() if entry.name.endswith("yaml")
    )


def template_text(name: str) -> str:
    """Return the text of a template.

    :raises ValueError: there is none of that name.
    """
    if name not in template_names():
        raise ValueError(f"there is no template {name!r}; there are {', '.join(template_names())}")
    return (files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")

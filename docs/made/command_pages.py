"""The commands `aiida-icsg3d` and `icsg3d`, from the parsers themselves."""

from __future__ import annotations

from typing import Any

import click

from aiida_icsg3d.cli import cmd_root
from icsg3d_models.cli.arguments import build_parser

from .tables import code, prose, table

NOT_SHOWN = {"help", "verbosity", "profile", "version"}


def pages() -> dict[str, str]:
    """Return path -> Markdown."""
    return {"reference/cli/aiida-icsg3d.md": aiida_icsg3d(), "reference/cli/icsg3d.md": icsg3d()}


def aiida_icsg3d() -> str:
    """Return the page of all commands."""
    intro = (
        "# `aiida-icsg3d`\n\nAll of it is `verdi data icsg3d`, too. `-p PROFILE` before the command takes another "
        "profile; every command has `--help`.\n"
    )
    return intro + "\n".join(sections(cmd_root, "aiida-icsg3d", click.Context(cmd_root, info_name="aiida-icsg3d")))


def sections(group: Any, path: str, ctx: click.Context) -> list[str]:
    """Return the sections of the commands of a group, and of the groups in it."""
    parts = []
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        inner = click.Context(command, info_name=name, parent=ctx)
        full = f"{path} {name}"
        if isinstance(command, click.Group):
            parts += sections(command, full, inner)
            continue
        usage = " ".join(command.collect_usage_pieces(inner))
        parts.append(f"## `{full}`\n\n```\n{full} {usage}\n```\n\n{paragraphs(command.help or '')}\n")
        rows = [option_row(option, inner) for option in command.params
                if isinstance(option, click.Option) and option.name not in NOT_SHOWN and not option.hidden]  # fmt: skip
        if rows:
            parts.append(table(("option", "meaning", "default"), rows))
    return parts


def option_row(option: click.Option, ctx: click.Context) -> tuple[object, ...]:
    """Return name, meaning and default of an option."""
    metavar = "" if option.is_flag else f" {option.make_metavar(ctx)}"
    default = option.show_default if isinstance(option.show_default, str) else None
    if default is None and option.show_default:
        value = option.get_default(ctx)
        default = " ".join(map(str, value)) if isinstance(value, list | tuple) else value
    shown = f"{', '.join(option.opts)}{metavar}"
    return code(shown), option.help, "" if default is None else code(default)


def paragraphs(text: str) -> str:
    """Return a docstring as paragraphs."""
    return "\n\n".join(prose(part) for part in text.replace("\b\n", "").split("\n\n"))


def icsg3d() -> str:
    """Return the page of the program without AiiDA."""
    parser = build_parser()
    stages = next(action for action in parser._actions if action.dest == "stage")
    rows = [(f"[`icsg3d {choice.dest}`](../settings/{choice.dest}.md)", choice.help)
            for choice in stages._choices_actions]  # type: ignore[attr-defined]  # fmt: skip
    return (f"# `icsg3d`\n\n{prose(parser.description or '')}\n\n{table(('stage', 'what it does'), rows)}\n"
            f"{prose(parser.epilog or '')}\n")  # fmt: skip

"""A group of commands that imports a command only when it is run, completed or asked for its own help."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click
from aiida.cmdline.groups.verdi import VerdiCommandGroup


class Entry(NamedTuple):
    """Where a command is, and what the list of commands says of it.

    :param target: ``module:attribute``, the module relative to this package.
    :param short_help: one sentence; in this table, so that the list can be shown without importing anything.
    """

    target: str
    short_help: str


class LazyGroup(VerdiCommandGroup):
    """A group whose commands stand in a table, in the order in which they are shown.

    :param table: name of a command -> where it is.
    :param former: former name of a command -> its present one; kept working, not shown.
    """

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, Entry] | None = None,
        former: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self.table, self.former = dict(table or {}), dict(former or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, those of the table first."""
        return [*self.table, *(name for name in super().list_commands(ctx) if name not in self.table)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported where it is asked for the first time."""
        name = self.former.get(cmd_name, cmd_name)
        if name in self.table and name not in self.commands:
            module, _, attribute = self.table[name].target.partition(":")
            self.commands[name] = getattr(import_module(module, __package__), attribute)
        return super().get_command(ctx, name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands; those of the table without importing them."""
        rows = [(name, entry.short_help) for name, entry in self.table.items()]
        for name in super().list_commands(ctx):
            if name not in self.table:
                rows.append((name, self.commands[name].get_short_help_str(limit=formatter.width)))
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

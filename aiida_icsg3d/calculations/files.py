"""The table of a stage's input files: which input becomes which file, and which setting names it to the program."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from aiida.common.datastructures import CalcInfo
from aiida.orm import SinglefileData

from ..data.remote_files import RemoteFolder, path_in


@dataclass(frozen=True)
class InputFile:
    """One row of the table.

    What the node is decides how the file gets there: a remote folder, or a stashed one, by a symlink to ``path`` in it,
    so that gigabytes stay where they are; a folder by a copy of ``path`` in it; a single file by a copy.

    :param port: input of the CalcJob.
    :param setting: setting of the program that names the file; several rows may give the same one.
    :param name: of the file in the folder of the job. ``{file}`` and ``{suffix}`` are those of a single file, empty for
        a folder; ``{name}`` is the name within a namespace, and then the setting is a list.
    :param path: where it lies in a folder; default: under ``name``.
    :param assumed: whether the settings are checked as given where they are checked without the other inputs; false
        where the setting refuses what others ask for.
    :param written: the CalcJob writes the file itself.
    """

    port: str
    setting: str
    name: str
    path: str | None = None
    assumed: bool = True
    written: bool = False

    @property
    def many(self) -> bool:
        """Whether the port is a namespace with a file for each node."""
        return "{name}" in self.name

    def named(self, inputs: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
        """Yield node and file name of all that is given; the node of a written file is what it is written from."""
        given = inputs.get(self.port)
        if given is None or (self.written and not given):
            return
        for name, node in sorted(given.items()) if self.many else [("", given)]:
            file = PurePosixPath(node.filename if isinstance(node, SinglefileData) else "")
            yield node, self.name.format(name=name, file=file.name, suffix=file.suffix).rstrip("_")

    def value(self, inputs: Mapping[str, Any]) -> str | list[str] | None:
        """Return what the setting is set to; None: not given."""
        names = [name for _, name in self.named(inputs)]
        return names if self.many else next(iter(names), None)

    def assumption(self) -> str | list[str] | None:
        """Return what the setting is set to where the inputs are not known."""
        if not self.assumed:
            return None
        name = self.name.format(name="any", file="", suffix="").rstrip("_")
        return [name] if self.many else name

    def link(self, info: CalcInfo, inputs: Mapping[str, Any]) -> None:
        """Add all that is given to the lists of files to copy and to link."""
        for node, name in () if self.written else self.named(inputs):
            if isinstance(node, RemoteFolder):
                # Validation has made sure that both jobs run on one computer.
                computer: Any = node.computer
                link = (computer.uuid, path_in(node, self.path or name), name)
                info.remote_symlink_list = [*(info.remote_symlink_list or []), link]
            else:
                source = node.filename if isinstance(node, SinglefileData) else self.path or name
                info.local_copy_list = [*(info.local_copy_list or []), (node.uuid, source, name)]

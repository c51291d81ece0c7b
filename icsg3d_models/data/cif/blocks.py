"""The data blocks of a CIF, each parsed on its own so that a damaged one costs only itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import cast

import gemmi

from ...crystals.batch import CrystalError

_HEADING = re.compile(r"^[ \t]*data_", re.IGNORECASE)
_NOTHING = ("", ".", "?")


@dataclass
class Block:
    """The items of one data block.

    Tags are in lower case with ``_`` for the ``.`` of the newer dictionaries, so `_cell.length_a` and
    `_Cell_Length_A` are `_cell_length_a`. A single item is a column of one value. Values that were quoted have lost
    their quotes; ``.`` and ``?`` stay as they are.

    :param text: of the block, as found.
    :param damage: why the block could not be parsed, empty where it could.
    :param repeated: tags that are there twice with different values.
    """

    name: str
    text: str = ""
    columns: dict[str, list[str]] = field(default_factory=dict)
    repeated: set[str] = field(default_factory=set)
    damage: str = ""

    def column(self, *tags: str) -> list[str] | None:
        """Return the values of the first of the tags that is there.

        :raises CrystalError: it is there twice with different values.
        """
        for tag in tags:
            if tag in self.columns:
                if tag in self.repeated:
                    raise CrystalError(f"{tag} is stated twice with different values")
                return self.columns[tag]
        return None

    def value(self, *tags: str) -> str | None:
        """Return the value of the first of the tags that has one, None where all are missing, `.` or `?`."""
        for tag in tags:
            column = self.column(tag)
            if column and len(column) == 1 and column[0].strip() not in _NOTHING:
                return column[0].strip()
        return None

    @property
    def is_crystal(self) -> bool:
        """Whether the block is meant to hold a crystal; publications and reflections come in blocks of their own."""
        return not self.columns or any(t.startswith(("_cell_length", "_atom_site_")) for t in self.columns)


def blocks_of(text: str) -> list[Block]:
    """Return the data blocks of a CIF in their order, the damaged ones too.

    :raises CrystalError: there is no data block.
    """
    if not text.strip():
        raise CrystalError("empty CIF")
    if "\0" in text:
        raise CrystalError("unreadable CIF: it holds NUL bytes; it is damaged, or no text file")
    blocks = [block for piece in _pieces(text, keep_texts=True) for block in _parse(piece)]
    if not blocks:
        raise CrystalError("unreadable CIF: no line begins with data_")
    return blocks


def _pieces(text: str, keep_texts: bool) -> list[str]:
    """Return the text cut before every ``data_`` line.

    :param keep_texts: a `data_` inside a text of several lines (between lines that begin with `;`) is no heading.
    """
    pieces: list[list[str]] = []
    inside = False
    for line in text.splitlines():
        if keep_texts and line.startswith(";"):
            inside = not inside
        if not inside and _HEADING.match(line):
            pieces.append([])
        if pieces:
            pieces[-1].append(line)
    return ["\n".join(piece) + "\n" for piece in pieces]


def _parse(piece: str) -> list[Block]:
    """Return the blocks of one piece; where a text never ends, what it swallowed is parsed on its own."""
    try:
        return [_block(block, piece) for block in gemmi.cif.read_string(piece, 0)]
    except (ValueError, RuntimeError) as exception:
        parts = _pieces(piece, keep_texts=False)
        if len(parts) > 1:
            return [block for part in parts for block in _parse(part)]
        name = piece.split(None, 1)[0][len("data_") :]
        reason = re.sub(r"^string:", "line ", " ".join(str(exception).split()))[:160]
        return [Block(name, damage=f"unreadable CIF, damaged or cut off ({reason})")]


def _block(parsed: gemmi.cif.Block, text: str) -> Block:
    """Return the items of a block that gemmi parsed."""
    block = Block(parsed.name, text)
    for item in parsed:
        if item.pair is not None:
            tag, value = cast(tuple[str, str], item.pair)
            _add(block, tag, [value])
        elif item.loop is not None:
            tags = item.loop.tags
            values = item.loop.values
            for index, tag in enumerate(tags):
                _add(block, tag, values[index :: len(tags)])
    return block


def _add(block: Block, tag: str, raw: list[str]) -> None:
    """Add a column; the same one again is no news, another one under the same tag is remembered as such."""
    key = tag.lower().replace(".", "_")
    values = [gemmi.cif.as_string(v) if v[:1] in "'\";" else v for v in raw]
    if block.columns.setdefault(key, values) != values:
        block.repeated.add(key)

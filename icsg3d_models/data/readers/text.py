"""Bytes become text: compression, byte-order marks, and what is no text."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from pathlib import PurePath
from typing import IO, cast

from ...crystals.batch import CrystalError

PACKED: dict[str, Callable[[IO[bytes]], IO[bytes]]] = {
    ".gz": lambda stream: cast(IO[bytes], gzip.GzipFile(fileobj=stream)),
    ".bz2": lambda stream: cast(IO[bytes], bz2.BZ2File(stream)),
    ".xz": lambda stream: cast(IO[bytes], lzma.LZMAFile(stream)),  # noqa: SIM115  (whoever calls closes it)
}
LARGEST = 50_000_000  # bytes of one crystal; larger is no crystal but an accident or a bomb
BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def bare_name(name: str) -> str:
    """Return the name of a file without the suffix of a compression."""
    path = PurePath(name)
    return str(path.with_suffix("")) if path.suffix.lower() in PACKED else name


def unpack(data: bytes, name: str) -> bytes:
    """Return the content of a file, unpacked as its suffix says.

    :raises CrystalError: too large for a crystal, or damaged.
    """
    suffix = PurePath(name).suffix.lower()
    if suffix in PACKED:
        try:
            with PACKED[suffix](io.BytesIO(data)) as stream:
                data = stream.read(LARGEST + 1)
        except BROKEN as exception:
            raise CrystalError(f"unreadable file: not {suffix[1:]}, or cut off ({exception})") from None
    if len(data) > LARGEST:
        raise CrystalError(f"more than {LARGEST} bytes, too large for a crystal")
    return data


def encoding_of(start: bytes) -> str:
    """Return the encoding that the first bytes of a text announce, UTF-8 where they announce none."""
    return next((encoding for mark, encoding in _MARKS if start.startswith(mark)), "utf-8")


def as_text(data: bytes) -> str:
    """Return the text of a crystal; bytes that are no text become marks, for most are in a comment."""
    return data.decode(encoding_of(data), errors="replace").replace("\r\n", "\n").replace("\r", "\n")


def lines_of(stream: IO[bytes], name: str) -> Iterator[str]:
    """Yield the lines of a text that may be large, with their ends.

    :param name: its suffix tells the compression.
    :raises ValueError: no text, or damaged.
    """
    suffix = PurePath(name).suffix.lower()
    try:
        unpacked = PACKED[suffix](stream) if suffix in PACKED else stream
        buffered = io.BufferedReader(cast(io.RawIOBase, unpacked))
        with io.TextIOWrapper(buffered, encoding_of(buffered.peek(4)[:4]), newline="") as text:
            for line in text:
                if "\0" in line:
                    raise ValueError("it holds NUL bytes; it is damaged, or no text file")
                yield line
    except (*BROKEN, UnicodeError) as exception:
        raise ValueError(str(exception) or type(exception).__name__) from exception

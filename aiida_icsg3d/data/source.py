"""Where the content of a file node may come from: a path or a binary stream."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

Source = str | Path | IO[bytes]


@contextmanager
def as_file(source: Source, name: str) -> Iterator[Path]:
    """Yield a path with the content of ``source``, which is deleted afterwards where it was a stream.

    :param source: a path, relative or absolute, or a readable binary stream.
    :param name: file name to give to the content of a stream.
    :raises FileNotFoundError: the path is not that of a file.
    :raises TypeError: neither a path nor a binary stream.
    """
    if isinstance(source, str | Path):
        path = Path(source).resolve()
        if not path.is_file():
            raise FileNotFoundError(f"{source}: no such file")
        yield path
        return
    if not hasattr(source, "read"):
        raise TypeError(f"received {source!r} ({type(source).__name__}); give a path or a binary stream")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / name
        with open(path, "wb") as copy:
            try:
                shutil.copyfileobj(source, copy)
            except TypeError as exception:
                raise TypeError(f"received a text stream; open {name} in binary mode") from exception
        yield path

"""Errors of the commands: one sentence, never a traceback for what the user can mend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """Turn the errors that a user can mend into a message and exit code 1."""
    from aiida.cmdline.utils import echo
    from aiida.common.exceptions import NotExistent, ValidationError

    try:
        yield
    except KeyError as exception:
        echo.echo_critical(str(exception.args[0]))
    except (ValueError, OSError, NotExistent, ValidationError) as exception:
        echo.echo_critical(str(exception))

"""Errors of the commands: one sentence, never a traceback for what the user can mend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """Turn the errors that a user can mend, and an interruption, into a message and exit code 1."""
    from aiida.cmdline.utils import echo
    from aiida.common.exceptions import ConfigurationError, MultipleObjectsError, NotExistent, ValidationError
    from plumpy.exceptions import KilledError

    try:
        yield
    except KilledError:
        echo.echo_critical("interrupted; `aiida-icsg3d status` shows how far the run got")
    except ConfigurationError as exception:
        why = str(exception).partition("\n")[0].removesuffix(": None")
        echo.echo_critical(f"no AiiDA profile ({why}); make one with `verdi presto --use-zeromq`")
    except (ValueError, OSError, MultipleObjectsError, NotExistent, ValidationError) as exception:
        echo.echo_critical(str(exception))


def needs_profile(command: Callable[..., Any]) -> Callable[..., Any]:
    """Load the profile and its storage before a command runs; say how to make one where there is none."""

    @wraps(command)
    def wrapper(*args: Any, **given: Any) -> Any:
        from aiida.cmdline.utils.decorators import load_backend_if_not_loaded

        with in_one_sentence():
            load_backend_if_not_loaded()
        return command(*args, **given)

    return wrapper

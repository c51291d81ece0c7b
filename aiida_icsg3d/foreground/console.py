"""What AiiDA's own log writes to the terminal during a run: nothing, unless more was asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from aiida.common import log
from aiida.manage import get_manager
from aiida.orm.utils.log import DBLogHandler


@contextmanager
def quiet_console() -> Iterator[None]:
    """Keep AiiDA's log out of the terminal, and in the database, where `verdi process report` reads it.

    What a restarted calculation warned of is there; what failed is in the summary. `-v` shows all of it as it comes.
    """
    get_manager().get_profile_storage()  # loading it later would set the log up anew
    logger = logging.getLogger("aiida")
    if not any(isinstance(handler, DBLogHandler) for handler in logger.handlers):
        # aiida-core's option -v sets the log up anew, without the database, where the profile was loaded before
        log.configure_logging(with_orm=True)
    shown = [] if log.CLI_LOG_LEVEL else [handler for handler in logger.handlers if writes_to_terminal(handler)]
    levels = [handler.level for handler in shown]
    for handler in shown:
        handler.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for handler, level in zip(shown, levels, strict=True):
            handler.setLevel(level)


def writes_to_terminal(handler: logging.Handler) -> bool:
    """Tell whether a handler is neither that of the database nor one of a file."""
    return not isinstance(handler, DBLogHandler | logging.FileHandler)

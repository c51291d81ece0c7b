"""AiiDA's log of a run in the foreground: in the database, not in the terminal."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from aiida.common import log
from aiida.engine import WorkChain
from aiida.orm import Log

from aiida_icsg3d.foreground.console import quiet_console, writes_to_terminal
from aiida_icsg3d.launch import Plan, run_here


class Talkative(WorkChain):
    """Says something."""

    @classmethod
    def define(cls, spec: Any) -> None:
        super().define(spec)
        spec.outline(cls.talk)

    def talk(self) -> None:
        """Say it."""
        self.report("the reason why")


@pytest.mark.usefixtures("aiida_profile")
@pytest.mark.parametrize("with_orm", [True, False], ids=["as loaded", "after the option -v"])
def test_the_log_of_a_run_is_readable(with_orm: bool, capfd: pytest.CaptureFixture[str]) -> None:
    """The handler of the database was muted with the others: `verdi process report` was empty."""
    log.configure_logging(with_orm=with_orm)
    node = run_here(Talkative.get_builder(), Plan((), "nothing"))
    assert ["the reason why" in entry.message for entry in Log.collection.get_logs_for(node)] == [True]
    assert "the reason why" not in capfd.readouterr().err


@pytest.mark.usefixtures("aiida_profile")
def test_levels_are_given_back() -> None:
    log.configure_logging(with_orm=True)
    handlers = logging.getLogger("aiida").handlers
    before = [handler.level for handler in handlers]
    with quiet_console():
        levels = {writes_to_terminal(handler): handler.level for handler in handlers}
        assert levels == {True: logging.CRITICAL, False: logging.getLevelName("REPORT")}
    assert [handler.level for handler in handlers] == before

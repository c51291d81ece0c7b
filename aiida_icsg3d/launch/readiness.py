"""What has to run before a run starts: the daemon, and its broker."""

from __future__ import annotations

from collections.abc import Iterable

from aiida.manage import get_manager
from aiida.orm import AbstractCode
from aiida.transports.transport import AsyncTransport

ZEROMQ = "core.zeromq"
"""Broker that the daemon brings up; others are services of their own."""


class NotReadyError(ValueError):
    """A run cannot start, or would wait for ever; the message says which commands mend that, in their order."""


def daemon_runs() -> bool:
    """Tell whether the daemon of the profile runs."""
    return bool(get_manager().get_daemon_client().is_daemon_running)


def through_broker(codes: Iterable[AbstractCode]) -> list[str]:
    """Return the labels of the computers whose transport waits on AiiDA's own loop, which the broker is part of."""
    computers = {code.computer.label: code.computer for code in codes if code.computer is not None}
    return sorted(
        label for label, computer in computers.items() if issubclass(computer.get_transport_class(), AsyncTransport)
    )


def check_ready(codes: Iterable[AbstractCode], submit: bool) -> None:
    """Refuse a run that needs a daemon or a broker where there is none.

    :param submit: whether the run is handed to the daemon. One in this interpreter needs the broker all the same where
        a job runs on another machine.
    :raises NotReadyError: as said.
    """
    profile = get_manager().get_profile()
    broker = profile.process_control_backend if profile is not None else None
    far = through_broker(codes)
    if broker is None and (submit or far):
        why = "nothing can be handed to a daemon" if submit else f"{', '.join(far)} cannot be reached"
        raise NotReadyError(
            f"the profile has no broker, so {why}; in this order:\n  verdi profile configure-broker core.zeromq\n"
            "  verdi daemon start\nand the same command again"
        )
    if daemon_runs():
        return
    if submit:
        raise NotReadyError(
            "the daemon is not running; start it, or leave --submit out:\n  verdi daemon start\n"
            "and the same command again"
        )
    if far and broker == ZEROMQ:
        raise NotReadyError(
            f"the daemon is not running, and without it the jobs on {', '.join(far)} would wait for ever: AiiDA "
            f"reaches it through its broker, which the daemon brings up. In this order:\n  verdi daemon start\n"
            f"  verdi computer test {far[0]}\nand the same command again; with --submit it also goes on when this "
            "terminal is closed"
        )

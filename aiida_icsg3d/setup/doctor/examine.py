"""Look at everything that a run needs, from here to the program on the other machine."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiida import orm
from aiida.manage import get_manager
from aiida.transports.transport import AsyncTransport

from .computers import last, look_at_computer, opened
from .finding import Finding, note, wrong
from .packages import look_at_packages
from .profile import look_at_profile
from .programs import look_at_icsg3d, look_at_pw
from .pseudos import look_at_pseudos

PW = "quantumespresso.pw"
ICSG3D = "icsg3d"


def examine(only: orm.Computer | None = None) -> Iterator[Finding]:
    """Yield findings, one after another as they are made.

    :param only: look at this computer and its codes only; None: at all that have a code of icsg3d or pw.x.
    """
    codes = [code for code in our_codes() if only is None or code.computer.pk == only.pk]
    computers = {code.computer.pk: code.computer for code in codes}
    if only is not None:
        computers[only.pk] = only
    far = [c.label for c in computers.values() if issubclass(c.get_transport_class(), AsyncTransport)]
    yield from look_at_packages()
    yield from look_at_profile(far)
    for program, what in ((ICSG3D, "icsg3d"), (PW, "pw.x")):
        if not [code for code in codes if plays(code, program)]:
            level = wrong if program == ICSG3D else note
            yield level(f"code of {what}", "none", "aiida-icsg3d setup; of a cluster: aiida-icsg3d setup FILE")
    for computer in computers.values():
        yield from look_there(computer, [code for code in codes if code.computer.pk == computer.pk])
    if any(plays(code, PW) for code in codes):
        yield look_at_pseudos()


def our_codes() -> list[Any]:
    """Return the codes of icsg3d and pw.x that are on a computer and not hidden."""
    query = orm.QueryBuilder().append(orm.Data, filters={"node_type": {"like": "data.core.code.%"}})
    codes = [code for code in query.all(flat=True) if not code.is_hidden and code.computer is not None]
    return [code for code in codes if plays(code, PW) or plays(code, ICSG3D)]


def plays(code: Any, program: str) -> bool:
    """Tell whether a code is one of a program: by its plugin, or by its executable where it has none."""
    plugin = code.default_calc_job_plugin
    if plugin is not None:
        return bool(plugin == program or plugin.startswith(f"{program}."))
    name = str(getattr(code, "filepath_executable", "")).rsplit("/", 1)[-1]
    return name == {ICSG3D: "icsg3d", PW: "pw.x"}[program]


def look_there(computer: orm.Computer, codes: list[Any]) -> Iterator[Finding]:
    """Yield what there is to say of a computer and of its codes."""
    what = f"computer {computer.label}"
    user: Any = orm.User.collection.get_default()
    if not computer.is_user_configured(user):
        yield wrong(what, "not configured", f"verdi computer configure {computer.transport_type} {computer.label}")
        return
    if not computer.is_user_enabled(user):
        yield wrong(what, "disabled", f"verdi computer enable {computer.label} {user.email}")
        return
    if issubclass(computer.get_transport_class(), AsyncTransport) and not broker_is_there():
        yield wrong(what, "cannot be looked at: it is reached through the broker", "see the broker, above")
        return
    try:
        with opened(computer) as transport:
            yield from look_at_computer(computer, transport)
            for code in codes:
                if plays(code, ICSG3D):
                    yield from look_at_icsg3d(code, transport)
                if plays(code, PW):
                    yield look_at_pw(code, transport)
    except Exception as exception:  # each transport raises its own, and a broken connection those of its library
        why = last(str(exception) or type(exception).__name__)
        todo = f"`ssh {computer.hostname}` must go without a password; then `verdi computer test {computer.label}`"
        yield wrong(what, f"cannot be reached: {why}", todo)


def broker_is_there() -> bool:
    """Tell whether the broker can be asked at all; where it does not run, asking waits for it."""
    profile = get_manager().get_profile()
    if profile is None or profile.process_control_backend is None:
        return False
    return profile.process_control_backend != "core.zeromq" or bool(get_manager().get_daemon_client().is_daemon_running)

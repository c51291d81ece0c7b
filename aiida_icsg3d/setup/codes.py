"""Find the code of a stage."""

from __future__ import annotations

from typing import Any

from aiida import orm
from aiida.common.exceptions import MultipleObjectsError, NotExistent

JOB_DEFAULTS = "icsg3d_options"
"""Extra of a code: AiiDA's ``metadata.options`` of its jobs, as set up (account, queue, the line for GPUs)."""


class CodeError(ValueError):
    """A code that is not there or runs something else; the message names the command that sets it up."""


def known_codes(plugin: str) -> list[str]:
    """Return the full labels of all codes that may run a plugin."""
    # a query for AbstractCode, which has no type string of its own, finds all data
    query = orm.QueryBuilder().append(orm.Data, filters={"node_type": {"like": "data.core.code.%"}})
    codes = query.all(flat=True)
    fitting = [c for c in codes if not c.is_hidden and c.default_calc_job_plugin in (None, plugin)]
    return sorted(c.full_label for c in fitting)


def find_code(label: str, plugin: str, executable: str) -> orm.AbstractCode:
    """Return the code of a label.

    :param label: ``code@computer``, or the PK or UUID of the code.
    :param plugin: entry point of the CalcJob that the code is for, such as ``quantumespresso.pw``.
    :param executable: name of the program, for the message.
    :raises CodeError: no such code, several of that name, or a code that is set up for another plugin.
    """
    try:
        code = orm.load_code(label)
    except NotExistent:
        name, _, where = label.partition("@")
        there = ", ".join(known_codes(plugin)) or "none"
        default = "" if executable == "icsg3d" else f" -D {plugin}"  # one executable serves all its stages
        raise CodeError(
            f"there is no code {label!r} (there are: {there}); `aiida-icsg3d setup` makes that of this machine, "
            f"`aiida-icsg3d setup FILE` that of a cluster, or `verdi code create core.code.installed -n -L {name} -Y "
            f"{where or 'COMPUTER'}{default} -X $(which {executable})`"
        ) from None
    except MultipleObjectsError:
        raise CodeError(
            f"several codes are called {label!r}: {', '.join(known_codes(plugin))}; give one as CODE@COMPUTER"
        ) from None
    expected = code.default_calc_job_plugin
    # every stage of icsg3d is a subcommand of one executable, so one code serves them all; pw.x is not ph.x
    one_program = plugin.startswith("icsg3d.") and (expected or "").startswith("icsg3d.")
    if expected not in (None, plugin) and not one_program:
        raise CodeError(f"the code {code.full_label} runs {expected}; here one for {plugin} is needed")
    computer = code.computer
    user = orm.User.collection.get_default()
    if computer is not None and user is not None and not computer.is_user_configured(user):
        raise CodeError(
            f"the computer {computer.label} of the code {code.full_label} is not configured; run "
            f"`verdi computer configure {computer.transport_type} {computer.label}`"
        )
    return code


def job_defaults(code: orm.AbstractCode) -> dict[str, Any]:
    """Return AiiDA's options that were set up for the jobs of a code; empty where nothing was."""
    return dict(code.base.extras.get(JOB_DEFAULTS, {}))

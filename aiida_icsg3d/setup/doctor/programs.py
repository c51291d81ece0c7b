"""The programs behind the codes, run where their jobs run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from aiida import orm
from aiida.common.escaping import escape_for_bash

from ... import __version__
from ..codes import job_defaults
from .computers import last, run_there, work_folder
from .finding import Finding, note, ok, wrong

GPU_LINE = re.compile(r"--gres=gpu|ngpus=|--gpus")


def script_of(code: Any, arguments: list[str]) -> str:
    """Return the lines that run a code with arguments, after everything that is put before it in a job."""
    words = [*code.get_prepend_cmdline_params(), *code.get_executable_cmdline_params(arguments)]
    line = " ".join(str(escape_for_bash(str(word))) for word in words)
    return "\n".join(filter(None, [code.computer.get_prepend_text(), code.prepend_text, line]))


def look_at_icsg3d(code: orm.AbstractCode, transport: Any) -> Iterator[Finding]:
    """Yield whether icsg3d runs there, in which version, with torch, and on what."""
    what = f"code {code.full_label}"
    status, out, err = run_there(transport, script_of(code, ["--version"]))
    version = out.strip().removeprefix("icsg3d").strip() if out.strip().startswith("icsg3d") else ""
    if status != 0 or not version:
        path = getattr(code, "filepath_executable", "")
        yield wrong(what, f"{path} does not run: {last(err or out)}",
                    "pip install 'aiida-icsg3d[models]' there, and name its icsg3d: aiida-icsg3d setup")  # fmt: skip
        return
    if version != __version__:
        yield wrong(what, f"version {version} there, {__version__} here",
                    f"pip install 'aiida-icsg3d[models]=={__version__}' there")  # fmt: skip
        return
    status, out, err = run_there(transport, script_of(code, ["--probe"]))
    try:
        found = json.loads(last(out))
    except ValueError:
        yield wrong(
            what, f"`icsg3d --probe` fails: {last(err or out)}", "pip install --force-reinstall aiida-icsg3d there"
        )
        return
    yield device_finding(code, found)


def device_finding(code: orm.AbstractCode, found: dict[str, Any]) -> Finding:
    """Return what an installation of icsg3d can compute on.

    :param found: what `icsg3d --probe` says.
    """
    what, device = f"code {code.full_label}", found.get("device")
    if device is None or found.get("missing"):
        lacks = ", ".join(found.get("missing") or []) or "torch"
        why = f" ({found['problem']})" if found.get("problem") else ""
        return wrong(
            what, f"icsg3d {found['version']} without {lacks}{why}", "pip install 'aiida-icsg3d[models]' there"
        )
    torch = found.get("versions", {}).get("torch", "?")
    words = f"icsg3d {found['version']}, torch {torch}, {device}, {found.get('cores', '?')} cores"
    asked = GPU_LINE.search(str(job_defaults(code).get("custom_scheduler_commands", "")))
    if asked and not found.get("gpus"):
        return note(what, f"{words}: no GPU on this node, the jobs ask the queue for one")
    return ok(what, words)


def look_at_pw(code: Any, transport: Any) -> Finding:
    """Return whether pw.x is there and which version it is.

    It is run without input, which it ends at after its first lines; on some machines it starts within a job only.
    """
    what, path = f"code {code.full_label}", str(getattr(code, "filepath_executable", ""))
    folder = work_folder(code.computer, transport)
    head = 'd=$(mktemp -d); cd "$d"\n'
    script = f'{head}{script_of(code, [])} </dev/null 2>&1 | head -n 40\nrm -rf "$d"'
    _, out, err = run_there(transport, script, folder)
    found = re.search(r"Program PWSCF\s+(v\.\S+)", out)
    if found:
        return ok(what, f"pw.x {found.group(1)}")
    if "containerized" not in code.node_type:
        status, _, _ = run_there(transport, f"test -x {escape_for_bash(path)}")
        if status != 0:
            return wrong(what, f"{path} is not there, or not executable",
                         "name the right one: aiida-icsg3d setup, with --pw PATH or a FILE")  # fmt: skip
    return note(what, f"{path} is there, but says no version outside a job: {last(err or out)}")

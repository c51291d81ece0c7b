"""CalcJobs and WorkChains: inputs, outputs, exit codes, from their specs."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from aiida.engine.processes.ports import PortNamespace
from aiida.plugins import CalculationFactory, WorkflowFactory
from aiida.plugins.entry_point import get_entry_points

from aiida_icsg3d.workflows.discover_builder import fill_discovery

from .tables import code, message, prose, table

OF_ALL = ("metadata", "monitors", "remote_folder", "remote_stash", "handler_overrides", "on_unhandled_failure",
          "pause_on_max_iterations")  # fmt: skip
"""Ports that every process of its kind has."""
OWN_CODES = 100
"""Exit codes below are AiiDA's own, of every process."""
BEHIND = {"icsg3d.discover": fill_discovery}
"""Process -> function that its builder hands all arguments to."""
PREFIX = "icsg3d."
ELSE = "elif(<lambda>)"
"""How AiiDA describes the last branch."""


def pages() -> dict[str, str]:
    """Return path -> Markdown."""
    found: dict[str, str] = {}
    for group, factory, folder in (("aiida.calculations", CalculationFactory, "calcjobs"),
                                   ("aiida.workflows", WorkflowFactory, "workchains")):  # fmt: skip
        for entry in sorted(get_entry_points(group), key=lambda entry: entry.name):
            if entry.name.startswith(PREFIX):
                found[f"reference/{folder}/{entry.name.removeprefix(PREFIX)}.md"] = page(
                    entry.name, factory(entry.name)
                )
    return found


def page(name: str, process: Any) -> str:
    """Return the page of a process."""
    spec = process.spec()
    kind = "CalculationFactory" if "CalcJob" in [base.__name__ for base in process.__mro__] else "WorkflowFactory"
    parts = [f"# `{name}`\n", f"{prose(inspect.getdoc(process) or '')}\n",
             f"`{process.__name__}`, by `{kind}(\"{name}\")`.\n"]  # fmt: skip
    if outline := outline_of(spec):
        parts += ["## Outline\n", f"```python\n{outline}\n```\n"]
    if hasattr(process, "get_builder_from_protocol"):
        parts += ["## `get_builder_from_protocol`\n", arguments_of(BEHIND.get(name, process.get_builder_from_protocol))]
    headers = ("name", "type", "required", "meaning")
    for title, namespace, exposed in (("Inputs", spec.inputs, spec._exposed_inputs),
                                      ("Outputs", spec.outputs, spec._exposed_outputs)):  # fmt: skip
        others = {place: link for place, processes in exposed.items() if place and (link := linked(processes))}
        parts += [f"## {title}\n", table(headers, list(rows_of(namespace, others)))]
    codes = sorted(
        (e for e in spec.exit_codes.values() if e.status >= OWN_CODES), key=lambda exit_code: exit_code.status
    )
    parts += ["## Exit codes\n", table(("status", "label", "message"), [
        (e.status, code(label_of(spec, e)), message(e.message)) for e in codes])]  # fmt: skip
    return "\n".join(parts)


def label_of(spec: Any, wanted: Any) -> str:
    """Return the label under which an exit code is declared."""
    return next(label for label, exit_code in spec.exit_codes.items() if exit_code is wanted)


def linked(processes: Any) -> str:
    """Return a link to the page of a process of this plugin whose ports are exposed, or the name of a foreign one."""
    for process in processes:
        for group, folder in (("aiida.calculations", "calcjobs"), ("aiida.workflows", "workchains")):
            for entry in get_entry_points(group):
                if entry.value.endswith(f":{process.__name__}"):
                    own = entry.name.startswith(PREFIX)
                    return (
                        f"[`{entry.name}`](../{folder}/{entry.name.removeprefix(PREFIX)}.md)"
                        if own
                        else code(entry.name)
                    )
    return ""


def rows_of(namespace: PortNamespace, others: Mapping[str, str], prefix: str = "") -> Iterator[tuple[object, ...]]:
    """Yield the rows of a namespace; what another process has a page for is linked, not listed.

    :param others: namespace -> link to the process whose ports it exposes.
    """
    for name, port in namespace.items():
        if name in OF_ALL:
            continue
        path, needed = f"{prefix}{name}", "yes" if port.required else ""
        if not isinstance(port, PortNamespace):
            yield code(path), types_of(port), needed, port.help
        elif path in others:
            yield code(f"{path}.…"), f"as {others[path]}", needed, port.help
        else:
            if port.dynamic or port.help:
                yield code(f"{path}.…"), types_of(port) or "namespace", needed, port.help
            yield from rows_of(port, others, f"{path}.")


def types_of(port: Any) -> str:
    """Return the types that a port accepts."""
    kinds = port.valid_type
    names = [kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)) if kind is not None]
    return ", ".join(code(name) for name in names if name not in ("NoneType", "Data"))


def outline_of(spec: Any) -> str:
    """Return the outline of a WorkChain as AiiDA writes it; empty for a CalcJob."""
    if not hasattr(spec, "get_outline"):
        return ""
    described = spec.get_outline().get_description()
    return "\n".join(lines_of(described))


def lines_of(described: Any, depth: int = 0) -> Iterator[str]:
    """Yield the lines of a described outline."""
    pad = "    " * depth
    if isinstance(described, dict):
        for head, body in described.items():
            yield f"{pad}{'else' if head == ELSE else head}:"
            yield from lines_of(body, depth + 1)
    elif isinstance(described, list):
        for part in described:
            yield from lines_of(part, depth)
    else:
        yield f"{pad}{str(described).strip()}"


def arguments_of(method: Any) -> str:
    """Return the arguments of a builder with what its docstring says of them."""
    doc = inspect.getdoc(method) or ""
    said: dict[str, str] = {}
    for part in doc.split("\n:param ")[1:]:
        name, _, text = part.partition(":")
        said[name.strip()] = text.split("\n:")[0]
    names = [name for name in inspect.signature(method).parameters if name not in ("cls", "kwargs", "builder")]
    rows = [(code(name), said.get(name, "")) for name in names]
    intro = prose(doc.split("\n:")[0])
    return f"{intro}\n\n{table(('argument', 'meaning'), rows)}"

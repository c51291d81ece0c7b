"""What the code holds in lists: conditions, criteria, exit codes, protocols; and files of the project as pages."""

from __future__ import annotations

import re
from pathlib import Path

from aiida_icsg3d.calculations import exit_codes
from aiida_icsg3d.calculations.exit_codes import OUTPUT_EXIT_CODES, RETIRED, STATUS_EXIT_CODES, WORKCHAIN_EXIT_CODES
from icsg3d_models.cli.value_words import type_words
from icsg3d_models.conditions import CONDITIONS
from icsg3d_models.screening.criteria import CRITERIA

from .tables import code, message, prose, table

ROOT = Path(__file__).parents[2]
PROTOCOLS = ROOT / "aiida_icsg3d" / "workflows" / "protocols"
CARDS = ROOT / "icsg3d_models" / "pretrained"
COPIED = {
    "changelog.md": ROOT / "CHANGELOG.md",
    "contributing.md": ROOT / "CONTRIBUTING.md",
    "reference/competing_phases.md": ROOT / "icsg3d_models" / "stability" / "README.md",
}
LINK = re.compile(r"\]\((?:docs/)([a-z_/]+\.md)(#[\w-]+)?\)")


def pages() -> dict[str, str]:
    """Return path -> Markdown."""
    found = {
        "reference/conditions.md": conditions(),
        "reference/criteria.md": criteria(),
        "reference/exit_codes.md": codes(),
        "reference/protocols.md": protocols(),
    }
    for card in sorted(CARDS.glob("*/README.md")):
        found[f"reference/models/{card.parent.name}.md"] = card.read_text(encoding="utf-8")
    for path, source in COPIED.items():
        found[path] = LINK.sub(r"](\1\2)", source.read_text(encoding="utf-8"))
    return found


def conditions() -> str:
    """Return the page of the conditions."""
    rows = [(code(c.name), c.label, code(type_words(c.type)), c.help, "yes" if c.of_space else "") for c in CONDITIONS]
    headers = ("name", "label", "accepts", "meaning", "names the chemical space")
    return (
        "# Conditions\n\nWhat can be asked of a crystal, one list: settings, options, priors, screening, evaluation "
        "and report loop over it. A prior takes those that it was trained with.\n\n" + table(headers, rows)
    )


def criteria() -> str:
    """Return the page of the criteria of the screening."""
    rows = [
        (code(c.name), c.stage, "always" if c.always else "where `require` names it",
         ", ".join(code(column.name) for column in c.columns))
        for c in CRITERIA
    ]  # fmt: skip
    columns = [(code(column.name), c.name, column.meaning) for c in CRITERIA for column in c.columns]
    return (
        "# Criteria of the screening\n\n" + table(("name", "stage of the funnel", "required", "columns"), rows)
        + "\n## Columns of the table\n\n" + table(("column", "criterion", "meaning"), columns)
    )  # fmt: skip


def codes() -> str:
    """Return the page of all exit codes."""
    intro = (exit_codes.__doc__ or "").partition("\n\n")[2]
    jobs = [(status, code(label), message(text)) for status, label, text in OUTPUT_EXIT_CODES]
    jobs += [(status, code(label), f"the stage ended with `{word}`, in its own words")
             for word, (status, label) in STATUS_EXIT_CODES.items() if status]  # fmt: skip
    chains = [(status, code(label), message(text)) for label, (status, text) in WORKCHAIN_EXIT_CODES.items()]
    retired = [(code(process), number, code(label)) for process, numbers in RETIRED.items()
               for number, label in numbers.items()]  # fmt: skip
    headers = ("status", "label", "message")
    return (
        f"# Exit codes\n\n{prose(intro)}\n\n## Of jobs\n\n{table(headers, sorted(jobs))}\n"
        f"## Of WorkChains\n\n{table(headers, sorted(chains))}\n"
        f"## In nodes of release 0.1.0\n\n{table(('WorkChain', 'status', 'label'), retired)}"
    )


def protocols() -> str:
    """Return the page of the protocols: the files themselves."""
    parts = ["# Protocols\n\nDefaults, and what each protocol changes of them. `overrides` has the same layout; a key "
             "that is not there is refused.\n"]  # fmt: skip
    for path in sorted(PROTOCOLS.glob("*.yaml")):
        parts.append(f"## `{path.stem}`\n\n```yaml\n{path.read_text(encoding='utf-8')}```\n")
    return "\n".join(parts)

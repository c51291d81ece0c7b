"""The report of a campaign: a page, a table of all that went to DFT, the history, CIFs of what DFT relaxed."""

from __future__ import annotations

import csv
import json
from importlib.resources import files as resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from icsg3d_models.crystals.formulas import chemical_formula
from icsg3d_models.data.writers import Entry, safe_name

from ..campaigns.rounds import Rounds, height, read_rounds
from ..workflows.campaign.figures import ESTIMATE, FORMATION, HEIGHT
from ..workflows.relaxations import SYMMETRY_PRECISION
from .artefacts import state
from .charts.flat import ACCENT, INK, SOFT, styled
from .export import write_entries
from .page import as_json, formula_html, spacegroup_html

if TYPE_CHECKING:
    import plotly.graph_objects as go
    from aiida.orm import ProcessNode

COLUMNS = (
    "round", "id", "formula", "chosen", "status", "reason", "estimated_formation_energy_per_atom",
    "estimated_e_above_hull", "spread", FORMATION, HEIGHT, "stable", "new", "known_formula", "novel", "found_before",
    "rmsd_generated_prerelaxed", "rmsd_generated_dft", "volume_change_percent", "a", "b", "c", "spacegroup_before",
    "spacegroup_after", "dynamically_stable", "lowest_frequency_THz", "total_magnetization", "band_gap_eV",
    "uuid", "relaxed_uuid",
)  # fmt: skip


def write_rounds(node: ProcessNode, folder: Path) -> dict[str, Path]:
    """Write the report of a CampaignWorkChain, ended or running, and return the files by name.

    :raises aiida_icsg3d.campaigns.campaign.NotACampaignError: the node is no CampaignWorkChain.
    """
    found = read_rounds(node)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    names = {"candidates": "candidates.csv", "history": "history.json", "index": "index.html"}
    files = {key: folder / name for key, name in names.items()}
    with open(files["candidates"], "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerows(row_of(candidate) for candidate in found.candidates)
    files["history"].write_text(json.dumps({"rounds": found.rounds}, indent=1) + "\n", encoding="utf-8")
    files["index"].write_text(page_of(found), encoding="utf-8")
    if entries := crystals_of(found):
        files["cifs"] = write_entries(entries, "cif", folder / "cifs.zip")
    return files


def crystals_of(found: Rounds) -> list[Entry]:
    """Return what DFT relaxed, as far as it is in the profile, the lowest above its hull first."""
    from aiida.common.exceptions import NotExistent
    from aiida.orm import load_node

    entries = []
    for rank, candidate in enumerate(found.candidates, start=1):
        try:
            node: Any = load_node(candidate["relaxed_uuid"]) if candidate.get("relaxed_uuid") else None
        except NotExistent:  # of a campaign that was gone on with, and deleted
            node = None
        if node is not None:
            name = f"{rank:03d}_{chemical_formula(str(candidate['formula']))}_round{candidate['round']}"
            values = {"uuid": node.uuid, HEIGHT: height(candidate), FORMATION: candidate["relax"].get(FORMATION)}
            entries.append(Entry(safe_name(name), node.get_pymatgen(), values, SYMMETRY_PRECISION))
    return entries


def row_of(candidate: dict[str, Any]) -> dict[str, Any]:
    """Return a candidate as a row of the table."""
    prerelax, relax = candidate["prerelax"], candidate["relax"]
    flat = {**prerelax, **relax, **candidate}
    flat |= {
        "rmsd_generated_prerelaxed": prerelax.get("rmsd"),
        "rmsd_generated_dft": relax.get("rmsd_angstrom"),
        "spacegroup_after": relax.get("spacegroup_number"),
        "formula": chemical_formula(str(candidate["formula"])),
    }
    return {name: flat.get(name) for name in COLUMNS}


def headline(found: Rounds) -> str:
    """Return what the campaign came to, in one sentence."""
    judged = sum(entry["counts"]["judged"] for entry in found.rounds)
    stable = sum(entry["counts"]["stable_unique"] for entry in found.rounds)
    new, hours = len(found.stable_new), found.core_hours
    rounds = f"{len(found.rounds)} round{'' if len(found.rounds) == 1 else 's'}"
    limit = found.rounds[-1]["stable_within"] if found.rounds else 0.0
    return (
        f"{rounds}, {hours:.1f} core-hours of DFT: {judged} candidates judged, {stable} crystals within {limit:g} "
        f"eV/atom of the hull, {new} of them new"
    )


def parity(found: Rounds) -> go.Figure | None:
    """Return the formation energies of the potential beside those of the DFT; None where fewer than two have both."""
    import plotly.graph_objects as go

    pairs = [(c["prerelax"].get(ESTIMATE), c["relax"].get(FORMATION), c) for c in found.candidates]
    points = [(x, y, c) for x, y, c in pairs if x is not None and y is not None]
    if len(points) < 2:
        return None
    ends = [min(min(x, y) for x, y, _ in points), max(max(x, y) for x, y, _ in points)]
    figure = go.Figure(go.Scatter(x=ends, y=ends, mode="lines", line={"color": SOFT}, showlegend=False))
    for number in sorted({c["round"] for _, _, c in points}):
        some = [(x, y, chemical_formula(str(c["formula"]))) for x, y, c in points if c["round"] == number]
        x, y, text = zip(*some, strict=True)
        figure.add_scatter(x=x, y=y, text=text, mode="markers", marker={"size": 9}, name=f"round {number}")
    figure.update_layout(
        xaxis_title="formation energy, potential (eV/atom)", yaxis_title="formation energy, DFT (eV/atom)"
    )
    return styled(figure, 400)


def errors(found: Rounds) -> go.Figure | None:
    """Return how far each predictor was from the DFT, round by round."""
    import plotly.graph_objects as go

    names = list(dict.fromkeys(name for entry in found.rounds for name in entry["errors"]))
    if not names:
        return None
    figure = go.Figure()
    for name, colour in zip(names, (ACCENT, INK, SOFT, "#b6573b", "#3b8f6b") * len(names), strict=False):
        some = [entry for entry in found.rounds if name in entry["errors"]]
        x, y = [entry["round"] for entry in some], [entry["errors"][name]["mae_shifted"] for entry in some]
        figure.add_scatter(x=x, y=y, mode="lines+markers", name=name, line={"color": colour})
    figure.update_layout(xaxis_title="round", yaxis_title="mean absolute error after the shift (eV/atom)")
    figure.update_xaxes(dtick=1)
    return styled(figure)


def page_of(found: Rounds) -> str:
    """Return the page, complete in one file."""
    from plotly.offline import get_plotlyjs

    environment = Environment(loader=PackageLoader("aiida_icsg3d.report"), autoescape=True, trim_blocks=True)
    environment.filters |= {"formula": formula_html, "spacegroup": spacegroup_html}
    style = (resources("aiida_icsg3d.report") / "templates" / "page.css").read_text(encoding="utf-8")
    node = found.node
    return environment.get_template("rounds.html.j2").render(
        title=f"{node.label or 'Campaign'} · {node.pk}", pk=node.pk, uuid=node.uuid, ended=state(node),
        verdict=headline(found), rounds=found.rounds, candidates=found.candidates, height=height,
        name=lambda formula: chemical_formula(str(formula)), formation=FORMATION,
        charts=[as_json(figure) for figure in (parity(found), errors(found)) if figure is not None],
        style=Markup(style), plotly=Markup(get_plotlyjs()),
    )  # fmt: skip


def in_words(found: Rounds) -> str:
    """Return the campaign as a person reads it in the terminal."""
    from tabulate import tabulate

    counted = ("sampled", "relaxed", "judged", "undecided", "stable", "stable_new")
    rows = [
        [entry["round"], *(entry["counts"].get(name, 0) for name in counted), f"{entry['core_hours']:.2f}"]
        for entry in found.rounds
    ]
    head = ["round", "sampled", "relaxed", "judged", "undecided", "stable", "stable, new", "core-hours"]
    best = [
        [chemical_formula(str(c["formula"])), c["round"], f"{height(c):+.3f}", f"{c['relax'][FORMATION]:+.3f}",
         "new" if c["new"] else "known", c["relax"].get("spacegroup_symbol", "-")]
        for c in found.candidates[:10] if height(c) is not None
    ]  # fmt: skip
    parts = [headline(found), tabulate(rows, headers=head)]
    if best:
        columns = ["formula", "round", "above hull", "formation energy", "", "space group"]
        parts.append(tabulate(best, headers=columns, disable_numparse=True))
    return "\n\n".join(parts)

"""The page of a run: one HTML file that can be mailed, with plotly, pictures and files inside.

Everything that comes from a run passes through jinja2, which escapes it; only what this package made itself is marked
as safe. plotly.js is put in whole (4.8 MB of the page, 1.4 MB zipped): a page that loads it is empty without a network.
"""

from __future__ import annotations

import base64
import json
import re
from importlib.resources import files as resources
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from jinja2 import Environment, PackageLoader
from markupsafe import Markup, escape

from icsg3d_models.crystals.formulas import chemical_formula
from icsg3d_models.data.writers import cif_text, safe_name

from ..campaigns.asked import asked_for, delivered, in_words
from ..campaigns.campaign import FUNNEL, Campaign
from ..campaigns.predicted import meanings
from ..campaigns.properties.phonons import said_of_phonons
from ..campaigns.questions import failures
from ..campaigns.verdict import ENERGIES, hull_in_words
from ..campaigns.verdict import in_words as verdict_in_words
from .artefacts import state
from .charts.bands import band_charts
from .charts.densities import density_charts
from .charts.flat import histogram, parity
from .charts.phases import phase_diagrams
from .charts.training_map import training_map
from .console import main_property
from .export import entry_of
from .generated import generated_occupancy
from .pictures.field import LEVEL
from .rows import Row, colours, make_row, potential_line, rejections

if TYPE_CHECKING:
    import plotly.graph_objects as go

SHOWN_ROWS, SHOWN_CRYSTALS = 300, 6
LONG = 25  # rows; of a longer table the selected alone are shown at first
INLINE = 4_000_000  # bytes; a larger file of the report is linked, not put into the page
PICTURE_DPI = 110
PART_WORDS = {"field": "field", "generated": "generated", "relaxed": "DFT", "both": "both in one frame"}


class Head(NamedTuple):
    """The head of a column."""

    words: str
    unit: str = ""
    kind: str = "h"
    sort: bool = True


class Card(NamedTuple):
    """A crystal on the page: what is drawn of it."""

    row: Row
    picture: Markup | None
    figure: Markup
    parts: list[str]
    field: str
    colours: list[tuple[str, str]]


class Attachment(NamedTuple):
    """A file of the report, inside the page or beside it."""

    name: str
    href: Markup
    inline: bool


def write_page(campaign: Campaign, path: Path, files: dict[str, Path]) -> Path:
    """Write the page; nothing is loaded from a network or from another file.

    :param files: name -> other files of the report.
    """
    from plotly.offline import get_plotlyjs

    environment = Environment(loader=PackageLoader("aiida_icsg3d.report"), autoescape=True, trim_blocks=True)
    environment.filters |= {
        "formula": formula_html,
        "phase": phase_html,
        "sentence": sentence_html,
        "potential": potential_line,
        "spacegroup": spacegroup_html,
        "lengths": lengths,
        "angles": angles,
    }
    folder = resources("aiida_icsg3d.report") / "templates"
    page = environment.get_template("page.html.j2").render(
        **run_facts(campaign), **candidate_facts(campaign), **chart_facts(campaign),
        rejections=rejections(campaign), failures=failures(campaign.node),
        provenance=svg_inside(files.get("provenance_svg")), files=[attachment(p) for p in files.values()],
        style=Markup((folder / "page.css").read_text(encoding="utf-8")),
        script=Markup((folder / "page.js").read_text(encoding="utf-8")),
        plotly=Markup(get_plotlyjs()),
    )  # fmt: skip
    size = len(page.encode("utf-8"))
    path.write_text(page.replace("@SIZE@", f"{size / 1e6:.1f} MB", 1), encoding="utf-8")
    return path


def run_facts(campaign: Campaign) -> dict[str, Any]:
    """Return what is said of the run as a whole."""
    node = campaign.node
    ended = state(node)
    if node.exit_status:
        ended += f" [{node.exit_status}] {node.exit_message or ''}"
    asked = asked_for(node)
    chosen = [(c, s.get_pymatgen()) for c in campaign.selected if (s := campaign.structure(c)) is not None]
    counts = [(name, campaign.funnel[name]) for name in FUNNEL if name in campaign.funnel]
    most = max((count for _, count in counts), default=0) or 1
    best = campaign.best
    return {
        "title": f"{node.label or 'Discovery run'} · {node.pk}", "pk": node.pk, "uuid": node.uuid, "ended": ended,
        "started": f"{node.ctime:%Y-%m-%d %H:%M}", "minutes": f"{(node.mtime - node.ctime).total_seconds() / 60:.1f}",
        "description": node.description, "verdict": verdict_in_words(best[0]) if best else "No candidate was selected.",
        "asked": in_words(asked), "delivered": delivered(asked, chosen),
        "funnel": [(name, count, round(100 * count / most, 1)) for name, count in counts],
        "novel_note": "novel" in campaign.funnel, "notes": campaign.notes,
    }  # fmt: skip


def candidate_facts(campaign: Campaign) -> dict[str, Any]:
    """Return the table, the cards and the CIFs."""
    best = campaign.best
    ids = {c.id for c in best}
    everything = [*best, *(c for c in campaign.candidates if c.id not in ids)]
    rows = [make_row(campaign, c) for c in everything[:SHOWN_ROWS]]
    shown = [n for n in range(len(ENERGIES)) if any(row.energies[n] is not None for row in rows)]
    meant = list(meanings(campaign.node, campaign.properties).values())
    notes = dict.fromkeys(
        f"{ENERGIES[n].label}: {words}" for n in shown for c in best if (words := hull_in_words(c, ENERGIES[n]))
    )
    heads = [
        Head("#", kind="l"), Head("candidate", kind="l"),
        *(Head(ENERGIES[n].label, "eV/atom") for n in shown),
        *(Head(f"predicted {m.short}", m.unit) for m in meant),
        Head("", kind="l", sort=False), Head("space group", kind="l"), Head("a, b, c", "Å"), Head("angles", "°"),
        Head("c/a"), Head("volume, moved"), Head("known?", kind="l"), Head("nodes, files", kind="l"),
    ]  # fmt: skip
    cards = [make_card(campaign, row) for row in rows[:SHOWN_CRYSTALS] if row.generated and row.generated.node]
    return {
        "rows": rows, "long": LONG, "left_out": len(everything) - len(rows), "heads": heads, "energies": shown,
        "energy_labels": [energy.label for energy in ENERGIES], "energy_notes": list(notes), "meanings": meant,
        "cifs": {row.candidate.id: cifs_of(n, row) for n, row in enumerate(rows, start=1) if row.selected},
        "cards": cards, "part_words": PART_WORDS, "provenance_of": best[0].formula if best else "",
    }  # fmt: skip


def chart_facts(campaign: Campaign) -> dict[str, Any]:
    """Return the charts, and why there is none of a kind."""
    meant = meanings(campaign.node, campaign.properties)
    target = main_property(campaign)
    figures = [figure for figure in [histogram(campaign, meant[target]) if target else None] if figure is not None]
    pairs = parity(campaign, meant)
    notes = []
    if not pairs and any(c.relaxed_well for c in campaign.candidates):
        notes.append("No parity plot: no two energies of this run count from the same zero. DFT total energies have no "
                     "zero in common with a prediction.")  # fmt: skip
    drawn, words = training_map(campaign) if campaign.candidates else (None, "")
    diagrams, missing = phase_diagrams(campaign)
    return {
        "charts": [as_json(figure) for figure in [*figures, *pairs]], "chart_notes": notes,
        "map": None if drawn is None else as_json(drawn), "map_words": words,
        "diagrams": [(caption, as_json(figure)) for caption, figure in diagrams], "diagram_notes": missing,
        "phonons": [
            (c.formula, c.id, said) for c in campaign.best
            if (node := campaign.relaxed.get(c.id)) is not None and (said := said_of_phonons(node)) is not None
        ],
        "bands": [(caption, as_json(figure)) for caption, figure in band_charts(campaign)],
        "densities": [(caption, as_json(figure)) for caption, figure in density_charts(campaign)],
    }  # fmt: skip


def make_card(campaign: Campaign, row: Row) -> Card:
    """Return what is drawn of a candidate: a picture, and a figure that turns where the browser can."""
    from .panels import make_panel, match_cell
    from .pictures.turning import turning_figure

    node = row.generated.node if row.generated else None
    if node is None:
        raise ValueError(f"{row.candidate.id}: its crystal is not in the graph")
    generated = node.get_pymatgen()
    after = row.relaxed.node if row.relaxed else None
    relaxed = match_cell(generated, after.get_pymatgen()) if after is not None else None
    values = generated_occupancy(node)
    figure = turning_figure(generated, relaxed, values)
    parts = list(dict.fromkeys(trace.meta for trace in figure.data))
    picture = None
    if find_spec("matplotlib") is not None and find_spec("skimage") is not None:
        from .pictures.picture import draw_picture

        with TemporaryDirectory() as folder:
            image = draw_picture(
                [make_panel(campaign, row.candidate)], Path(folder) / "row.png", dpi=PICTURE_DPI, detail=3
            )
            picture = data_uri(image.read_bytes(), "image/png")
    words = "" if "field" not in parts else ("as generated" if values is not None else "of the rebuilt crystal")
    order = [part for part in ("field", "generated", "relaxed") if part in parts]
    return Card(
        row, picture, as_json(figure), [*order, "both"] if relaxed is not None else order,
        f"{words}, occupancy {LEVEL:g}" if words else "", colours(row.elements),
    )  # fmt: skip


def cifs_of(rank: int, row: Row) -> dict[str, Attachment]:
    """Return the CIFs of the generated and the relaxed crystal, inside the page."""
    found = {}
    for kind, line in (("generated", row.generated), ("relaxed", row.relaxed)):
        if line is not None and line.node is not None:
            entry = entry_of(row.candidate, line.node, kind, rank)
            href = data_uri(cif_text(entry).encode("utf-8"), "chemical/x-cif")
            found[kind] = Attachment(f"{safe_name(entry.id)}.cif", href, True)
    return found


def attachment(path: Path) -> Attachment:
    """Return a file as a link: into the page where it is small enough, else to the file beside the page."""
    kinds = {".csv": "text/csv", ".json": "application/json", ".zip": "application/zip", ".png": "image/png",
             ".svg": "image/svg+xml"}  # fmt: skip
    if path.stat().st_size > INLINE:
        return Attachment(path.name, Markup(escape(path.name)), False)
    return Attachment(path.name, data_uri(path.read_bytes(), kinds[path.suffix]), True)


def data_uri(content: bytes, kind: str) -> Markup:
    """Return content as the address of a link or a picture."""
    return Markup(f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}")


def as_json(figure: go.Figure) -> Markup:
    """Return a figure as JSON that cannot end the script element it stands in."""
    content = json.loads(figure.to_json())
    return Markup(json.dumps(content, separators=(",", ":")).replace("<", "\\u003c"))


def svg_inside(path: Path | None) -> Markup | None:
    """Return a drawing without its XML head, to stand in the page."""
    if path is None:
        return None
    text = path.read_text(encoding="utf-8")
    return Markup(text[text.index("<svg") :])


def formula_html(formula: str) -> Markup:
    """Return a formula with lowered numbers."""
    return Markup(re.sub(r"(?<=[A-Za-z)\]])(\d+(?:\.\d+)?)", r"<sub>\1</sub>", str(escape(formula))))


WORD = re.compile(r"\b(?:[A-Z][a-z]?\d*|\((?:[A-Z][a-z]?\d*)+\)\d*){2,}")


def phase_html(formula: str) -> Markup:
    """Return a formula in any order as chemists write it, with lowered numbers."""
    return formula_html(chemical_formula(formula))


def sentence_html(text: str) -> Markup:
    """Return a sentence with the numbers of its formulas lowered."""
    return Markup(WORD.sub(lambda found: str(formula_html(found[0])), str(escape(text))))


def spacegroup_html(symbol: str) -> Markup:
    """Return a Hermann-Mauguin symbol with bars and screw axes."""
    text = re.sub(r"_(\d)", r"<sub>\1</sub>", str(escape(symbol)))
    barred = re.sub(r"-(\d)", r'<span class="over">\1</span>', text)
    return Markup(f"<em>{barred}</em>")


def lengths(values: tuple[float, float, float]) -> str:
    """Return three lengths in Å."""
    return "  ".join(f"{value:.3f}" for value in values)


def angles(values: tuple[float, float, float]) -> str:
    """Return three angles in degrees; whole ones without decimals."""
    return "  ".join(f"{value:.0f}" if abs(value - round(value)) < 0.05 else f"{value:.1f}" for value in values)

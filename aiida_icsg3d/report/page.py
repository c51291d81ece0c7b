"""The offline page of a run: funnel, candidates, turning fields and crystals, predictions against DFT, failures."""

from __future__ import annotations

from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..campaigns.asked import asked_for, in_words
from ..campaigns.campaign import FUNNEL, Campaign
from ..campaigns.candidate import PREDICTED, Candidate
from .artefacts import state
from .console import failure_word, main_property, number, readable

if TYPE_CHECKING:
    import plotly.graph_objects as go

YES_NO = {"True": "yes", "False": "no"}
SHOWN_ROWS, SHOWN_CRYSTALS = 200, 4
INK, ACCENT, SOFT = "#1f2430", "#3b6fb6", "#9bb7dc"
STYLE = """
:root { color-scheme: light }
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2430; max-width: 1120px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
.muted { color: #5d6675 } code { background: #f1f3f7; padding: .1em .35em; border-radius: 4px }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .32rem .6rem; text-align: right; border-bottom: 1px solid #e3e6ec; white-space: nowrap }
th { font-weight: 600; color: #4a5263 } th.l, td.l { text-align: left }
td.w { white-space: normal; text-align: left }
tbody tr:hover { background: #f6f8fb } .bad { color: #b3382c } .good { color: #2c7a4b }
.wide { overflow-x: auto }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(330px, 1fr)); gap: 1rem }
.card { min-width: 0; overflow: hidden; border: 1px solid #e3e6ec; border-radius: 8px; padding: .8rem }
.card h3 { margin: 0 0 .3rem; font-size: 1rem }
img { max-width: 100% }
"""


def write_page(campaign: Campaign, path: Path, files: dict[str, Path]) -> Path:
    """Write ``index.html`` and, beside it, plotly.js; nothing is loaded from a network.

    :param files: name -> other files of the report in the same folder, to link.
    """
    node = campaign.node
    ended = state(node)
    if node.exit_status:
        ended += f" [{node.exit_status}] {node.exit_message or ''}"
    minutes = (node.mtime - node.ctime).total_seconds() / 60
    asked = asked_for(node)
    title = f"{node.label or 'Discovery run'} · {node.pk}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p class='muted'>{escape(ended)} · started {node.ctime:%Y-%m-%d %H:%M} · {minutes:.1f} min · "
        f"<code>{escape(node.uuid)}</code></p>",
        f"<p>{escape(node.description)}</p>" if node.description else "",
        f"<p>Asked for: {escape(in_words(asked))}</p>" if asked else "",
        "<p>" + " · ".join(f"<a href='{escape(p.name)}'>{escape(p.name)}</a>" for p in files.values()) + "</p>",
        "<h2>Funnel</h2>", embed(funnel_figure(campaign.funnel), first=True),
        "<h2>Candidates</h2>", candidate_table(campaign),
        "<h2>Fields and crystals</h2>", crystal_cards(campaign),
    ]  # fmt: skip
    for name, label in (
        ("picture", "The best candidates"),
        ("provenance_svg", "Where the best candidate comes from"),
    ):
        if name in files:
            body.append(
                f"<h2>{label}</h2><a href='{files[name].name}'><img src='{files[name].name}' alt='{label}'></a>"
            )
    figures = prediction_figures(campaign)
    if figures:
        body += ["<h2>Predictions</h2>", *(embed(figure) for figure in figures)]
    body += ["<h2>What failed</h2>", failure_table(campaign)]
    head = f"<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>{escape(title)}</title>"
    page = (
        f"<!doctype html><html lang='en'><head>{head}<style>{STYLE}</style></head><body>{''.join(body)}</body></html>"
    )
    path.write_text(page, encoding="utf-8")
    write_plotly(path.parent)
    return path


def write_plotly(folder: Path) -> None:
    """Put plotly.js beside the page, once."""
    from plotly.offline import get_plotlyjs

    target = folder / "plotly.min.js"
    if not target.exists():
        target.write_text(get_plotlyjs(), encoding="utf-8")


def embed(figure: go.Figure, first: bool = False) -> str:
    """Return a figure as HTML; the first one loads plotly.js from the folder of the page."""
    source = "directory" if first else False
    return str(
        figure.to_html(full_html=False, include_plotlyjs=source, config={"displaylogo": False, "responsive": True})
    )


def style(figure: go.Figure, height: int = 300) -> go.Figure:
    """Give a flat figure the look of the page."""
    return figure.update_layout(
        template="plotly_white", height=height, margin={"l": 60, "r": 20, "t": 30, "b": 50},
        font={"family": "system-ui, sans-serif", "color": INK},
    )  # fmt: skip


def funnel_figure(funnel: dict[str, int]) -> go.Figure:
    """Return how many crystals were left after each stage."""
    import plotly.graph_objects as go

    names = [name for name in FUNNEL if name in funnel]
    figure = go.Figure(go.Funnel(y=names, x=[funnel[name] for name in names], marker={"color": ACCENT},
                                 textinfo="value+percent initial"))  # fmt: skip
    return style(figure, 90 + 38 * max(len(names), 1))


def cell(value: Any, pattern: str = ".3f") -> str:
    """Return a table cell: numbers formatted, everything else escaped."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"<td>{number(value, pattern)}</td>"
    return f"<td class='l'>{escape(str(value))}</td>" if value not in (None, "") else "<td class='muted'>–</td>"


def candidate_table(campaign: Campaign) -> str:
    """Return the table of the best candidates with what was predicted and what DFT said."""
    if not campaign.candidates:
        return "<p>No crystal was screened.</p>"
    properties = campaign.properties
    heads = ["id", "formula", "space group", "a (Å)", *(f"predicted {readable(p)}" for p in properties), "novel",
             "DFT energy (eV/atom)", "DFT space group", "DFT a (Å)", "volume (%)", "moved (Å)", "PK",
             "relaxed PK"]  # fmt: skip
    left = {"id", "formula", "space group", "novel", "DFT space group"}
    rows = []
    best = campaign.best
    shown = [*best, *(c for c in campaign.candidates if c not in best)][:SHOWN_ROWS]
    for c in shown:
        row, relax = c.row, c.relax or {}
        generated, relaxed = campaign.structure(c), campaign.relaxed.get(c.id)
        energy = cell(relax.get("energy_per_atom_eV"))
        if c.failed:
            energy = f"<td class='bad'>{escape(failure_word(c))}</td>"
        rows.append("<tr>" + "".join([
            cell(c.id), cell(c.formula), cell(row.get("spacegroup_symbol")), cell(row.get("a")),
            *(predicted_cell(row, p) for p in properties),
            cell(YES_NO.get(str(row.get("novel")))), energy, cell(relax.get("spacegroup_symbol")),
            cell(relax.get("a")), cell(relax.get("volume_change_percent"), "+.1f"), cell(relax.get("rmsd_angstrom")),
            cell(generated.pk if generated else None, "d"), cell(relaxed.pk if relaxed else None, "d"),
        ]) + "</tr>")  # fmt: skip
    head = "".join(f"<th{' class=l' if h in left else ''}>{escape(h)}</th>" for h in heads)
    note = ""
    if len(campaign.candidates) > len(shown):
        note = (
            f"<p class='muted'>The best {len(shown)} of {len(campaign.candidates)}; all of them in candidates.csv.</p>"
        )
    return f"<div class='wide'><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>{note}"


def predicted_cell(row: dict[str, Any], name: str) -> str:
    """Return a prediction with its uncertainty, where there is one."""
    value, spread = row.get(f"{PREDICTED}{name}"), row.get(f"uncertainty_{name}")
    if isinstance(value, (int, float)) and isinstance(spread, (int, float)):
        return f"<td>{value:+.3f} ± {spread:.3f}</td>"
    return cell(value, "+.3f")


def crystal_cards(campaign: Campaign) -> str:
    """Return turning figures of the best candidates, generated (with field) and relaxed."""
    from .generated import generated_occupancy
    from .pictures.picture import LEVEL
    from .pictures.scene3d import crystal_figure

    with_field = find_spec("skimage") is not None
    cards = []
    for c in campaign.best[:SHOWN_CRYSTALS]:
        pair = (("generated", campaign.structure(c)), ("relaxed by DFT", campaign.relaxed.get(c.id)))
        for kind, structure in pair:
            if structure is None:
                continue
            field = with_field and kind == "generated"
            values = generated_occupancy(structure) if field else None
            figure = crystal_figure(structure.get_pymatgen(), values, with_field=field)
            note = f"PK {structure.pk}"
            if field:
                what = "generated field" if values is not None else "field of the rebuilt crystal"
                note += f" · {what}, occupancy {LEVEL:g}"
            cards.append(f"<div class='card'><h3>{escape(c.formula)}, {kind}</h3><span class='muted'>{escape(c.id)} · "
                         f"{note}</span>{embed(figure)}</div>")  # fmt: skip
    missing = "" if with_field else "<p class='muted'>Install aiida-icsg3d[report] to see the fields.</p>"
    return f"{missing}<div class='cards'>{''.join(cards)}</div>" if cards else "<p>No candidate was selected.</p>"


def prediction_figures(campaign: Campaign) -> list[go.Figure]:
    """Return the histogram of the predicted property, and predicted against DFT where there are two points or more."""
    import plotly.graph_objects as go

    target = main_property(campaign)
    if target is None:
        return []
    key = f"{PREDICTED}{target}"

    def values(candidates: list[Candidate]) -> list[float]:
        return [c.row[key] for c in candidates if isinstance(c.row.get(key), (int, float))]

    histogram = go.Figure()
    everything, chosen = values(campaign.candidates), values(campaign.selected)
    histogram.add_histogram(x=everything, name="all screened", marker_color=SOFT, nbinsx=40)
    histogram.add_histogram(x=chosen, name="selected", marker_color=ACCENT, nbinsx=40)
    label = f"predicted {escape(readable(target))}"
    histogram.update_layout(barmode="overlay", xaxis_title=label, yaxis_title="crystals")
    figures = [style(histogram)]
    pairs = [c for c in campaign.selected if c.relaxed_well and isinstance(c.row.get(key), (int, float))]
    if len(pairs) > 1:
        scatter = go.Figure(go.Scatter(
            x=[c.row[key] for c in pairs], y=[(c.relax or {})["energy_per_atom_eV"] for c in pairs],
            text=[escape(c.formula) for c in pairs], mode="markers+text", textposition="top center",
            marker={"size": 10, "color": ACCENT},
        ))  # fmt: skip
        # total energies of different compositions share no zero: the page says so, instead of a line
        scatter.update_layout(xaxis_title=label,
                              yaxis_title="DFT total energy (eV/atom), no common zero of compositions")  # fmt: skip
        figures.append(style(scatter, 380))
    return figures


def failure_table(campaign: Campaign) -> str:
    """Return what failed, with the reason."""
    from ..campaigns.questions import failures

    found = failures(campaign.node)
    reasons: dict[str, int] = {}
    for c in campaign.candidates:
        if c.row.get("reason"):
            reasons[str(c.row["reason"])] = reasons.get(str(c.row["reason"]), 0) + 1
    rows = [
        f"<tr>{cell(f.id)}{cell(f.formula)}{cell(f.exit_status, 'd')}<td class='w'>{escape(f.reason)}</td></tr>"
        for f in found
    ]
    jobs = (
        "<table><thead><tr><th class=l>id or stage</th><th class=l>formula</th><th>exit status</th>"
        f"<th class=l>reason</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
        if rows
        else "<p>No relaxation and no job failed.</p>"
    )
    tally = "".join(
        f"<tr><td>{n}</td><td class='w'>{escape(r)}</td></tr>" for r, n in sorted(reasons.items(), key=lambda x: -x[1])
    )
    screened = f"<h3>Set aside by the screening</h3><table><tbody>{tally}</tbody></table>" if tally else ""
    return jobs + screened

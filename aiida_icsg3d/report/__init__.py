"""The report of a discovery run: a page, a table, CIFs, figures and pictures in one folder."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiida.orm import ProcessNode

    from ..campaigns.campaign import Campaign

__all__ = ("write_report",)


def write_report(workchain: ProcessNode, folder: Path) -> dict[str, Path]:
    """Write the report of a DiscoverWorkChain, finished, failed or running: what is there is reported.

    :param workchain: the node of the run.
    :param folder: where to write; made where it is missing, older files of a report in it are replaced.
    :returns: ``candidates``, ``cifs``, ``metrics``, ``index``, and, where a crystal was selected and matplotlib
        (extra `report`) is installed, ``picture``, ``provenance_svg`` and ``provenance_png``.
    :raises aiida_icsg3d.campaigns.campaign.NotACampaignError: the node is no DiscoverWorkChain.
    """
    from ..campaigns.campaign import read_campaign
    from .artefacts import write_candidates, write_cifs, write_metrics
    from .page import write_page

    campaign = read_campaign(workchain)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "candidates": write_candidates(campaign, folder / "candidates.csv"),
        "cifs": write_cifs(campaign, folder / "cifs.zip"),
        "metrics": write_metrics(campaign, folder / "metrics.json"),
    }
    files.update(write_pictures(campaign, folder))
    files["index"] = write_page(campaign, folder / "index.html", dict(files))
    return files


def write_pictures(campaign: Campaign, folder: Path) -> dict[str, Path]:
    """Draw the best candidates and where the best one comes from; nothing where there is none to draw."""
    drawable = [c for c in campaign.best if c.uuid]
    if not drawable or find_spec("matplotlib") is None:
        return {}
    from .panels import make_panels
    from .pictures.picture import draw_picture
    from .pictures.provenance import draw_provenance

    files = {"picture": draw_picture(make_panels(campaign), folder / "picture.png")}
    best = campaign.relaxed.get(drawable[0].id) or campaign.structure(drawable[0])
    if best is not None:
        files["provenance_svg"], files["provenance_png"] = (
            folder / "provenance.svg",
            folder / "provenance.png",
        )
        draw_provenance(best, files["provenance_svg"], files["provenance_png"])
    return files

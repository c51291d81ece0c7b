"""Crystals of a run, with what is known of them, in the formats that people have."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icsg3d_models.crystals.symmetry import SYMPREC
from icsg3d_models.data.writers import FORMATS, Entry, safe_name

from ..campaigns.campaign import Campaign
from ..campaigns.candidate import PREDICTED, Candidate
from ..campaigns.verdict import ENERGIES, energy_of
from ..workflows.relaxations import SYMMETRY_PRECISION

if TYPE_CHECKING:
    from aiida.orm import StructureData

KINDS = ("generated", "relaxed")


def entry_of(candidate: Candidate, node: StructureData, kind: str, rank: int | None = None) -> Entry:
    """Return a crystal with the node it came from, what was predicted, and what the verdict says.

    :param kind: `generated` or `relaxed`.
    :param rank: put before its name where it is given.
    """
    name = "_".join(safe_name(part) for part in (candidate.formula, candidate.id, kind))
    values: dict[str, Any] = {"uuid": node.uuid, "kind": kind, "sample": candidate.id}
    values |= {key: value for key, value in candidate.row.items() if key.startswith((PREDICTED, "uncertainty_"))}
    values |= {energy.key: energy_of(candidate, energy) for energy in ENERGIES}
    if kind == "relaxed":
        values["dft_energy_eV"] = (candidate.relax or {}).get("energy_eV")
    symprec = SYMMETRY_PRECISION if kind == "relaxed" else SYMPREC
    return Entry(name if rank is None else f"{rank:03d}_{name}", node.get_pymatgen(), values, symprec)


def entries_of(campaign: Campaign, candidates: Iterable[Candidate], kinds: Iterable[str] = KINDS) -> list[Entry]:
    """Return the crystals of some candidates that are in the graph, numbered in their order."""
    found = []
    for rank, candidate in enumerate(candidates, start=1):
        nodes = {"generated": campaign.structure(candidate), "relaxed": campaign.relaxed.get(candidate.id)}
        found += [entry_of(candidate, node, k, rank) for k in kinds if (node := nodes[k]) is not None]
    return found


def write_entries(entries: list[Entry], kind: str, path: Path) -> Path:
    """Write crystals in a format; the ending is added where the path has none.

    :raises ValueError: there is no crystal, or no such format.
    """
    if kind not in FORMATS:
        raise ValueError(f"{kind!r} is no format; there are {', '.join(FORMATS)}")
    if not entries:
        raise ValueError("no crystal to write: none of those asked for is in the graph")
    write, ending = FORMATS[kind]
    path = path if path.suffix else path.with_suffix(ending)
    write(entries, path)
    return path

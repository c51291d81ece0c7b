"""From the text of a CIF to its crystals, one for each data block."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ...crystals.batch import CrystalError
from ..crystal import Crystal, Refused, cell_from_parameters, check_crystal
from .blocks import Block, blocks_of
from .evidence import Evidence, evidence_of
from .expand import expand, same_crystal
from .operations import UNSTATED, Symmetry, declared_symmetries
from .second import second_reading
from .sites import Sites, number, read_sites

_LENGTHS = tuple(f"_cell_length_{axis}" for axis in "abc")
_ANGLES = tuple(f"_cell_angle_{angle}" for angle in ("alpha", "beta", "gamma"))


def crystals_of_cif(text: str) -> list[Crystal | Refused]:
    """Return the crystal of every data block, or the reason why there is none, in their order.

    Blocks that hold no crystal (of a publication, of reflections) are passed over.

    :raises CrystalError: there is no data block, or none that is meant to hold a crystal.
    """
    blocks = blocks_of(text)
    meant = [block for block in blocks if block.is_crystal]
    if not meant:
        raise CrystalError("unreadable CIF: no cell and no atom sites; it is damaged, cut off or incomplete")
    several = len(meant) > 1
    found: list[Crystal | Refused] = []
    for block in meant:
        try:
            found.append(crystal_of_block(block))
        except CrystalError as exception:
            found.append(Refused(f"block {block.name[:60]}: {exception}" if several else str(exception)))
    return found


def parse_cif(text: str) -> list[Crystal]:
    """Return the crystals of a CIF all of whose blocks can be read.

    :raises CrystalError: with the reason, where one cannot.
    """
    crystals = []
    for outcome in crystals_of_cif(text):
        if isinstance(outcome, Refused):
            raise CrystalError(outcome.reason)
        crystals.append(outcome)
    return crystals


def crystal_of_block(block: Block) -> Crystal:
    """Return the crystal of a data block.

    :raises CrystalError: with the reason, where there is none that can be trusted.
    """
    if block.damage:
        raise CrystalError(block.damage)
    cell = _cell(block)
    evidence = evidence_of(block)
    sites = read_sites(block, dict(evidence.amounts))
    readings = _readings(cell, sites, declared_symmetries(block, cell))
    objections = [evidence.objections(crystal) for _, crystal, _ in readings]
    passed = [reading for reading, said in zip(readings, objections, strict=True) if not said]
    if len(passed) == 1 and _trusted(*passed[0], evidence, alone=len(readings) == 1):
        symmetry, crystal, notes = passed[0]
        assumed = [UNSTATED] if symmetry.said == UNSTATED else []
        assumed += ["sites that are listed twice are taken once"] if notes else []
        assumed += ["deuterium or tritium is taken as hydrogen"] if sites.isotopes else []
        return replace(crystal, note="; ".join(assumed))
    if len(passed) > 1:
        raise CrystalError(f"the file contradicts itself: {_listed(passed)}; state Z, or one symmetry and its setting")
    if passed:
        symmetry, _, notes = passed[0]
        if notes:
            raise CrystalError(
                f"sites are listed twice ({', '.join(notes[:3])}) and no formula says that this is meant"
            )
        doubt = f" ({symmetry.doubt})" if symmetry.doubt else ""
        raise CrystalError(f"{_listed(readings)}{doubt}; state the formula and Z, so that it can be believed")
    reason = "; ".join(dict.fromkeys(text for said in objections for text in said))
    second, why = second_reading(block)
    if second is not None and evidence.proves and not evidence.objections(second):
        return replace(second, note="pymatgen's reading is taken, which is what the file states of itself")
    raise CrystalError(reason + ("" if second is not None or not why else f" (a second reader: {why})"))


Reading = tuple[Symmetry, Crystal, list[str]]


def _readings(cell: np.ndarray, sites: Sites, symmetries: list[Symmetry]) -> list[Reading]:
    """Return the different crystals that the declared symmetries lead to.

    :raises CrystalError: not one leads to a crystal.
    """
    readings: list[Reading] = []
    reasons: list[str] = []
    for symmetry in symmetries:
        try:
            crystal, notes = expand(cell, sites, symmetry.operations)
        except CrystalError as exception:
            reasons.append(str(exception) if len(symmetries) == 1 else f"{symmetry.said}: {exception}")
            continue
        if len(crystal.numbers) == len(sites.numbers):
            notes = []  # every site of the cell is listed: the operations add none
        equal = next((i for i, (_, other, _) in enumerate(readings) if same_crystal(crystal, other)), None)
        if equal is None:
            readings.append((symmetry, crystal, notes))
        elif len(notes) < len(readings[equal][2]) or (readings[equal][0].doubt and not symmetry.doubt):
            # the same crystal said in two ways, which is as good as proved
            readings[equal] = (Symmetry(symmetry.said, symmetry.operations), readings[equal][1], [])
    if not readings:
        raise CrystalError("; ".join(reasons))
    return readings


def _trusted(symmetry: Symmetry, crystal: Crystal, notes: list[str], evidence: Evidence, alone: bool) -> bool:
    """Return whether a reading that nothing speaks against is to be believed."""
    if alone and not symmetry.doubt and not notes:
        return True
    return evidence.proves or (not symmetry.doubt and bool(evidence.amounts))


def _listed(readings: list[Reading]) -> str:
    """Return what each symmetry leads to, in words."""
    return ", ".join(f"{len(crystal.numbers)} atoms by {symmetry.said}" for symmetry, crystal, _ in readings)


def _cell(block: Block) -> np.ndarray:
    """Return the cell (3, 3), Å.

    :raises CrystalError: a length or angle is missing, no number, or no cell has them.
    """
    values = []
    for tag in (*_LENGTHS, *_ANGLES):
        column = block.column(tag)
        text = column[0].strip() if column else "?"
        if text == "." and tag in _ANGLES:
            text = "90"  # the default of the dictionary
        value = number(text)
        if not np.isfinite(value):
            said = "is missing; the file is cut off or incomplete" if text in ("?", "", ".") else f"is {text[:20]!r}"
            raise CrystalError(f"unreadable CIF: {tag} {said}")
        values.append(value)
    cell = cell_from_parameters(*values)
    check_crystal(Crystal(cell, np.zeros((1, 3)), np.ones(1, dtype=int)))
    return cell

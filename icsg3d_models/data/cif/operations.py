"""Which symmetry a CIF declares: listed operations, a Hall symbol, a name, a number, and whether they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
import spglib

from ...crystals.batch import CrystalError
from .blocks import Block
from .evidence import MULTIPLICITY
from .groups import (
    IDENTITY,
    Operation,
    Operations,
    Setting,
    as_operation,
    operations_of_hall,
    settings_named,
    settings_numbered,
)

_LISTED = (
    "_space_group_symop_operation_xyz",
    "_symmetry_equiv_pos_as_xyz",
    "_space_group_symop_operation_xyz_alt",
)
_NAMES = (
    "_space_group_name_h-m_alt",
    "_symmetry_space_group_name_h-m",
    "_space_group_name_h-m_ref",
    "_space_group_name_h-m_full",
    "_space_group_name_h-m",
    "_symmetry_space_group_name_h-m_full",
)
_HALL = ("_space_group_name_hall", "_symmetry_space_group_name_hall")
_NUMBER = ("_space_group_it_number", "_symmetry_int_tables_number")
_CHOICE = ("_space_group_it_coordinate_system_code",)
_MAGNETIC = ("_space_group_symop_magn_operation_xyz", "_space_group_symop_magn_operation_bns_xyz")
_MAGNETIC_CENTRINGS = ("_space_group_symop_magn_centering_xyz",)
_MODULATED = (
    "_cell_modulation_dimension",
    "_space_group_ssg_name",
    "_space_group_ssg_name_it",
    "_cell_subsystems_number",
)
_SYSTEM = ("_space_group_crystal_system", "_symmetry_cell_setting")
LISTED = "the listed operations"
UNSTATED = "no symmetry is stated: read as P 1"
EXACT, LOOSE = 2e-4, 1e-2  # how far a cell may be from the shape that its group asks for, relative


@dataclass(frozen=True)
class Symmetry:
    """One set of operations that a file declares.

    :param said: how the file declares it, for messages.
    :param doubt: why it takes the formula to believe it, empty where it does not.
    """

    said: str
    operations: Operations
    doubt: str = ""


def declared_symmetries(block: Block, cell: np.ndarray) -> list[Symmetry]:
    """Return the sets of operations that the block declares; one where all it says agrees.

    :param cell: (3, 3), Å; tells settings of one name apart.
    :raises CrystalError: modulated, no symmetry stated, or none of what is stated is understood.
    """
    if tag := next((t for t in _MODULATED if block.value(t) not in (None, "0")), None):
        raise CrystalError(f"a modulated structure ({tag}); a crystal with three periods is needed")
    listed, trouble = _listed(block)
    settings, unknown = _settings(block, cell, listed is not None)
    hall = block.value(*_HALL)
    found: list[Symmetry] = []
    if listed is not None:
        agrees = not unknown and (not settings or _number(listed) in {s.number for s in settings})
        if agrees and (hall is None or _same_number(listed, hall)):
            return _fitting([Symmetry(LISTED, listed)], cell)
        alone = "x,y,z is the only operation" + (f", and {unknown}" if unknown else "")
        found.append(Symmetry(LISTED, listed, alone if listed == frozenset([IDENTITY]) else ""))
    elif trouble and not settings and hall is None:
        raise CrystalError(trouble)
    if hall is not None:
        try:
            found.append(Symmetry(f"Hall symbol {hall}", operations_of_hall(hall), trouble))
        except ValueError as exception:
            trouble = trouble or f"Hall symbol {hall!r} is not understood ({exception})"
        else:
            if found[-1].operations in {setting.operations for setting in settings}:
                settings = []  # the name says the same, less exactly
    found += [Symmetry(f"space group {s.name}", s.operations, trouble) for s in settings]
    if not found and (trouble or unknown):
        raise CrystalError(trouble or unknown)
    if not found:
        if any(tag.startswith("_space_group_magn") for tag in block.columns):
            raise CrystalError("a magnetic group whose operations (_space_group_symop_magn_operation) are not listed")
        found.append(_unstated(block))
    return _fitting(found, cell)


def _unstated(block: Block) -> Symmetry:
    """Return what a block without any symmetry means: x,y,z is the default of the dictionary.

    :raises CrystalError: something else in it speaks of symmetry.
    """
    system = (block.value(*_SYSTEM) or "triclinic").lower()
    multiplicities = [text for tag in MULTIPLICITY for text in block.column(tag) or ()]
    if system != "triclinic" or any(gemmi.cif.as_number(text, 1.0) > 1 for text in multiplicities):
        hint = f"a {system} cell" if system != "triclinic" else "multiplicities of sites"
        raise CrystalError(
            f"no space group and no operations are stated, but {hint}; where all sites of the cell are listed, add "
            "_space_group_name_H-M_alt 'P 1'"
        )
    return Symmetry(UNSTATED, frozenset([IDENTITY]))


def _listed(block: Block) -> tuple[Operations | None, str]:
    """Return the listed operations, or None and what is wrong with them; None and nothing where there are none."""
    magnetic = block.column(*_MAGNETIC)
    triplets = magnetic or block.column(*_LISTED)
    if triplets is None or all(t.strip() in ("?", ".", "") for t in triplets):
        return None, ""
    centrings = block.column(*_MAGNETIC_CENTRINGS) or [] if magnetic else []
    try:
        return parsed_operations(tuple(triplets), tuple(centrings)), ""
    except CrystalError as exception:
        return None, str(exception)


@lru_cache(maxsize=4096)
def parsed_operations(triplets: tuple[str, ...], centrings: tuple[str, ...] = ()) -> Operations:
    """Return operations from their triplets, times the centrings of a magnetic group, without time reversal.

    :raises CrystalError: one cannot be parsed, or they are no group.
    """
    operations = {_parsed(text) for text in triplets}
    for centring in [_parsed(text) for text in centrings]:
        operations |= {_product(centring, operation) for operation in list(operations)}
    if IDENTITY not in operations:
        raise CrystalError("the listed operations lack the identity x,y,z")
    if len(operations) > 1 and not is_group(frozenset(operations)):
        raise CrystalError(f"the {len(operations)} listed operations are no group: some are missing or damaged")
    return frozenset(operations)


def _parsed(text: str) -> Operation:
    """Return the operation of a triplet such as `-x, y+1/2, z`; a fourth part, time reversal, is left out."""
    parts = "".join(text.split()).split(",")
    if len(parts) == 4 and parts[3] in ("+1", "-1", "1", "m", "+m", "-m"):
        parts = parts[:3]
    try:
        operation = as_operation(gemmi.Op(",".join(parts)))
    except (RuntimeError, ValueError):
        raise CrystalError(
            f"the operation {text[:40]!r} cannot be parsed; such as '-x, y+1/2, z' is accepted"
        ) from None
    if abs(round(np.linalg.det(np.array(operation[0])))) != 1:
        raise CrystalError(f"the operation {text[:40]!r} is no rotation, reflection or inversion")
    return operation


def _product(one: Operation, other: Operation) -> Operation:
    """Return the operation that does ``other`` first."""
    (r, t), (s, u) = (np.array(one[0]), np.array(one[1])), (np.array(other[0]), np.array(other[1]))
    return tuple(map(tuple, (r @ s).tolist())), tuple(((r @ u + t) % gemmi.Op.DEN).tolist())


def is_group(operations: Operations) -> bool:
    """Return whether the product of any two is one of them, up to lattice vectors."""
    rotations, translations = (np.array([op[part] for op in operations]) for part in (0, 1))
    products = np.einsum("aij,bjk->abik", rotations, rotations).reshape(-1, 9)
    moved = (np.einsum("aij,bj->abi", rotations, translations) + translations[:, None]) % gemmi.Op.DEN
    rows = np.concatenate([products, moved.reshape(-1, 3)], axis=1)
    own = np.concatenate([rotations.reshape(-1, 9), translations % gemmi.Op.DEN], axis=1)
    return set(map(bytes, np.ascontiguousarray(rows.astype(np.int8)))) <= set(
        map(bytes, np.ascontiguousarray(own.astype(np.int8)))
    )


@lru_cache(maxsize=1024)
def _number(operations: Operations) -> int | None:
    """Return the number of the space group, None where spglib knows none."""
    if operations == frozenset([IDENTITY]):
        return 1
    rotations, translations = (np.array([op[part] for op in operations]) for part in (0, 1))
    kind = spglib.get_spacegroup_type_from_symmetry(rotations.astype("intc"), translations / gemmi.Op.DEN)
    return None if kind is None else kind.number


def _same_number(listed: Operations, hall: str) -> bool:
    """Return whether a Hall symbol is of the group of the listed operations; one that is not understood is not."""
    try:
        operations = operations_of_hall(hall)
    except ValueError:
        return False
    return operations == listed or _number(operations) == _number(listed)


def _settings(block: Block, cell: np.ndarray, has_operations: bool) -> tuple[list[Setting], str]:
    """Return the settings that names and number allow, and what is not understood of them."""
    choice = block.value(*_CHOICE)
    unknown, named = "", []
    for tag in _NAMES:
        name = block.value(tag)
        if name is None:
            continue
        settings = settings_named(name, choice)
        if settings:
            named += [s for s in _by_convention(settings, cell) if s not in named]
        else:
            unknown = f"space group {name!r} is not understood" + (
                "" if has_operations else " and no operations are listed"
            )
    number = block.value(*_NUMBER)
    if number is None:
        return named, "" if named else unknown
    if not number.isdigit() or not 1 <= int(number) <= 230:
        return named, f"space-group number {number!r} is not within 1 to 230"
    if not named:
        return settings_numbered(int(number), choice), ""
    if all(setting.number != int(number) for setting in named):
        named += settings_numbered(int(number), choice)
    return named, ""


def _by_convention(settings: Sequence[Setting], cell: np.ndarray) -> list[Setting]:
    """Return the settings that the cell allows; of a short monoclinic symbol the one with b unique."""
    fitting = _best(settings, cell)
    if len(fitting) > 1 and all(setting.unique for setting in fitting):
        return [setting for setting in fitting if setting.unique == "b"] or fitting
    return fitting or list(settings)


def _best(settings: Sequence[Setting], cell: np.ndarray) -> list[Setting]:
    """Return the settings whose shape the cell has: exactly, or else loosely."""
    if len(settings) == 1 and settings[0].number == 1:
        return list(settings)
    misfits = [misfit(setting.operations, cell) for setting in settings]
    for tolerance in (EXACT, LOOSE):
        if fitting := [s for s, m in zip(settings, misfits, strict=True) if m < tolerance]:
            return fitting
    return []


def _fitting(found: list[Symmetry], cell: np.ndarray) -> list[Symmetry]:
    """Return what fits the cell, each set of operations once.

    :raises CrystalError: nothing does.
    """
    misfits = [misfit(symmetry.operations, cell) for symmetry in found]
    fitting = [s for s, m in zip(found, misfits, strict=True) if m < LOOSE]
    if not fitting:
        said = ", ".join(dict.fromkeys(symmetry.said for symmetry in found))
        raise CrystalError(f"the cell does not have the shape that {said} asks for")
    return list({symmetry.operations: symmetry for symmetry in reversed(fitting)}.values())[::-1]


def misfit(operations: Operations, cell: np.ndarray) -> float:
    """Return how much the operations change the lengths and angles of the cell, relative."""
    if len(operations) == 1:
        return 0.0
    metric = cell @ cell.T
    rotations = np.array([rotation for rotation, _ in operations], dtype=float)
    lengths = np.sqrt(np.diag(metric))
    change = np.einsum("aji,jk,akl->ail", rotations, metric, rotations) - metric
    return float(np.abs(change / np.outer(lengths, lengths)).max())

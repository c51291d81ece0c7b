"""Which pseudopotential family a run uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiida import orm
from aiida.plugins import GroupFactory
from aiida_pseudo.groups.mixins import RecommendedCutoffMixin

# SSSP first, its newest version and the cheaper set; then the scalar-relativistic PseudoDojo in UPF
PREFERRED = (
    *(
        f"SSSP/{version}/{functional}/{protocol}"
        for version in ("1.3", "1.2", "1.1")
        for protocol in ("efficiency", "precision")
        for functional in ("PBE", "PBEsol")
    ),
    *(
        f"PseudoDojo/{version}/SR/{protocol}/upf"
        for protocol in ("standard", "stringent")
        for version in ("0.5/PBE", "0.4/PBE", "0.4/PBEsol", "0.4/LDA")
    ),
)
MAKE_ONE = (
    "install one with `aiida-pseudo install sssp`, or on Debian and Ubuntu its files with "
    "`apt-get install quantum-espresso-data`; a family that is neither SSSP nor PseudoDojo has to be named"
)


class FamilyError(ValueError):
    """A family that is not there or cannot recommend cut-offs; the message says what to do."""


def installed_families() -> dict[str, Any]:
    """Return label -> family of all installed families that recommend cut-offs."""
    families = orm.QueryBuilder().append(GroupFactory("pseudo.family")).all(flat=True)
    return {f.label: f for f in families if isinstance(f, RecommendedCutoffMixin) and f.get_cutoff_stringencies()}


def load_family(label: str) -> Any:
    """Return the family of a label.

    :raises FamilyError: there is no such family, or it recommends no cut-offs.
    """
    families = installed_families()
    if label in families:
        return families[label]
    if orm.QueryBuilder().append(GroupFactory("pseudo.family"), filters={"label": label}).count():
        raise FamilyError(
            f"pseudopotential family {label!r} recommends no cut-offs; set them with "
            f"`aiida-pseudo family cutoffs set -s normal '{label}' CUTOFFS.json`"
        )
    known = ", ".join(repr(name) for name in sorted(families)) or "none"
    raise FamilyError(f"pseudopotential family {label!r} is not installed (installed: {known}); {MAKE_ONE}")


def choose_family(
    named: str | None = None, install: bool = True, say: Callable[[str], None] = lambda message: None
) -> Any:
    """Return the family to use: the one named, an installed SSSP or PseudoDojo, SSSP, Debian's LDA set.

    A family that an earlier call made from Debian's files is used again before a download is tried, so that
    a second run is the first one again.

    :param named: label of a family.
    :param install: whether a family may be downloaded or made.
    :param say: takes one line about what is done.
    :raises FamilyError: none of them is to be had.
    """
    from .debian import LABEL, DebianSetError, create_family
    from .download import DownloadError, download_sssp

    if named:
        return load_family(named)
    families = installed_families()
    for label in (*PREFERRED, LABEL):
        if label in families:
            return families[label]
    if not install:
        raise FamilyError(f"no SSSP or PseudoDojo family is installed; {MAKE_ONE}")
    try:
        return load_family(download_sssp(say))
    except DownloadError as exception:
        say(f"SSSP could not be downloaded ({exception}); taking the LDA files of quantum-espresso-data")
    try:
        return create_family(say=say)
    except DebianSetError as exception:
        raise FamilyError(f"no pseudopotentials: {exception}; {MAKE_ONE}") from exception

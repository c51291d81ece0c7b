"""What candidates are compared with: the training data, base crystals, known compounds, the models' training."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..comparison.fingerprint import FINGERPRINT_FILE, Fingerprint
from ..crystals.crystal_file import read_crystal_file
from ..networks.model_file import PREDICTORS, file_hash, read_header
from ..properties import chemistry
from ..properties.chemistry import Chemistry
from ..results import Report
from ..settings import ScreenSettings
from .known_formulas import KnownFormulas, read_known_formulas, shipped_known_formulas
from .novelty import Reference, read_reference


@dataclass(frozen=True)
class Sources:
    """All that candidates are compared with.

    :param references: crystals that are known: those of the training, base crystals, and what earlier rounds tried.
    :param known: formulas of known compounds.
    :param chemistries: name of a property model -> what it was trained on, as far as that is known.
    """

    references: list[Reference] = field(default_factory=list)
    known: KnownFormulas | None = None
    chemistries: dict[str, Chemistry] = field(default_factory=dict)


def read_sources(settings: ScreenSettings, report: Report, predictors: list[Path]) -> Sources:
    """Read what the settings name, note the files' hashes, and say in `reference` what novelty is judged against.

    :raises StageError: a file is missing or not what it should be.
    """
    folder = report.directory
    references = []
    training = find_reference(None if settings.reference is None else folder / settings.reference, predictors)
    if training is not None:
        references.append(read_reference(training))
        report.inputs["reference"] = file_hash(training)
    if settings.base is not None:
        base = read_crystal_file(folder / settings.base)
        name = f"{len(base)} base crystal{'s' if len(base) > 1 else ''}"
        references.append(Reference(base, name, None, "not novel: it is a base crystal that was sampled around"))
        report.inputs["base"] = file_hash(folder / settings.base)
    if settings.found is not None:
        found = read_crystal_file(folder / settings.found)
        name = f"{len(found)} crystal{'s' if len(found) > 1 else ''} of earlier rounds"
        references.append(Reference(found, name, None, "not novel: an earlier round has tried it"))
        report.inputs["found"] = file_hash(folder / settings.found)
    if references:
        report.tables["reference"] = " and ".join(reference.name for reference in references)
    if settings.known_formulas is not None:
        known = read_known_formulas(folder / settings.known_formulas)
        report.inputs["known_formulas"] = file_hash(folder / settings.known_formulas)
    else:
        known = shipped_known_formulas()
    report.tables["known_formulas"] = f"{known.name}, {len(known.contents)} formulas"
    return Sources(references, known, read_chemistries(predictors, references))


def find_reference(given: Path | None, predictors: list[Path]) -> Path | None:
    """Return the reference to compare with: the one given, else the fingerprint beside the first predictor."""
    if given is not None:
        return given
    beside = predictors[0].parent / FINGERPRINT_FILE if predictors else None
    return beside if beside is not None and beside.is_file() else None


def read_chemistries(predictors: list[Path], references: list[Reference]) -> dict[str, Chemistry]:
    """Return what each property model was trained on.

    Its card says so; of a model that was trained before cards did, the reference tells where it is of the same data.
    """
    found = {}
    for path in predictors:
        card = read_header(path, PREDICTORS).card
        known = chemistry.from_card(card)
        if known is None:
            known = next((c for c in (_of_reference(reference, card) for reference in references) if c), None)
        if known is not None:
            found[path.name] = known
    return found


def _of_reference(reference: Reference, card: dict[str, Any]) -> Chemistry | None:
    """Return the chemistry of a reference, None where the model was trained on other data."""
    if reference.data != card.get("data", {}).get("name"):
        return None
    known = reference.known
    return chemistry.of_fingerprint(known) if isinstance(known, Fingerprint) else chemistry.of_crystals(known)

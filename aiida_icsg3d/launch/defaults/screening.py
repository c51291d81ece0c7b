"""How candidates are screened where nobody says: by what the models predict and the reference there is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from icsg3d_models.settings import ScreenSettings

from ...setup.models import predicted_elements, predicted_properties

RANKED_BY = ScreenSettings.model_fields["rank_by"].default
HEIGHT = "e_above_hull"  # where it is predicted it says more of stability than the energy against the elements


def screening_of(
    models: dict[str, Any], elements: list[str], reference: Any, say: Callable[[str], None]
) -> dict[str, Any]:
    """Return the settings of the screening that follow from the models and the reference."""
    screening: dict[str, Any] = {}
    if not predicted_elements(models) & set(elements):
        say("no property model knows these elements: candidates are taken in the order in which they were made")
        screening["rank_by"] = None
    elif HEIGHT in (predicted := predicted_properties(models)):
        say("candidates are ranked by their predicted energy above the hull")
        screening["rank_by"] = HEIGHT
    elif predicted and RANKED_BY not in predicted:
        say(f"the property models predict {', '.join(sorted(predicted))}, not {RANKED_BY}: candidates are taken in the "
            "order in which they were made")  # fmt: skip
        screening["rank_by"] = None
    if reference is None:
        say("novelty is not judged: it is not known what the models were trained on; --reference names a dataset")
        screening["require"] = ["structure", "composition", "unique"]
    return screening

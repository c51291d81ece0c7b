"""Predictions outside the chemistry of the training are flagged, in words."""

from __future__ import annotations

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.properties import chemistry
from icsg3d_models.screening.criteria.trained_on import TRAINED_ON
from icsg3d_models.screening.sources import Sources

from ..crystals_by_hand import batch_of, perovskite, sodium


def test_sodium_metal_is_no_perovskite() -> None:
    trained = chemistry.of_crystals(Crystals.from_structures([perovskite(), perovskite("Na", "Ba")]))
    batch = batch_of([perovskite("Pb", "Ba"), sodium()], Sources(chemistries={"cgcnn": trained}))
    found = TRAINED_ON.judge(batch)
    assert found.cells["in_chemistry"] == [True, False]
    assert found.reasons[1] == (
        "the prediction of cgcnn is an extrapolation: no crystal of the kind A in its training (3 elements, 5 atoms)"
    )

"""Which property models screen a round: a fine-tuned one that misled gives way."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from aiida_icsg3d.workflows.campaign.fine_tuning import PREDICTED_WORD, continues, screening_models, target_of
from icsg3d_models.data.fidelity import MARK

TUNED = f"e_above_hull{MARK}lda"
ENERGY_BY_LDA = f"formation_energy_per_atom{MARK}lda"
BEGUN_WITH: Any = {"cgcnn": SimpleNamespace(config={"targets": ["heat"]})}
FINE_TUNED: Any = {"cgcnn": SimpleNamespace(config={"targets": [TUNED]})}


def a_round(number: int, correlation: float | None, target: str = TUNED) -> dict[str, Any]:
    error = {"n": 6, "mae": 0.5, **({} if correlation is None else {"rank_correlation": correlation})}
    return {"round": number, "errors": {"chgnet": {"rank_correlation": 0.9}, PREDICTED_WORD + target: error}}


@pytest.mark.parametrize(
    ("rounds", "models"),
    [
        ([], FINE_TUNED),
        ([a_round(1, -0.9, "heat")], FINE_TUNED),  # not a fine-tuned one
        ([a_round(1, 0.1, "heat"), a_round(2, 0.71)], FINE_TUNED),
        ([a_round(2, 0.71), a_round(3, -0.6)], BEGUN_WITH),
        ([a_round(3, -0.6), a_round(4, 0.2, "heat")], BEGUN_WITH),  # screened by the others since
        ([a_round(3, -0.6), a_round(4, 0.3)], FINE_TUNED),
        ([a_round(3, -0.6), a_round(4, None)], BEGUN_WITH),  # too few to say
    ],
)
def test_who_screens(rounds: list[dict[str, Any]], models: Any) -> None:
    found, words = screening_models(rounds, BEGUN_WITH, FINE_TUNED)
    assert found == models
    assert bool(words) == (models is BEGUN_WITH)


def test_a_campaign_that_began_with_it_has_no_other() -> None:
    found, words = screening_models([a_round(3, -0.6)], FINE_TUNED, FINE_TUNED)
    assert (found, words) == (FINE_TUNED, "")


def test_it_is_said() -> None:
    assert (
        "round 3 the wrong way round (rank correlation -0.60)"
        in screening_models([a_round(3, -0.6)], BEGUN_WITH, FINE_TUNED)[1]
    )


@pytest.mark.parametrize(
    ("rank_by", "after"),
    [("e_above_hull", TUNED), ("formation_energy_per_atom", ENERGY_BY_LDA), (None, ENERGY_BY_LDA), (TUNED, None),
     ("heat", ENERGY_BY_LDA)],
)  # fmt: skip
def test_the_ranking_goes_on_with_the_same_quantity(rank_by: str | None, after: str | None) -> None:
    models: Any = {"cgcnn": SimpleNamespace(config={"targets": [ENERGY_BY_LDA, TUNED]})}
    assert continues(rank_by, models) == after


@pytest.mark.parametrize(
    ("targets", "added"),
    [
        (["formation_energy_per_atom"], {"targets_from": {"formation_energy_per_atom": ENERGY_BY_LDA}}),
        (["formation_energy_per_atom", "band_gap"],
         {"targets": [ENERGY_BY_LDA],
          "targets_from": {"formation_energy_per_atom": ENERGY_BY_LDA}}),
        ([ENERGY_BY_LDA, TUNED, "band_gap"],
         {"targets": [ENERGY_BY_LDA, TUNED]}),
        (["band_gap"], None),
    ],
)  # fmt: skip
def test_of_several_targets_those_go_on_that_the_dft_speaks_of(targets: list[str], added: Any) -> None:
    """A model that predicts a gap too was not fine-tuned at all."""
    model: Any = SimpleNamespace(config={"targets": targets}, card={})
    columns = [ENERGY_BY_LDA, TUNED]
    found = target_of({"optimiser": {}}, model, columns)
    assert found == (None if added is None else {"optimiser": {}, **added})

"""Novel: not in the training data, and not the crystal that was sampled around."""

from __future__ import annotations

from icsg3d_models.crystals.batch import Crystals
from icsg3d_models.screening.criteria.novel import NOVEL
from icsg3d_models.screening.novelty import Reference
from icsg3d_models.screening.sources import Sources

from ..crystals_by_hand import batch_of, perovskite


def test_the_base_crystal_that_comes_back_is_not_novel() -> None:
    training = Reference(Crystals.from_structures([perovskite("Ba")]), "dataset", "made-up")
    base = Reference(Crystals.from_structures([perovskite()]), "base", None, "not novel: it is a base crystal")
    moved = perovskite(length=3.99)
    moved.perturb(0.02)
    structures = [moved, perovskite("Ba"), perovskite("Sr")]
    found = NOVEL.judge(batch_of(structures, Sources([training, base])))
    assert found.passed.tolist() == [False, False, True]
    assert found.reasons == ["not novel: it is a base crystal", "not novel: the training data hold it", None]
    assert found.cells["novel_composition"] == [False, False, True]
    assert NOVEL.judge(batch_of(structures, Sources([training]))).passed.tolist() == [True, False, True]


def test_broken_structures_are_not_novel() -> None:
    broken = perovskite()
    broken[1] = ("Ti", [0.02, 0, 0])
    training = Reference(Crystals.from_structures([perovskite("Ba")]), "dataset", "made-up")
    found = NOVEL.judge(batch_of([broken], Sources([training])))
    assert (found.passed.tolist(), found.reasons) == ([False], [None])

"""COV-R and COV-P on points placed by hand."""

import numpy as np
import pytest

from icsg3d_models.evaluation.metrics.coverage import CUTOFFS, coverage, nearest


def points(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def test_nearest_both_ways_and_across_blocks() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((700, 3)), rng.random((300, 3))
    full = np.linalg.norm(a[:, None] - b[None], axis=-1)
    forward, backward = nearest(a, b)
    assert forward == pytest.approx(full.min(axis=1))
    assert backward == pytest.approx(full.min(axis=0))


def test_recall_and_precision_by_hand() -> None:
    # structures on a line, cut-off 0.2; compositions on a line, cut-off 4
    generated = points(0.0, 1.0, 5.0), points(0, 0, 0)
    reference = points(0.1, 0.2, 3.0, 5.1), points(0, 4, 0, 100)
    found = coverage(generated, reference, CUTOFFS["perov_5"])
    # references 0.1 and 0.2 are near generated 0; 3.0 is not; 5.1 is near 5 but its composition is not
    assert found.recall == 0.5
    # generated 0 and 5 are near references, 1.0 is not
    assert found.precision == pytest.approx(2 / 3)
    assert found.structure_recall == pytest.approx((0.1 + 0.2 + 2.0 + 0.1) / 4)
    assert found.structure_precision == pytest.approx((0.1 + 0.8 + 0.1) / 3)
    assert found.composition_recall == pytest.approx((0 + 4 + 0 + 100) / 4)


def test_structure_and_composition_may_come_from_two_crystals() -> None:
    found = coverage((points(0, 9), points(50, 0)), (points(0), points(0)), (0.2, 4.0))
    assert found.recall == 1
    assert found.precision == 0.0  # the first has a far composition, the second a far structure


def test_failures_lower_precision_and_never_recall_of_others() -> None:
    generated = points(0, np.nan), points(0, 0)
    reference = points(0, 7, np.nan), points(0, 0, 0)
    assert coverage(generated, reference, (0.2, 4.0)).precision == 0.5
    assert coverage(generated, reference, (0.2, 4.0), n_generated=4).precision == 0.25
    assert coverage(generated, reference, (0.2, 4.0)).recall == pytest.approx(1 / 3)


def test_nothing_generated() -> None:
    found = coverage((np.zeros((0, 1)), np.zeros((0, 1))), (points(0), points(0)), (0.2, 4.0), n_generated=3)
    assert (found.recall, found.precision) == (0, 0)


def test_published_cutoffs() -> None:
    assert CUTOFFS == {"perov_5": (0.2, 4.0), "carbon_24": (0.2, 4.0), "mp_20": (0.4, 10.0)}

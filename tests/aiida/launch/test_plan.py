"""The plan before the work."""

from __future__ import annotations

from aiida_icsg3d.launch.plan import Plan, Step

SAMPLE = Step("sample 64 samples", "SampleCalculation", 1, "cluster", (10.0, 12.0, 50.0))
RELAX = Step("relax the best", "PwRelaxWorkChain", 3, "cluster", (100.0,), at_once=2)


def test_time_is_the_median_of_earlier_ones_and_rounds_of_what_runs_side_by_side() -> None:
    plan = Plan((SAMPLE, RELAX), "crystals")
    assert plan.planned == {"SampleCalculation": 1, "PwRelaxWorkChain": 3}
    assert plan.expected == {"SampleCalculation": 12.0, "PwRelaxWorkChain": 200.0}
    assert "about 12 s (by 3 earlier)" in plan.text
    assert "about 3 min 20 s (by one earlier)" in plan.text
    assert "about 3 min 32 s in all" in plan.text
    assert plan.text.splitlines()[-1] == "stored: crystals"


def test_no_time_without_an_earlier_run() -> None:
    plan = Plan((SAMPLE, Step("screen", "ScreenCalculation", 1, "cluster")), "crystals")
    assert plan.expected["ScreenCalculation"] is None
    assert "no earlier run" in plan.text
    assert "cannot be told" in plan.text
    assert "in all, and" not in plan.text


def test_jobs_of_one_kind_are_summed_where_all_are_known() -> None:
    trainings = [Step(f"train {name}", "TrainCalculation", 1, "here", times) for name, times in
                 (("unet", (60.0,)), ("vae", ()), ("prior", (30.0,)))]  # fmt: skip
    assert Plan(tuple(trainings), "").expected == {"TrainCalculation": None}
    assert Plan((trainings[0], trainings[2]), "").expected == {"TrainCalculation": 90.0}
    assert Plan(tuple(trainings), "").planned == {"TrainCalculation": 3}

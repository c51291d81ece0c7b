"""Typed settings of every stage: the one contract between AiiDA, the command line and the stages.

No torch, no aiida. Unknown keys raise, so that a typo does not cost a night on a GPU. Paths are relative
to the directory the stage runs in; their defaults are the names a CalcJob links its inputs under.
"""

from __future__ import annotations

from .base import StageSettings
from .chain.chain import ChainSettings
from .conditions import ConditionSettings
from .evaluate import EvaluateSettings
from .predict import PredictSettings
from .prepare import PrepareSettings, Split
from .rebuild import RebuildSettings
from .relax import RelaxSettings
from .sample import SampleSettings
from .screen import ScreenSettings
from .segment import SegmentSettings
from .train import Optimiser, TrainSettings

__all__ = [
    "STAGES", "ChainSettings", "ConditionSettings", "EvaluateSettings", "Optimiser", "PredictSettings",
    "PrepareSettings", "RebuildSettings", "RelaxSettings", "SampleSettings", "ScreenSettings", "SegmentSettings",
    "Split", "StageSettings", "TrainSettings",
]  # fmt: skip

STAGES: dict[str, type[StageSettings]] = {
    "prepare": PrepareSettings,
    "train": TrainSettings,
    "sample": SampleSettings,
    "segment": SegmentSettings,
    "rebuild": RebuildSettings,
    "predict": PredictSettings,
    "relax": RelaxSettings,
    "screen": ScreenSettings,
    "chain": ChainSettings,
    "evaluate": EvaluateSettings,
}

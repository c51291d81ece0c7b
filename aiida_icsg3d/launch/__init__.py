"""From what a person asks for to a run: the request and its check, the plan, the builder, the start."""

from .generation import Generation
from .plan import Plan, plan_generation, plan_training
from .readiness import NotReadyError, check_ready
from .start import hand_over, run_here
from .training import Training

__all__ = (
    "Generation",
    "NotReadyError",
    "Plan",
    "Training",
    "check_ready",
    "hand_over",
    "plan_generation",
    "plan_training",
    "run_here",
)

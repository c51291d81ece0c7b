"""What can be asked of a crystal: one list, over which everything loops."""

from __future__ import annotations

from .asking import completed, contradiction, fulfilled, in_words, unfulfilled
from .condition import Condition, Known
from .listed import BY_NAME, CONDITIONS

__all__ = ["BY_NAME", "CONDITIONS", "Condition", "Known", "completed", "contradiction", "fulfilled", "in_words",
           "unfulfilled"]  # fmt: skip

"""What can be asked of a crystal: one list, over which everything loops."""

from __future__ import annotations

from .asking import completed, contradiction, fulfilled, in_words, not_taken, unfulfilled
from .condition import Condition, Encoding, Known
from .listed import BY_NAME, CONDITIONS, OF_SPACE, encoding_of

__all__ = [
    "BY_NAME", "CONDITIONS", "OF_SPACE", "Condition", "Encoding", "Known", "completed", "contradiction", "encoding_of",
    "fulfilled", "in_words", "not_taken", "unfulfilled",
]  # fmt: skip

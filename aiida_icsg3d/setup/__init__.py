"""Set a machine up and find codes, with errors that name the command that mends them."""

from .codes import CodeError, find_code
from .localhost import prepare_code, prepare_localhost
from .models import ModelsError, collect_models, find_reference, known_elements, predicted_elements, samples_around_base

__all__ = (
    "CodeError",
    "ModelsError",
    "collect_models",
    "find_code",
    "find_reference",
    "known_elements",
    "predicted_elements",
    "prepare_code",
    "prepare_localhost",
    "samples_around_base",
)

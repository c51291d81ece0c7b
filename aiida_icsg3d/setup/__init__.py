"""Set a machine up and find codes, with errors that name the command that mends them."""

from .codes import CodeError, find_code
from .localhost import prepare_code, prepare_localhost

__all__ = ("CodeError", "find_code", "prepare_code", "prepare_localhost")

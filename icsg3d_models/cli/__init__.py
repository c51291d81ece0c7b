"""``icsg3d STAGE``: run one stage in the current directory."""

from ..endings import classify
from .main import main
from .settings_file import read_settings

__all__ = ["classify", "main", "read_settings"]

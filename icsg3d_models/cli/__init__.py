"""``icsg3d STAGE``: run one stage in the current directory."""

from .main import classify, main
from .settings_file import read_settings

__all__ = ["classify", "main", "read_settings"]

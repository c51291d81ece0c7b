"""``python -m icsg3d_models.cli`` is ``icsg3d``."""

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())

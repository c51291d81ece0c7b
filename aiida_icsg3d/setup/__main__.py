"""``python -m aiida_icsg3d.setup``: what ``aiida-icsg3d setup`` does for this machine."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aiida import load_profile

from .localhost import set_up_localhost


def main(arguments: list[str] | None = None) -> int:
    """Set up what is missing and say what there is."""
    parser = argparse.ArgumentParser(prog="python -m aiida_icsg3d.setup", description=__doc__)
    parser.add_argument("--profile", help="AiiDA profile; default: the default profile")
    parser.add_argument("--pw", type=Path, help="path of pw.x; default: that on the PATH")
    parser.add_argument("--icsg3d", type=Path, help="path of icsg3d; default: that beside this Python")
    parser.add_argument("--workdir", type=Path, help="where jobs run")
    parser.add_argument("--pseudo-family", help="label of an installed family; default: found, downloaded or made")
    options = parser.parse_args(arguments)
    load_profile(options.profile)
    try:
        set_up_localhost(options.pw, options.icsg3d, options.workdir, options.pseudo_family)
    except ValueError as exception:
        print(exception, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

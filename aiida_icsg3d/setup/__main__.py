"""``python -m aiida_icsg3d.setup``: localhost, its two codes and a pseudopotential family in a profile."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aiida import load_profile

from ..dft.pseudos import FamilyError, choose_family
from .localhost import prepare_code, prepare_localhost


def main(arguments: list[str] | None = None) -> int:
    """Set up what is missing and say what there is."""
    parser = argparse.ArgumentParser(prog="python -m aiida_icsg3d.setup", description=__doc__)
    parser.add_argument("--profile", help="AiiDA profile; default: the default profile")
    parser.add_argument("--pw", type=Path, required=True, help="absolute path of pw.x")
    parser.add_argument("--icsg3d", type=Path, default=Path(sys.executable).with_name("icsg3d"),
                        help="absolute path of icsg3d (%(default)s)")  # fmt: skip
    parser.add_argument("--workdir", type=Path, help="where jobs run")
    parser.add_argument("--pseudo-family", help="label of an installed family; default: found, downloaded or made")
    options = parser.parse_args(arguments)
    load_profile(options.profile)
    computer = prepare_localhost(workdir=options.workdir)
    for label, plugin, path in (("icsg3d", None, options.icsg3d), ("pw", "quantumespresso.pw", options.pw)):
        if not path.is_file():
            print(f"{path}: no such program", file=sys.stderr)
            return 1
        code = prepare_code(computer, label, plugin, path)
        print(f"code {code.full_label}: {path}")
    try:
        family = choose_family(options.pseudo_family, say=print)
    except FamilyError as exception:
        print(exception, file=sys.stderr)
        return 1
    print(f"pseudopotentials {family.label}: {', '.join(sorted(family.elements))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

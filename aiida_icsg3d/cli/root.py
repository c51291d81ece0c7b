"""The command `aiida-icsg3d`; everything heavy is imported when a subcommand runs."""

from __future__ import annotations

import click
from aiida.cmdline.groups.verdi import VerdiCommandGroup
from aiida.cmdline.params import options, types


@click.group("aiida-icsg3d", cls=VerdiCommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@options.PROFILE(type=types.ProfileParamType(load_profile=True), expose_value=False)
@click.version_option(package_name="aiida-icsg3d")
def cmd_root() -> None:
    """Look at generated crystals, at where they come from and at what DFT says of them."""


from . import candidates, datasets, models, report  # noqa: E402, F401  (they attach themselves to the root)

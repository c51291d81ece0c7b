"""The command `aiida-icsg3d`, which is `verdi data icsg3d` too: one tree, and the one table of its commands."""

from __future__ import annotations

import click
from aiida.cmdline.params import options, types
from aiida.cmdline.utils.defaults import get_default_profile

from .lazy import Entry, LazyGroup

COMMANDS = {
    "setup": Entry(".commands.setup:cmd_setup", "Make computers and codes: of this machine, or of a cluster."),
    "doctor": Entry(".commands.doctor:cmd_doctor", "Check everything that a run needs, and say what to do."),
    "generate": Entry(".commands.generate:cmd_generate", "Generate crystals, screen them, relax the best with DFT."),
    "predict": Entry(".commands.predict:cmd_predict", "Predict the crystal structures of a composition."),
    "campaign": Entry(".commands.campaign:cmd_campaign", "Run rounds of generation, DFT and learning."),
    "references": Entry(".commands.references:cmd_references", "Compute what verdicts compare with, once a setting."),
    "import": Entry(".commands.data_import:cmd_import", "Store a dataset of crystals from any source."),
    "train": Entry(".commands.train:cmd_train", "Train your own models."),
    "status": Entry(".commands.status:cmd_status", "Show runs: state, stage, progress, what failed and why."),
    "report": Entry(".commands.report:cmd_report", "Write the report of a run into a folder."),
    "archive": Entry(".commands.archive:cmd_archive", "Write the archive that a paper needs; say its size first."),
    "candidates": Entry(".commands.candidates:cmd_candidates", "Ask for candidates, their history and what failed."),
    "data": Entry(".commands.data:cmd_data", "List, show and import datasets of crystals."),
    "models": Entry(".commands.models:cmd_models", "List, show and import trained models."),
}
FORMER = {"datasets": "data", "dataset": "data", "model": "models"}


def profile_to_load() -> str | None:
    """Return the name of the default profile, None where `verdi -p` or a script has loaded one already."""
    from aiida.manage import get_manager

    return None if get_manager().get_profile() is not None else get_default_profile()


@click.group(
    "aiida-icsg3d",
    cls=LazyGroup,
    table=COMMANDS,
    former=FORMER,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@options.PROFILE(type=types.ProfileParamType(load_profile=True), default=profile_to_load, expose_value=False)
@click.version_option(package_name="aiida-icsg3d")
def cmd_root() -> None:
    """Generate crystals, screen them, relax the best with DFT, and walk back from each to where it comes from.

    In the order of a first time: setup, doctor, generate, report.
    """

"""Options of the commands that start runs, shared with the examples; aiida-core's own types where it has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import click
from aiida.cmdline.params import types
from aiida.cmdline.params.options.multivalue import MultipleValueOption
from aiida.cmdline.utils import decorators
from click.shell_completion import CompletionItem

from icsg3d_models.conditions import CONDITIONS

PROTOCOLS = ("fast", "balanced", "stringent")
STAGES = ("sample", "segment", "rebuild", "screen", "prerelax")
CODE_STAGES = (*STAGES, "relax")
NETWORKS = ("unet", "vae", "prior", "cgcnn")
ENGINES = ("quantum_espresso", "potential")
SPIN_TYPES = ("auto", "none", "collinear")
ELECTRONIC_TYPES = ("metal", "insulator")
FILE = click.Path(path_type=Path)

Decorated = Callable[..., Any]


class CodeLabel(types.CodeParamType):
    """A code by label, PK or UUID, completed as aiida-core does it; looked up later, with the command that makes it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return what was written."""
        return str(value)

    @decorators.with_dbenv()
    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the codes whose label begins so, with their computers, since several may have one label."""
        found = self.orm_class_loader.get_options(incomplete.partition("@")[0])
        labels = sorted(code.full_label for (code,) in found if not code.is_hidden)
        return [CompletionItem(label) for label in labels if label.startswith(incomplete)]


class GroupLabel(types.GroupParamType):
    """A group by label, completed as aiida-core does it; made later, where there is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return what was written."""
        return str(value)


def several(*names: str, type: Any = str, **settings: Any) -> Callable[[Decorated], Decorated]:
    """Return an option that takes all words up to the next option, and may be given again."""
    return click.option(*names, type=type, cls=MultipleValueOption, **settings)


def condition_options(command: Decorated) -> Decorated:
    """Add an option for every condition that can be asked of a crystal, apart from its elements."""
    for condition in reversed(CONDITIONS):
        if condition.name == "elements":
            continue
        base = get_args(condition.type)[0] if get_origin(condition.type) is Annotated else condition.type
        kind: Any = click.Choice(condition.choices) if condition.choices else base if base in (int, float) else str
        flag = f"--{condition.name.replace('_', '-')}"
        metavar = None if condition.choices else condition.metavar
        text = plain(condition.help).partition("; null:")[0].rstrip(".") + "."
        command = click.option(flag, condition.name, type=kind, metavar=metavar, help=text)(command)
    return command


def pairs(option: str, given: Sequence[str], example: str) -> dict[str, str]:
    """Return NAME=VALUE words as a dictionary.

    :raises ValueError: one is written otherwise, or a name is there twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise ValueError(
                f"{option} {text}: write NAME={'UNIT' if 'unit' in option else 'COLUMN'}, for example {example}"
            )
        if name in found:
            raise ValueError(f"{option} {name} is given twice")
        found[name] = value
    return found


def plain(text: str | None) -> str:
    """Return a docstring as one line without back-quotes."""
    return " ".join((text or "").replace("`", "").split())


def apply(command: Decorated, added: list[Callable[[Decorated], Decorated]]) -> Decorated:
    """Return a command with options, shown in the order of the list."""
    for option in reversed(added):
        command = option(command)
    return command


def running_options(command: Decorated) -> Decorated:
    """Add the options of how a run is started."""
    return apply(command, [
        click.option("--options", type=FILE, metavar="FILE",
                     help="YAML: icsg3d, a stage or pw -> AiiDA's metadata.options (queue, account, resources)."),
        click.option("-G", "--group", type=GroupLabel(), metavar="LABEL",
                     help="Put the run into this group, made where there is none."),
        click.option("--submit", is_flag=True, help="Hand everything to the daemon and return at once."),
        click.option("--dry-run", is_flag=True, help="Show the plan and end; nothing is stored."),
    ])  # fmt: skip


def method_options(command: Decorated) -> Decorated:
    """Add the options of how energies are computed."""
    return apply(command, [
        click.option("--engine", type=click.Choice(ENGINES),
                     help="What relaxes: pw.x, or a machine-learned potential (one job for all, no DFT)."),
        click.option("--spin", type=click.Choice(SPIN_TYPES),
                     help="auto: spin-polarised where an element carries a moment, the lower of a ferromagnetic and an "
                     "antiferromagnetic start kept; collinear: spin-polarised all; none; otherwise the protocol's."),
        click.option("--electronic-type", type=click.Choice(ELECTRONIC_TYPES),
                     help="metal: smeared occupations, which do for insulators too; insulator: fixed ones."),
        several("--hubbard", metavar="X-nl=U...", help="On-site U in eV, as in Fe-3d=5.3 O-2p=4; pw.x 7.1 or later."),
        click.option("--overrides", type=FILE, metavar="FILE",
                     help="YAML with keys of the protocol discover; below validation those of the DFT, as in "
                     "validation: {relax: {base_relax: {kpoints_distance: 0.2}}}."),
    ])  # fmt: skip


def generation_options(command: Decorated) -> Decorated:
    """Add all options of a discovery run."""
    return apply(command, [
        several("--elements", metavar="X...",
                help="Chemical space, cut to what the models and the pseudopotential family have; otherwise the "
                "elements of --composition or --base, or Pb Ti Mg Al O."),
        click.option("--n-samples", type=int, default=64, show_default=True, help="How many samples to draw."),
        click.option("--n-relaxations", type=int, default=2, show_default=True,
                     help="How many of the best candidates to relax; 0: no DFT."),
        click.option("--phonons", "n_phonons", type=int, metavar="N",
                     help="Of how many of them, the lowest above the hull first, pw.x computes phonons; otherwise 0."),
        click.option("--seed", type=int, default=0, show_default=True, help="Seed of all random numbers."),
        several("--models", metavar="MODEL...", default=("perov5",), show_default="perov5",
                help="A pretrained set; or the PK of a training run; or PKs or paths of vae, unet, prior and cgcnn."),
        several("--base", metavar="FILE...", type=FILE, help="Sample around these crystals (CIF, POSCAR, ...)."),
        click.option("--spread", type=float, metavar="SD",
                     help="With --base: width, in standard deviations of the latents of the training crystals."),
        click.option("--interpolate", is_flag=True, help="With two files of --base: on the line between them."),
        click.option("--guidance", type=float, metavar="G",
                     help="Strength of what is aimed at; 1 follows the models, 2 is stricter and less varied."),
        click.option("--reference", metavar="PK",
                     help="Dataset that novelty is judged against; otherwise what the models were trained on."),
        click.option("--target", "targets", type=(str, float), multiple=True, metavar="PROPERTY VALUE",
                     help="Property to aim at; the prior must have been trained with it. May be repeated."),
        click.option("--aim/--no-aim", default=True, show_default=True,
                     help="Without --target: aim at stability where the models can; a quarter of the samples do not."),
        click.option("--prerelax/--no-prerelax", default=None,
                     help="Relax the candidates with a machine-learned potential before the DFT; otherwise as the "
                     "protocol says, where a potential is installed."),
        click.option("--one-job/--no-one-job", default=None,
                     help="Sample, segment, rebuild and screen in one job, which waits in the queue once; otherwise as "
                     "the protocol says."),
        condition_options,
        click.option("--code", type=CodeLabel(), default="icsg3d@localhost", show_default=True,
                     help="Code of icsg3d."),
        *(click.option(f"--code-{stage}", type=CodeLabel(), metavar="CODE",
                       help=f"Another code for the stage {stage}"
                       + (", which the engine potential runs." if stage == "relax" else ".")) for stage in CODE_STAGES),
        click.option("--pw-code", type=CodeLabel(), default="pw@localhost", show_default=True, help="Code of pw.x."),
        click.option("--protocol", type=click.Choice(PROTOCOLS), default="fast", show_default=True,
                     help="Cost and precision."),
        click.option("--pseudo-family", metavar="LABEL",
                     help="Pseudopotential family; otherwise SSSP or PseudoDojo where installed, SSSP where it can be "
                     "downloaded, else the LDA files of Debian's quantum-espresso-data."),
        method_options,
        click.option("--output", type=FILE, metavar="FOLDER",
                     help="Where the report goes; otherwise results/PK."),
        running_options,
    ])  # fmt: skip


def training_options(command: Decorated) -> Decorated:
    """Add all options of a training."""
    return apply(command, [
        click.option("--source", type=FILE,
                     help="A CIF, POSCAR, JSON, extxyz, a table with a column of CIFs, a folder or .zip of crystals."),
        click.option("--dataset", metavar="PK", help="A dataset of this profile, in place of --source."),
        click.option("--property", "properties", multiple=True, metavar="NAME=COLUMN",
                     help="Property of the dataset and the column or key of the source that holds it; may be given "
                     "several times."),
        click.option("--unit", "units", multiple=True, metavar="NAME=UNIT", help="Unit of a property."),
        click.option("--cif-column", default="cif", show_default=True, help="Column of the CIFs in a CSV."),
        click.option("--id-column", default="material_id", show_default=True,
                     help="Column or key that names a crystal."),
        click.option("--name", help="Name of the dataset, kept in the model cards; otherwise after the source."),
        click.option("--start-from", metavar="SET",
                     help="Shipped set (wide, general, perov5) or PK of a training run: U-Net and VAE are kept, the "
                     "prior learns on. For few crystals; minutes in place of hours."),
        click.option("--target", "targets", multiple=True, metavar="NAME",
                     help="Property that the CGCNN predicts; otherwise all."),
        click.option("--condition", "conditions", multiple=True, metavar="NAME",
                     help="Property that the prior can aim at; otherwise none."),
        click.option("--protocol", type=click.Choice(PROTOCOLS), default="fast", show_default=True,
                     help="How long to train."),
        *(click.option(f"--epochs-{network}", type=click.IntRange(min=1), metavar="N",
                       help=f"Epochs of the {network}; otherwise the protocol's.") for network in NETWORKS),
        click.option("--seed", type=int, default=0, show_default=True, help="Seed of all random numbers."),
        click.option("--code", type=CodeLabel(), default="icsg3d@localhost", show_default=True,
                     help="Code of icsg3d."),
        running_options,
    ])  # fmt: skip

"""`aiida-icsg3d import`, which is `aiida-icsg3d data import` too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from aiida.cmdline.params import types

from ..errors import in_one_sentence, needs_profile
from ..options import pairs, several


@click.command("import")
@click.argument("source", required=False)
@click.option("-g", "--group", type=types.GroupParamType(), help="Structures of a group, in place of SOURCE.")
@several("--structures", metavar="PK...", help="Structures by PK or UUID, in place of SOURCE.")
@click.option("--property", "properties", multiple=True, metavar="NAME=COLUMN",
              help="Property, and the column or key of the source that holds it. May be repeated.")  # fmt: skip
@click.option("--unit", "units", multiple=True, metavar="NAME=UNIT", help="Unit of a property. May be repeated.")
@click.option("--required", multiple=True, metavar="NAME", help="Leave out crystals without this property.")
@click.option("--filter", default="", metavar="TEXT", help="OPTIMADE: such as 'elements HAS \"Ti\" AND nsites<=20'.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="OPTIMADE: at most so many structures.")
@click.option("--cif-column", default="cif", show_default=True, help="Column of the CIFs in a table.")
@click.option("--id-column", default="material_id", show_default=True, help="Column or key that names a crystal.")
@click.option("--split", nargs=3, type=float, default=(0.9, 0.05, 0.05), show_default=True, metavar="SHARES",
              help="Shares of training, validation and test.")  # fmt: skip
@click.option("--split-by", type=click.Choice(["composition", "crystal"]), default="composition", show_default=True,
              help="What goes to one part as a whole.")  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the split.")
@click.option("--name", default=None, help="Name of the data, kept in model cards; otherwise after the source.")
@click.option("--citation", default="", help="What to cite for the data.")
@click.option("-l", "--label", default="", help="Label of the node.")
@click.pass_context
@needs_profile
def cmd_import(ctx: click.Context, source: str | None, label: str, **given: Any) -> None:
    """Store a dataset of crystals; one that is there already is reused.

    SOURCE is a file, a folder or a URL: CIF, .mcif, POSCAR, JSON of pymatgen, extxyz, a database of ASE, a table with a
    column of CIFs, a folder or .zip of crystals with their properties in properties.csv, each also compressed; the
    base URL of an OPTIMADE provider; or a dataset that `icsg3d prepare` wrote (.h5).

    Ends with a summary: read, used, rejected by reason, elements, sizes, duplicates, a histogram of each property.
    """
    from aiida.cmdline.utils import echo

    with in_one_sentence():
        node = _imported(ctx, source, given)
    if label:
        node.label = label
    echo.echo_success(f"dataset of {node.n_crystals} crystals, PK {node.pk}, hash {node.content_hash[:12]}")


def _imported(ctx: click.Context, source: str | None, given: dict[str, Any]) -> Any:
    """Return the stored dataset.

    :raises ValueError: no source, several, or one that cannot be used.
    """
    from aiida.orm import load_node
    from pydantic import ValidationError

    from icsg3d_models.settings import PrepareSettings, Split

    from ...data import CrystalDatasetData
    from ...data.importing import import_source, import_structures

    group, structures = given.pop("group"), given.pop("structures")
    if sum(bool(one) for one in (source, group, structures)) != 1:
        raise ValueError("give one of SOURCE, --group and --structures")
    if source is not None and source.endswith(".h5"):
        default = click.core.ParameterSource.DEFAULT
        names = [name for name in given if ctx.get_parameter_source(name) != default]
        if names:
            raise ValueError(f"{source} is a dataset already; {', '.join(names)} cannot change it")
        return CrystalDatasetData.get_or_create(Path(source))
    train, validation, test = given.pop("split")
    name = given.pop("name") or (Path(source).name.split(".")[0] if source else group.label if group else "structures")
    said = source or (f"group {group.label}" if group else f"structures {' '.join(structures)}")
    try:
        split = Split(train=train, validation=validation, test=test, by=given.pop("split_by"))
        settings = PrepareSettings(
            source=said,
            name=name,
            split=split,
            properties=pairs("--property", given.pop("properties"), "formation_energy_per_atom=heat_all"),
            units=pairs("--unit", given.pop("units"), "formation_energy_per_atom=eV/atom"),
            required=list(given.pop("required")),
            **given,
        )
    except ValidationError as exception:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in exception.errors())
        raise ValueError(problems) from None
    if source is not None:
        return import_source(settings)
    if settings.filter or settings.limit:
        raise ValueError("--filter and --limit are for OPTIMADE providers")
    return import_structures(group.nodes if group else map(load_node, structures), settings)

"""The parser of ``icsg3d``: every setting of a stage is an option."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .. import __version__
from ..settings import STAGES, StageSettings
from ..settings.base import NetworkOptions
from ..settings.network_options import KINDS, SYSTEM_KINDS
from ..settings.problems import nearest
from .probe import Probe
from .value_words import bare, bound_words, is_model, many, type_words

Places = dict[str, list[tuple[str, FieldInfo]]]
"""Dotted name of a setting -> (whose it is, the setting); several networks may have an option of one name."""


def settings_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str, FieldInfo]]:
    """Yield (dotted name, whose, setting) of a stage, groups before what is in them."""
    for name, field in model.model_fields.items():
        yield prefix + name, "", field
        if bare(field.annotation) is NetworkOptions:
            for network, kinds in KINDS.items():
                for whose, kind in zip((network, f"local {network}"), kinds, strict=False):
                    for option, inner in kind.model_fields.items():
                        yield f"{prefix}{name}.{option}", whose, inner
            for preset, networks in SYSTEM_KINDS.items():
                for network, kind in networks.items():
                    for option, inner in kind.model_fields.items():
                        yield f"{prefix}{name}.{option}", f"{preset} {network}", inner
        elif field.annotation is not None and is_model(field.annotation):
            yield from settings_of(bare(field.annotation), f"{prefix}{name}.")


def places_of(stage: str) -> Places:
    """Return all settings of a stage by their dotted name."""
    places: Places = {}
    for name, whose, field in settings_of(STAGES[stage]):
        known = places.setdefault(name, [])
        if not any(repr(field) == repr(other) for _, other in known):  # the weights of the loss of either VAE
            known.append((whose, field))
    return places


def help_of(places: list[tuple[str, FieldInfo]]) -> str:
    """Return what a setting means, its bounds and its default, for each of those whose it is."""
    texts: list[str] = []
    for whose, field in places:
        bounds = bound_words(field)
        note = f"{bounds}; {default_words(field)}" if bounds else default_words(field)
        text = " ".join((field.description or "").split())
        texts.append(f"{f'{whose}: ' if whose else ''}{text}{' ' if text else ''}({note})")
    return " ".join(texts).replace("%", "%%")


def default_words(field: FieldInfo) -> str:
    """Return the default of a setting as it would stand in the file."""
    if field.is_required():
        return "required"
    if is_model(field.annotation):
        return "by its parts below"
    return json.dumps(field.get_default(call_default_factory=False))


class StageParser(argparse.ArgumentParser):
    """Refuses what it does not know with the names that come close."""

    def refuse(self, unknown: list[str], names: list[str]) -> NoReturn:
        """End the program because of arguments that are not known."""
        first = next((word for word in unknown if word.startswith("--")), unknown[0])
        if not first.startswith("--"):
            self.error(f"unexpected argument {first!r}; name the settings file first, then --SETTING VALUE")
        name = plain(first[2:].partition("=")[0])
        same_end = [full for full in names if full.rpartition(".")[2] == name.rpartition(".")[2]]
        hint = f"; did you mean {' or '.join(same_end)}?" if same_end else nearest(name, names)
        for near in (" mean ", " or "):
            hint = hint.replace(near, f"{near}--")
        self.error(f"there is no setting {first.partition('=')[0]}{hint}")


def plain(name: str) -> str:
    """Return the name of a setting for an option written with hyphens."""
    return name.replace("-", "_")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the ``icsg3d`` command."""
    parser = argparse.ArgumentParser(
        prog="icsg3d",
        description="Crystals as voxel fields: prepare data, train, sample, segment, rebuild, predict, relax, screen, "
        "evaluate.",
        epilog="Every stage runs in the current directory, takes its settings from a JSON file, from options, or from "
        "both, and leaves results.json (status, counts, versions) and progress.jsonl. `icsg3d STAGE --help` lists the "
        "settings; `icsg3d STAGE --print-settings` writes a file with all of them.",
    )
    parser.add_argument("--version", action="version", version=f"icsg3d {__version__}")
    parser.add_argument("--probe", action=Probe, help="print as JSON what is installed and the device, and end")
    stages = parser.add_subparsers(dest="stage", required=True, metavar="STAGE", parser_class=StageParser)
    for name, settings in STAGES.items():
        add_stage(stages, name, settings)
    return parser


def add_stage(stages: Any, name: str, settings: type[StageSettings]) -> None:
    """Add the parser of one stage; its options are added when they are needed."""
    doc = (settings.__doc__ or "").strip()
    stages.add_parser(
        name,
        help=doc.splitlines()[0],
        description=doc,
        usage=f"icsg3d {name} [settings.json] [--SETTING VALUE ...] [--print-settings]",
        epilog="Lists are given word by word, mappings as NAME=VALUE, either also as JSON; null asks for nothing. "
        "Options stand above the file.",
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=30, width=110),
        allow_abbrev=False,
    )


def add_settings(parser: argparse.ArgumentParser, stage: str) -> Places:
    """Add the settings of a stage to its parser, and return them."""
    places = places_of(stage)
    parser.add_argument("settings", type=Path, nargs="?", help="JSON file with settings; may be left out where options "
                        "give all that is required")  # fmt: skip
    parser.add_argument("--print-settings", action="store_true", help="print all settings as JSON, and end")
    groups: dict[str, Any] = {}
    for name, owners in places.items():
        group = name.rpartition(".")[0]
        if group not in groups:
            groups[group] = parser.add_argument_group(f"settings, {group}" if group else "settings")
        annotations = [field.annotation for _, field in owners]
        groups[group].add_argument(
            f"--{name}",
            dest=name,
            nargs="+" if any(map(many, annotations)) else 1,
            metavar="|".join(dict.fromkeys(type_words(annotation) for annotation in annotations)),
            help=help_of(owners),
        )
    return places


def parse(arguments: list[str]) -> tuple[argparse.Namespace, Places, dict[str, list[str]]]:
    """Return the command, the settings of its stage, and the words given for some of them."""
    parser = build_parser()
    found = next((word for word in arguments if not word.startswith("-")), None)
    if found not in STAGES:
        parser.parse_args(arguments[:1] or [])  # help, version, or an error
        raise SystemExit(2)
    stages = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    stage: StageParser = stages.choices[found]
    places = add_settings(stage, found)
    options, unknown = parser.parse_known_args([spelt(word, places) for word in arguments])
    if unknown:
        stage.refuse(unknown, list(places))
    return options, places, {name: words for name in places if (words := getattr(options, name)) is not None}


def spelt(word: str, places: Places) -> str:
    """Return an option as it is known, where it is written with hyphens."""
    name, sign, value = word.partition("=")
    return f"--{plain(name[2:])}{sign}{value}" if name.startswith("--") and plain(name[2:]) in places else word

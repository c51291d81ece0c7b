"""Settings of a stage from a JSON file and from options, checked once, and written with all defaults."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..results import StageError
from ..settings import STAGES, StageSettings
from ..settings.network_options import KINDS
from ..settings.problems import describe_problems
from ..settings.seeds.presets import PresetSettings, with_preset
from .arguments import Places
from .value_words import is_model, read_value


def read_file(stage: str, path: Path) -> dict[str, Any]:
    """Return the content of a settings file.

    :raises StageError: the file is missing, no JSON, or no object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StageError("input_missing", f"{path}: no such file; see `icsg3d {stage} --help`") from None
    except ValueError as exception:
        raise StageError("settings_rejected", f"{path}: not valid JSON ({exception})") from None
    if not isinstance(content, dict):
        raise StageError(
            "settings_rejected", f"{path}: an object of settings is needed, found {json.dumps(content)[:80]}"
        )
    return content


def with_options(content: dict[str, Any], places: Places, given: dict[str, list[str]]) -> dict[str, Any]:
    """Return settings with options above them.

    :param given: dotted name -> words of the command line.
    :raises StageError: words that cannot be read as what the setting accepts.
    """
    content = json.loads(json.dumps(content))
    for name in sorted(given, key=lambda name: name.count(".")):  # a group before its parts
        *groups, last = name.split(".")
        inner = content
        for group in groups:
            if not isinstance(inner.setdefault(group, {}), dict):
                raise StageError("settings_rejected", f"--{name}: `{group}` is {json.dumps(inner[group])}, not a group")
            inner = inner[group]
        # of several networks with an option of that name, the chosen one's
        owners, chosen = places[name], content.get("network")
        field = next((field for whose, field in owners if whose.rpartition(" ")[2] == chosen), owners[0][1])
        try:
            inner[last] = read_value(field.annotation, given[name])
        except ValueError as exception:
            raise StageError("settings_rejected", f"--{name}: {exception}") from None
    return content


def validated(stage: str, content: Any, source: str) -> StageSettings:
    """Return the settings of a stage.

    :param source: where they come from, for the message.
    :raises StageError: unknown or unacceptable values.
    """
    try:
        return STAGES[stage].model_validate(content)
    except ValidationError as exception:
        problems = describe_problems(exception, STAGES[stage])
        raise StageError("settings_rejected", f"{source}: {problems}") from None


def read_settings(stage: str, path: Path) -> StageSettings:
    """Return the validated settings of a file.

    :raises StageError: the file is missing, no JSON, or has unknown or unacceptable values.
    """
    return validated(stage, read_file(stage, path), str(path))


def all_settings(stage: str, content: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return settings with all defaults, null where one is required and not given, and the names of these.

    :raises StageError: unknown or unacceptable values.
    """
    model = STAGES[stage]
    if issubclass(model, PresetSettings):
        try:
            content = with_preset(stage, content)
        except ValueError as exception:
            raise StageError("settings_rejected", str(exception)) from None
    missing = [name for name, field in model.model_fields.items() if field.is_required() and name not in content]
    if missing:
        try:
            model.model_validate(content)
        except ValidationError as exception:
            wrong = [error for error in exception.errors() if error["loc"][0] not in (*missing, "options")]
            if wrong:
                raise StageError("settings_rejected", describe_problems(exception, model)) from None
        return {**dict.fromkeys(missing), **defaults(model), **content}, missing
    settings = validated(stage, content, "options")
    found = settings.model_dump(mode="json")
    network = content.get("network")
    if network is not None and len(KINDS[network]) > 1:
        # which kind it is, the network before it decides: defaults of the wrong one would be refused
        found["options"] = settings.model_dump(mode="json", include={"options"}, exclude_unset=True).get("options", {})
    return found, []


def defaults(model: type[BaseModel]) -> dict[str, Any]:
    """Return the settings that have a default which depends on no other setting."""
    found = {}
    for name, field in model.model_fields.items():
        if field.is_required():
            continue
        if field.default_factory is not None:
            found[name] = {} if is_model(field.annotation) else field.get_default(call_default_factory=True)
        else:
            found[name] = field.default
    plain: dict[str, Any] = json.loads(json.dumps(found, default=lambda value: value.model_dump(mode="json")))
    return plain

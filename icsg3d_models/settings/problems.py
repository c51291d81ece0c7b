"""What is wrong with settings, in words: what was received, what is accepted."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable

from pydantic import BaseModel, ValidationError


def describe_problems(exception: ValidationError, model: type[BaseModel], leave_out: Iterable[str] = ()) -> str:
    """Return every problem of an input, and the keys that are accepted.

    :param leave_out: keys that the user is not to give.
    """
    problems = []
    for error in exception.errors():
        place = ".".join(map(str, error["loc"])) or "settings"
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            names = [name for name in keys_at(model, error["loc"][:-1]) if name not in leave_out]
            message = "there is no such setting" + nearest(str(error["loc"][-1]), names)
        received = "" if error["type"] == "missing" else f" (received {json.dumps(error['input'], default=str)[:80]})"
        problems.append(f"{place}: {message}{received}")
    accepted = ", ".join(name for name in model.model_fields if name not in leave_out)
    return f"{'; '.join(problems)}. Accepted keys: {accepted}"


def keys_at(model: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """Return the keys of the model found below ``model`` at a place, none where there is no model."""
    found: type[BaseModel] | None = model
    for part in place:
        annotation = found.model_fields[part].annotation if found and part in found.model_fields else None
        found = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    return list(found.model_fields) if found else []


def nearest(name: str, names: Iterable[str]) -> str:
    """Return a hint at the names that come close to one that is not known; empty where none does."""
    close = difflib.get_close_matches(name, list(names), n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(close)}?" if close else ""

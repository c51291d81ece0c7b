"""What a setting accepts, in words for the help, and how its value is read from the command line."""

from __future__ import annotations

import json
import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt, MinLen, MultipleOf
from pydantic import BaseModel
from pydantic.fields import FieldInfo

LARGEST = 10**9
"""Bounds above it are those of the machine, of no interest to anyone."""
SCALARS = {int: "INT", float: "NUMBER", bool: "true|false", str: "TEXT"}


def alternatives(annotation: Any) -> list[Any]:
    """Return the types of a union, each still with its bounds; a type on its own is the only one."""
    if get_origin(annotation) is Annotated:
        inner, *bounds = get_args(annotation)
        return [Annotated[kind, *bounds] for kind in alternatives(inner)]
    if get_origin(annotation) in (Union, types.UnionType):
        return [kind for part in get_args(annotation) for kind in alternatives(part)]
    return [annotation]


def bare(annotation: Any) -> Any:
    """Return a type without its bounds."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def is_model(annotation: Any) -> bool:
    """Tell whether a type is a group of settings."""
    kind = bare(annotation)
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def many(annotation: Any) -> bool:
    """Tell whether several values may be given."""
    return any(get_origin(bare(kind)) in (list, tuple, dict) for kind in alternatives(annotation))


def type_words(annotation: Any) -> str:
    """Return what a setting accepts, such as ``INT``, ``{train,test}`` or ``NAME=NUMBER``."""
    words = []
    for kind in alternatives(annotation):
        plain = bare(kind)
        origin, parts = get_origin(plain), get_args(plain)
        if origin is Literal:
            words.append("{" + ",".join(map(str, parts)) + "}")
        elif origin in (list, tuple):
            words.append(type_words(parts[0]))
        elif origin is dict:
            words.append(f"NAME={type_words(parts[1])}")
        elif is_model(plain):
            words.append("JSON")
        elif plain in SCALARS:
            words.append(SCALARS[plain])
    return "|".join(dict.fromkeys(words)) or "JSON"


def bound_words(field: FieldInfo) -> str:
    """Return the bounds of a setting, such as ``at least 1``; empty where there are none."""
    found: list[str] = []
    bounds = list(field.metadata)
    for kind in alternatives(field.annotation):
        inner = get_args(bare(kind)) if get_origin(bare(kind)) in (list, tuple, dict) else ()
        for annotation in (kind, *inner):
            bounds += get_args(annotation)[1:] if get_origin(annotation) is Annotated else ()
    for bound in bounds:
        for part in bound.metadata if isinstance(bound, FieldInfo) else [bound]:
            match part:
                case Ge(ge):
                    found.append(f"at least {ge}")
                case Gt(gt):
                    found.append(f"more than {gt}")
                case Le(le):
                    found.append(f"at most {le}")
                case Lt(lt) if not (isinstance(lt, int) and lt > LARGEST):
                    found.append(f"less than {lt}")
                case MultipleOf(step):
                    found.append(f"in steps of {step}")
                case MinLen(least) | Len(least):
                    found.append(f"at least {least} of them")
    return ", ".join(dict.fromkeys(found))


def read_value(annotation: Any, texts: Sequence[str]) -> Any:
    """Return the value of a setting from the words given for it; pydantic judges it.

    :raises ValueError: a word for a mapping that is no NAME=VALUE, or JSON that is none.
    """
    kinds = [bare(kind) for kind in alternatives(annotation)]
    if type(None) in kinds and list(texts) == ["null"]:
        return None
    if len(texts) == 1 and texts[0][:1] in ("[", "{") and (many(annotation) or any(map(is_model, kinds))):
        return json.loads(texts[0])
    mapping = next((kind for kind in kinds if get_origin(kind) is dict), None)
    if mapping is not None:
        pairs = [text.partition("=") for text in texts]
        if wrong := [name for name, sign, _ in pairs if not sign]:
            raise ValueError(f"{wrong[0]!r}: write NAME=VALUE, several after one another, or JSON")
        return {name: scalar(get_args(mapping)[1], value) for name, _, value in pairs}
    sequence = next((kind for kind in kinds if get_origin(kind) in (list, tuple)), None)
    single = [kind for kind in kinds if kind is not type(None) and get_origin(kind) not in (list, tuple)]
    if sequence is not None and (len(texts) > 1 or not single):
        return [scalar(get_args(sequence)[0], text) for text in texts]
    return scalar(Union[tuple(single)], texts[0])  # noqa: UP007 - made from a list


def scalar(annotation: Any, text: str) -> Any:
    """Return one value: text where text is accepted, else what it is as JSON."""
    kinds = [bare(kind) for kind in alternatives(annotation)]
    if str in kinds or any(get_origin(kind) is Literal and text in get_args(kind) for kind in kinds):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text

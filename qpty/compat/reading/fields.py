"""What the three readers share: a body becomes a checked shape, or an error that names the field.

Bodies are untrusted JSON. Before pydantic looks at the fields that matter, every text in them is checked for what can't
be carried on (NULs, lone surrogates), and their depth is bounded, so that whatever walks them later may recurse.

Unions are tagged by functions, so that an error is of the one kind that was meant. Such tags are in pydantic's paths;
they are written `<like this>`, which `path_of` leaves out.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, FailFast, Field, Tag, ValidationError

from qpty.compat.requests import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

MAX_DEPTH: Final = 100
"""Objects and lists within each other. Python's own reader and writer of JSON stop at about a thousand."""

MAX_STOPS: Final = 16
MAX_NAMES: Final = 64
"""Ignored fields that are named; they go out in a header."""

SHOWN_CHARACTERS: Final = 64
"""How much of a client's own words an error repeats."""

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")

_ADVICE: Final = {
    "missing": ("add this field", "missing_required_parameter"),
    "string_type": ("give a text", "invalid_type"),
    "bool_type": ("give true or false", "invalid_type"),
    "int_type": ("give a whole number", "invalid_type"),
    "list_type": ("give a list", "invalid_type"),
    "dict_type": ("give an object", "invalid_type"),
    "model_type": ("give an object", "invalid_type"),
    "too_short": ("give at least one", "invalid_value"),
    "string_too_short": ("give a text that isn't empty", "invalid_value"),
}
"""pydantic's kind of problem → what to do about it, and the code; others keep pydantic's words."""


class Wire(BaseModel):
    """The base of the wire's shapes. Unknown fields are kept and passed over: newer clients send more."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True, use_attribute_docstrings=True)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number; `1.0` is one, in JSON as in its schemas."""

Name = Annotated[str, Field(min_length=1, max_length=256)]
Id = Annotated[str, Field(min_length=1)]

T = TypeVar("T")
W = TypeVar("W", bound=Wire)


class _FirstOnly(FailFast):
    """The first wrong item ends the check of a list."""

    # Annotations in unions are compared by hash, and pydantic's own has none.
    __hash__ = object.__hash__


ListOf = Annotated[list[T], _FirstOnly()]
"""A list. Its first wrong item ends the check: a million of them would be a million problems to write down."""


def _text_or_list(value: object) -> str | None:
    return "<text>" if isinstance(value, str) else "<list>" if isinstance(value, list) else None


def _text_or_object(value: object) -> str | None:
    return "<text>" if isinstance(value, str) else "<object>" if isinstance(value, dict) else None


TextOrList = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[ListOf[T], Tag("<list>")],
    Discriminator(_text_or_list, custom_error_type="text_or_list", custom_error_message="give a text or a list"),
]
"""A text, or a list of something."""

TextOrObject = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[T, Tag("<object>")],
    Discriminator(_text_or_object, custom_error_type="text_or_object", custom_error_message="give a text or an object"),
]
"""A text, or an object of some shape."""


def by_type(known: Mapping[str, str]) -> Callable[[object], str]:
    """Return what tells shapes apart by their field `type`: `known` gives each one's tag, any other is `<other>`."""

    def tag(value: object) -> str:
        kind = value.get("type") if isinstance(value, dict) else None
        return known.get(kind, "<other>") if isinstance(kind, str) else "<other>"

    return tag


def other_than(known: Iterable[str]) -> ConfigDict:
    """Return the configuration of a shape that stands for every `type` but the known ones."""
    # The document would otherwise allow a broken text part as a part of an unknown kind.
    types = sorted(known)
    return ConfigDict(json_schema_extra=lambda schema: schema["properties"]["type"].update({"not": {"enum": types}}))


def shown(text: str) -> str:
    """Return a client's own word for an error's message: quoted, cut, without control characters."""
    cut = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
    return (
        "'" + "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in cut) + "'"
    )


def path_of(*steps: str | int) -> str:
    """Return a path as it is named to the client, with the tags of unions left out."""
    named = [str(step)[:SHOWN_CHARACTERS] for step in steps if not (isinstance(step, str) and step.startswith("<"))]
    return ".".join(named)


def validated(model: type[W], body: object) -> W:
    """Return a body as the shape it has to have. Raises `RequestError` with the first problem."""
    if not isinstance(body, dict):
        raise RequestError("the body isn't a JSON object; send one", code="invalid_type")
    for name in body:
        check_text(name, None)
    for name in model.model_fields:
        check_json(body.get(name), name)
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        path = path_of(*first["loc"])
        advice, code = _ADVICE.get(first["type"], (first["msg"], "invalid_value"))
        raise RequestError(f"{path}: {advice}", param=path, code=code) from None


def check_text(text: str, path: str | None) -> None:
    """Refuse a text that can't be carried on. Raises `RequestError`."""
    if flaw := _flaw(text):
        raise RequestError(f"{path or 'the name of a field'}: {flaw}", param=path)


def _flaw(text: str) -> str | None:
    """Return why a text can't be carried on, if it can't."""
    if "\0" in text:
        return f"character {text.index(chr(0))} is NUL, which can't be sent; remove it"
    if text.isascii():
        return None
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return (
            f"character {error.start} is the lone surrogate U+{ord(text[error.start]):04X}, which can't be sent; "
            "don't cut a text inside a surrogate pair"
        )
    return None


def check_json(value: object, path: str) -> None:
    """Refuse a value that can't be carried on, for its texts, numbers or depth. Raises `RequestError`."""
    # Paths are chains of places, written out for an error only. A stack, since the depth isn't known to be bounded yet.
    # What can't be wrong is never put on it: a body may be a million numbers.
    left: list[tuple[object, _Place]] = [(value, (None, path, 1))]
    while left:
        found, place = left.pop()
        if isinstance(found, str):
            if flaw := _flaw(found):
                raise RequestError(f"{_written(place)}: {flaw}", param=_written(place))
        elif isinstance(found, (dict, list)):
            depth = place[2] + 1
            if depth > MAX_DEPTH + 1:
                raise RequestError(f"{path}: nested more than {MAX_DEPTH} deep; send a flatter value", param=path)
            if isinstance(found, dict):
                for key in found:
                    if _is_suspect(key):
                        check_text(key, _written(place))
            items = found.items() if isinstance(found, dict) else enumerate(found)
            left.extend((item, (place, key, depth)) for key, item in items if _is_suspect(item))
        elif isinstance(found, float) and not math.isfinite(found):
            raise RequestError(f"{_written(place)}: {found} isn't a number in JSON", param=_written(place))


def _is_suspect(value: object) -> bool:
    """Tell whether a value has to be looked at."""
    if isinstance(value, str):
        return not value.isascii() or "\0" in value
    return isinstance(value, (dict, list, float))


_Place = tuple[Any, "str | int", int]
"""The place it is in (None at the top), its name there, and how deep it is."""


def _written(place: _Place | None) -> str:
    steps: list[str | int] = []
    while place is not None:
        steps.append(place[1])
        place = place[0]
    return path_of(*reversed(steps))


def json_object(text: str, path: str) -> dict[str, Any]:
    """Return an object that is given as JSON in a text; an empty text is the empty object. Raises `RequestError`."""
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RequestError(f"{path}: give a JSON object as a text", param=path)
    check_json(value, path)
    return value


def ignored_names(shape: Wire, names: Collection[str]) -> tuple[str, ...]:
    """Return the names that a request's `ignored` has: unknown fields with a value, and `names`.

    They are a client's own words and go out in a header: one that isn't plain ASCII becomes `?`. `store: false` is what
    is done anyway.
    """
    extra = shape.model_extra or {}
    given = {name for name, value in extra.items() if value is not None and not (name == "store" and value is False)}
    plain = {name if _PLAIN_NAME.fullmatch(name) else "?" for name in given.union(names)}
    return tuple(sorted(plain)[:MAX_NAMES])


def stop_texts(stops: str | list[str] | None, path: str) -> tuple[str, ...]:
    """Return the texts at which an answer stops: each once, no empty ones. Raises `RequestError`."""
    given = [stops] if isinstance(stops, str) else stops or []
    if len(given) > MAX_STOPS:
        raise RequestError(f"{path}: give at most {MAX_STOPS} texts, not {len(given)}", param=path)
    return tuple(dict.fromkeys(text for text in given if text))


def refuse(unless: bool, path: str, advice: str, *, code: str = "unsupported_value") -> None:
    """Raise `RequestError` for a field that asks for what qpty hasn't, unless it doesn't."""
    if not unless:
        raise RequestError(f"{path}: {advice}", param=path, code=code)

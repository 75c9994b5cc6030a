"""Answers that have to be JSON: found in what the model said, and held against the schema that the client gave.

The schema is a stranger's. Nothing outside it is read, whatever it refers to; it is tried for `SECONDS` at most, since
a short one can take for ever; and its regular expressions aren't tried at all, since a single one can take as long, and
nothing else of this process runs meanwhile. So any text is a match, and where properties are told apart by patterns,
any other property is one of theirs. Both functions may take long: call them in a thread.
"""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import SchemaError, UnknownType, ValidationError, best_match
from jsonschema.validators import create
from referencing import Registry
from referencing.exceptions import Unresolvable

from qpty.core.errors import QptyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from jsonschema.protocols import Validator
    from referencing.jsonschema import Schema, SchemaRegistry

    from qpty.compat.requests import JsonFormat

SECONDS: Final = 5.0
"""How long a schema is tried."""

SCHEMA_VALUES: Final = 5_000
SCHEMA_CHARACTERS: Final = 128 * 1024
"""Of a schema: what it holds, and its texts and names together."""

EFFORT: Final = 20_000_000
"""Values of a schema times characters of an answer: each branch that doesn't fit says so with the whole answer."""

_FENCE: Final = re.compile(r"(?P<fence>`{3,}+|~{3,}+)[^\n`]*+\n")

_UNTRIED: Final = frozenset({"pattern", "patternProperties", "unevaluatedProperties"})
"""Keywords that try regular expressions, with `additionalProperties` where that stands beside patterns."""

_ELSEWHERE: Final = frozenset({"$schema", "$id"})
"""What makes a part of a schema be tried by other rules, or found under another name: taken out of it."""

_NO_FORMATS: Final = FormatChecker(formats=())
_NOTHING_ELSE: Final[SchemaRegistry] = Registry()

_FALLEN_OVER: Final = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What comes of a reference to a part that is no schema, of one to itself, and of numbers beyond bounds."""


class JsonAnswerError(QptyError):
    """A text isn't the JSON that was asked for; `why` is for the model."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def check_schema(schema: Mapping[str, Any]) -> None:
    """Raise JsonAnswerError for what is no JSON schema (draft 2020-12), or is larger than any sensible one."""
    _measure(schema)
    try:
        Draft202012Validator.check_schema(schema, format_checker=_NO_FORMATS)
    except SchemaError as error:
        raise JsonAnswerError(f"the schema is not a JSON schema: {error.message[:300]}") from error
    except RecursionError as error:
        raise JsonAnswerError("the schema is nested too deep") from error


def json_of(text: str, wanted: JsonFormat) -> str:
    """Return the JSON in an answer, as it was written. Raises JsonAnswerError."""
    inside = _unfenced(text.strip())
    try:
        value = json.loads(inside, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise JsonAnswerError(f"it is not JSON ({str(error)[:200]})") from error
    if wanted.schema is None:
        if not isinstance(value, dict):
            raise JsonAnswerError("it is not a JSON object")
        return inside
    check_schema(wanted.schema)
    if _measure(wanted.schema) * len(inside) > EFFORT:
        raise JsonAnswerError("it is too long for a schema of this size")
    try:
        problem = best_match(_validator(wanted.schema).iter_errors(value))
    except (Unresolvable, UnknownType, *_FALLEN_OVER) as error:
        raise JsonAnswerError(f"the schema can't be applied ({str(error)[:200]})") from error
    if problem is not None:
        where = "/".join(map(str, problem.absolute_path)) or "the whole"
        raise JsonAnswerError(f"{where}: {problem.message[:300]}")
    return inside


def _measure(schema: Any) -> int:
    """Return how many values a schema holds. Raises JsonAnswerError for one that is too large."""
    values = characters = 0
    left = [schema]
    while left:
        part = left.pop()
        values += 1
        if isinstance(part, dict):
            characters += sum(map(len, part))
            left += part.values()
        elif isinstance(part, list):
            left += part
        elif isinstance(part, str):
            characters += len(part)
        if values + len(left) > SCHEMA_VALUES or characters > SCHEMA_CHARACTERS:
            raise JsonAnswerError(
                f"the schema is too large: at most {SCHEMA_VALUES:,} values and {SCHEMA_CHARACTERS:,} characters"
            )
    return values


def _unfenced(text: str) -> str:
    """Return what is in a text that is one fenced block, and any other as it is."""
    opened = _FENCE.match(text)
    if opened is None or not text.endswith(opened["fence"]):
        return text
    return text[opened.end() :].removesuffix(opened["fence"]).strip()


def _refuse_constant(name: str) -> NoReturn:
    """Refuse what Python would read: NaN and the infinities."""
    raise ValueError(f"{name} is no JSON value")


def _validator(schema: Mapping[str, Any]) -> Validator:
    """Return what tries a schema, from now on for so many seconds."""
    deadline = time.monotonic() + SECONDS

    def applicable(part: Schema) -> Iterable[tuple[str, Any]]:
        """Return the keywords of a part that are tried."""
        if time.monotonic() > deadline:
            raise JsonAnswerError("it takes too long to hold it against the schema")
        if isinstance(part, bool):
            return ()
        untried = _UNTRIED | {"additionalProperties"} if part.get("patternProperties") else _UNTRIED
        return [(keyword, value) for keyword, value in part.items() if keyword not in untried]

    keywords = {
        **Draft202012Validator.VALIDATORS, "$ref": _local, "$dynamicRef": _local, "uniqueItems": _unique,
    }  # fmt: skip
    tried = create(Draft202012Validator.META_SCHEMA, keywords, applicable_validators=applicable)
    return tried(_on_its_own(schema), registry=_NOTHING_ELSE)


def _local(validator: Any, reference: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
    """Follow a reference within the schema."""
    if not str(reference).startswith("#"):
        raise JsonAnswerError(f"the schema refers to {str(reference)[:80]!r}, which isn't part of it")
    yield from Draft202012Validator.VALIDATORS["$ref"](validator, reference, instance, schema)


def _unique(validator: Any, wanted: Any, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    """Find what comes twice, in one pass: jsonschema compares each with each."""
    if wanted is True and validator.is_type(instance, "array"):
        texts = {json.dumps(value, sort_keys=True) for value in instance}
        if len(texts) != len(instance):
            yield ValidationError("the list has something twice")


def _on_its_own(schema: Any) -> Any:
    """Return a schema without what makes parts of it other documents, or of another draft.

    It is taken out of everything, even of values that aren't schemas: a reference can lead there.
    """
    if isinstance(schema, dict):
        return {
            name: _on_its_own(value)
            for name, value in schema.items()
            if not (name in _ELSEWHERE and isinstance(value, str))
        }
    return [_on_its_own(part) for part in schema] if isinstance(schema, list) else schema

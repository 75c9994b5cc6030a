"""Column types that keep any Python string, and JSON, without loss on every database.

PostgreSQL refuses NUL in a text, and neither database stores a lone surrogate. Both occur: prompts, file names and what
tools print come from anywhere. The few characters that cannot be stored are written as U+001A (SUBSTITUTE, which says
just that) and four hexadecimal digits; so is U+001A itself. Every other text is stored as it is, for any tool to read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import Integer, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

SUBSTITUTE: Final = "\x1a"

_UNSTORABLE: Final = re.compile("[\x00\x1a\ud800-\udfff]")
_SUBSTITUTED: Final = re.compile("\x1a([0-9a-f]{4})")


def encode_text(text: str) -> str:
    """Return `text` with what a database cannot hold substituted; `decode_text` gives it back exactly."""
    # Nearly all of the journal is ASCII, where two memchr() are ten times as fast as the pattern.
    if text.isascii():
        if "\x00" not in text and SUBSTITUTE not in text:
            return text
    elif _UNSTORABLE.search(text) is None:
        return text
    return _UNSTORABLE.sub(lambda found: f"{SUBSTITUTE}{ord(found[0]):04x}", text)


def decode_text(stored: str) -> str:
    """Return the text that `encode_text` was given."""
    if SUBSTITUTE not in stored:
        return stored
    return _SUBSTITUTED.sub(lambda found: chr(int(found[1], 16)), stored)


def encode_json(value: Any) -> str:
    """Return a JSON value as stored: no spaces, any string kept, `Mapping` written as an object.

    Raises TypeError or ValueError for what JSON cannot hold (NaN, infinity, other objects).
    """
    # Characters stay as they are: as \u escapes, two lone surrogates side by side would come back as one character.
    return encode_text(
        json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain_object)
    )


def decode_json(stored: str) -> Any:
    """Return the value that `encode_json` was given; tuples are lists by then."""
    return json.loads(decode_text(stored))


def _plain_object(value: object) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"JSON cannot hold a {type(value).__name__}")


class AnyText(TypeDecorator[str]):
    """Any Python string, compared by its bytes: the same order on both databases, in every locale."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Return PostgreSQL's C collation; SQLite compares bytes unless told otherwise."""
        # Not through dialect.type_descriptor(), which makes VARCHAR of it.
        return Text(collation="C" if dialect.name == "postgresql" else None)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return what is stored."""
        return None if value is None else encode_text(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return what was given."""
        return None if value is None else decode_text(value)


class JsonText(TypeDecorator[Any]):
    """A JSON value as text; None is NULL."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Return what is stored."""
        return None if value is None else encode_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Return what was given."""
        return None if value is None else decode_json(value)


class Bytes(FunctionElement[int]):
    """The length of a text as it is stored, in bytes."""

    inherit_cache = True
    type = Integer()


@compiles(Bytes)
def _bytes(element: Bytes, compiler: SQLCompiler, **options: Any) -> str:
    return f"octet_length({compiler.process(element.clauses, **options)})"


@compiles(Bytes, "sqlite")
def _bytes_sqlite(element: Bytes, compiler: SQLCompiler, **options: Any) -> str:
    # SQLite has octet_length() since 3.43 only. The same words on PostgreSQL would read backslashes as escapes.
    return f"length(CAST({compiler.process(element.clauses, **options)} AS BLOB))"

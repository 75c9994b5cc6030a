"""What all shapes share: the base, times, and the one shape of errors."""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer


class Model(BaseModel):
    """The base of all shapes. Unknown fields of a request are passed over: newer clients may send more."""

    model_config = ConfigDict(
        frozen=True,
        use_attribute_docstrings=True,
        json_schema_mode_override="serialization",
        json_schema_serialization_defaults_required=True,
    )


class Body(Model):
    """The base of request bodies: JSON says what is a number and what is a text, so nothing is converted."""

    model_config = ConfigDict(strict=True, json_schema_mode_override="validation")


_NULL = {"type": "null"}


def _without_nulls(schema: dict[str, Any]) -> None:
    """Say in a schema what `Sparse` does: a field that could be null may be absent instead, and is never null."""
    required = set(schema.get("required", ()))
    for name, field in schema["properties"].items():
        choices: list[dict[str, Any]] = field.get("anyOf", [])
        if _NULL not in choices:
            continue
        required.discard(name)
        field.pop("default", None)
        left = [choice for choice in choices if choice != _NULL]
        del field["anyOf"]
        field.update(left[0] if len(left) == 1 else {"anyOf": left})
    schema["required"] = [name for name in schema["properties"] if name in required]


class Sparse(Model):
    """An answer that leaves out what there isn't: a field that is None is absent, not null."""

    model_config = ConfigDict(json_schema_extra=_without_nulls)

    @model_serializer(mode="wrap")
    def _leave_out(self, handler: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        # No type of what is returned: pydantic would describe that instead of the fields.
        return {name: value for name, value in handler(self).items() if value is not None}


def _spelt_out(value: object) -> object:
    """Refuse other spellings of true and false in a query than those of the document."""
    if isinstance(value, str):
        if value not in {"true", "false"}:
            raise ValueError("give true or false")
        return value == "true"
    return value


def _digits(value: object) -> object:
    """Refuse other spellings of a number in a query than digits: ` 1`, `1.0`, `1_0`."""
    if isinstance(value, str) and not (value.isascii() and value.removeprefix("-").isdigit() and len(value) <= 20):
        raise ValueError("give a whole number, in digits")
    return value


QueryFlag = Annotated[bool, BeforeValidator(_spelt_out)]
IN_DIGITS: Final = BeforeValidator(_digits)
"""Of a number in a query; last among its annotations, so that the document has its bounds."""

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"}, examples=["2026-01-02T03:04:05.678Z"])]
"""RFC 3339, UTC, milliseconds."""

Json = dict[str, Any]


class ErrorDetail(Sparse):
    """What went wrong, and what to do."""

    code: str
    """Stable, for programs. The README lists them."""
    message: str
    """For people; it may change."""
    request_id: str
    """Also in the header `X-Request-Id`, and in the server's log."""
    question: Json | None = None
    """With `question_open`: the journal's event of the open question, to be answered first."""
    details: Json = {}
    """The facts of this error, by name."""


class ErrorAnswer(Model):
    """Every error has this shape."""

    error: ErrorDetail

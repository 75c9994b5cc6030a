"""The tools that a client offers, while they are read, and which of them the model has to call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from qpty.compat.reading.fields import shown
from qpty.compat.requests import JsonFormat, RequestError, ToolChoice, ToolSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

ANY_OBJECT: Final[Mapping[str, Any]] = {"type": "object", "properties": {}}
"""The schema of a tool that names none."""


class Tools:
    """The tools of one request. `ignored` collects the names of what was left out."""

    def __init__(self) -> None:
        self._specs: dict[tuple[str | None, str], ToolSpec] = {}
        self._left_out: set[str] = set()
        self.ignored: set[str] = set()

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools, in the order they were given."""
        return tuple(self._specs.values())

    def add_function(
        self,
        name: str,
        description: str | None,
        schema: Mapping[str, Any] | None,
        path: str,
        *,
        schema_path: str,
        namespace: str | None = None,
    ) -> None:
        """Add a tool with arguments. Raises `RequestError`."""
        check_schema(schema, schema_path)
        self._add(ToolSpec(name, description or "", schema or ANY_OBJECT, namespace=namespace), path)

    def add_custom(
        self,
        name: str,
        description: str | None,
        path: str,
        *,
        syntax: str | None = None,
        grammar: str | None = None,
        namespace: str | None = None,
    ) -> None:
        """Add a tool that takes a free text; its grammar becomes part of the description. Raises `RequestError`."""
        told = description or ""
        if grammar:
            told = f"{told}\n\nThe input follows this grammar{f' ({syntax})' if syntax else ''}:\n{grammar}".lstrip()
        self._add(ToolSpec(name, told, None, custom=True, namespace=namespace), path)

    def leave_out(self, name: str) -> None:
        """Pass over a tool that the provider would run itself."""
        self._left_out.add(name)
        self.ignored.add(f"tools.{name}")

    def auto(self) -> ToolChoice:
        """Leave it to the model."""
        return ToolChoice()

    def required(self, path: str) -> ToolChoice:
        """Have the model call any tool. Raises `RequestError` if none is offered."""
        if self._specs:
            return ToolChoice("required")
        if self._left_out:
            return self.unheeded()
        raise RequestError(f"{path}: a call is asked for and there are no tools; add `tools`", param=path)

    def named(self, name: str | None, path: str) -> ToolChoice:
        """Have the model call this tool. Raises `RequestError` if it isn't offered."""
        if name is None:
            raise RequestError(f"{path}: say which tool, by its `name`", param=path, code="missing_required_parameter")
        if any(spec.name == name for spec in self._specs.values()):
            return ToolChoice("named", name)
        if name in self._left_out:
            return self.unheeded()
        raise RequestError(f"{path}: there is no tool {shown(name)} in `tools`; name one of them", param=path)

    def unheeded(self) -> ToolChoice:
        """Leave it to the model, since what it would have to call was left out."""
        self.ignored.add("tool_choice")
        return ToolChoice()

    def allowed(self, mode: str | None, path: str) -> ToolChoice:
        """Have the model call one of some tools, or any of them if it likes; that they are only some isn't kept."""
        self.ignored.add("tool_choice.allowed_tools")
        return self.by_word(mode or "auto", path)

    def by_word(self, word: str, path: str) -> ToolChoice:
        """Return the choice that a single word makes. Raises `RequestError`."""
        match word:
            case "auto":
                return self.auto()
            case "none":
                return ToolChoice("none")
            case "required" | "any":
                return self.required(path)
        raise RequestError(f"{path}: {shown(word)} isn't known; give auto, none, required or a tool", param=path)

    def _add(self, spec: ToolSpec, path: str) -> None:
        key = (spec.namespace, spec.name)
        if key in self._specs:
            raise RequestError(f"{path}: two tools are called {shown(spec.name)}; give each its own name", param=path)
        self._specs[key] = spec


def check_schema(schema: Mapping[str, Any] | None, path: str) -> None:
    """Refuse a JSON schema that isn't one of objects, as far as its `type` says. Raises `RequestError`."""
    kind = (schema or {}).get("type")
    kinds = kind if isinstance(kind, list) else [kind]
    if kind is not None and "object" not in kinds:
        raise RequestError(f'{path}.type: the schema has to be of an object; give "object"', param=f"{path}.type")


def json_format(kind: str, schema: Mapping[str, Any] | None, name: str | None, path: str) -> JsonFormat | None:
    """Return the form that an answer has to have; None for text. Raises `RequestError`."""
    match kind:
        case "text":
            return None
        case "json_object":
            return JsonFormat()
        case "json_schema":
            check_schema(schema, f"{path}.schema")
            return JsonFormat(schema, name)
    raise RequestError(
        f"{path}.type: {shown(kind)} isn't supported; give text, json_object or json_schema", param=f"{path}.type"
    )

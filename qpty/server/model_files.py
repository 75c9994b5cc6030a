"""The file that says which model a client's name for one stands for."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qpty.compat.model_names import ModelNames, ModelRule
from qpty.core.errors import QptyError

FILE_NAME: Final = "models.toml"
MOST_RULES: Final = 1_000


class ModelFileError(QptyError):
    """The file can't be used."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} cannot be used: {reason}; mend it, or remove it to have the one that comes with qpty")
        self.path = path
        self.reason = reason


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    pattern: Annotated[str, Field(min_length=1, max_length=200)]
    model: Annotated[str, Field(pattern=r"^[A-Za-z0-9@_][A-Za-z0-9@_.:/-]{0,127}$")]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    model: Annotated[list[_Rule], Field(max_length=MOST_RULES)] = []


def load_model_names(path: Path, *, default: str | None, strict: bool) -> ModelNames:
    """Read the rules at `path`, or those that come with qpty if nothing is there. Blocking. Raises ModelFileError.

    `default` and `strict` are those of `ModelNames`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = _shipped().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFileError(path, f"it can't be read ({error})") from error
    try:
        file = _File.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ModelFileError(path, f"it is not TOML ({error})") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise ModelFileError(path, f"{where}: {first['msg']}") from error
    rules = [ModelRule(rule.pattern, rule.model) for rule in file.model]
    return ModelNames(rules, default=default, strict=strict)


def _shipped() -> Path:
    """Return the file that comes with qpty: package data, or the one of a checkout."""
    packaged = Path(str(resources.files("qpty"))) / "config" / FILE_NAME
    return packaged if packaged.is_file() else packaged.parents[2] / "config" / FILE_NAME

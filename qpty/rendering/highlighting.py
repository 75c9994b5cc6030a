"""Code to coloured words, by Pygments: classes only, the colours are the style sheet's (`styles`).

Only well-known languages are highlighted. Pygments knows 500 more; each is a set of regular expressions that an answer
could feed with anything.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
from pygments.token import STANDARD_TYPES  # type: ignore[import-untyped]
from pygments.util import ClassNotFound  # type: ignore[import-untyped]

from qpty.rendering.limits import MAX_CODE_LINE
from qpty.rendering.sanitising import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pygments.lexer import Lexer  # type: ignore[import-untyped]
    from pygments.token import _TokenType

# fmt: off
LANGUAGES: Final = frozenset(
    {
        "bash", "c", "c#", "c++", "clojure", "cmake", "cpp", "cs", "csharp", "css", "cuda", "dart", "diff",
        "docker", "dockerfile", "elixir", "erlang", "f#", "fsharp", "go", "golang", "graphql", "groovy",
        "haskell", "hcl", "html", "ini", "java", "javascript", "js", "json", "json5", "jsonc", "jsx", "julia",
        "kotlin", "latex", "less", "lua", "make", "makefile", "markdown", "matlab", "md", "nginx", "nim",
        "nix", "objective-c", "ocaml", "patch", "perl", "php", "postgres", "postgresql", "powershell",
        "proto", "protobuf", "ps1", "py", "python", "r", "rb", "rs", "ruby", "rust", "sass", "scala", "scss",
        "sh", "shell", "sql", "svelte", "svg", "swift", "tcl", "terraform", "tex", "tf", "toml", "ts", "tsx",
        "typescript", "udiff", "vim", "vue", "xml", "yaml", "yml", "zig", "zsh",
    }
)
# fmt: on
"""The names of languages that are highlighted, as they stand after a code fence."""

_OTHER_NAMES: Final = {
    "json5": "json",
    "jsonc": "json",
    "jsx": "javascript",
    "patch": "diff",
    "shell": "bash",
    "svelte": "html",
    "svg": "xml",
}
"""What Pygments doesn't know by this name, and `shell`, which is a session there, prompts and all."""

_SILENT: Final = frozenset({"", "n", "p", "w", "err", "x", "esc", "g", "l"})
"""Classes that get no colour: most words of a text, and a span for each would double its cost."""


def is_known(language: str) -> bool:
    """Whether code of this language is highlighted."""
    return language.lower() in LANGUAGES


def class_of(token: _TokenType) -> str:
    """Return the CSS class of a token type; `""` if it gets no colour."""
    while token not in STANDARD_TYPES and token.parent is not None:
        token = token.parent
    name = STANDARD_TYPES.get(token, "")
    return "" if name in _SILENT else PREFIX + name


@lru_cache(maxsize=16)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(_OTHER_NAMES.get(language, language))
    except ClassNotFound:  # this Pygments is older than the list
        return None


def highlighted(code: str, language: str) -> Iterator[tuple[str, str]] | None:
    """Return the code's words with their classes, in order and complete; None if it isn't to be highlighted."""
    lexer = _lexer(language.lower()) if is_known(language) else None
    if lexer is None or any(len(line) > MAX_CODE_LINE for line in code.split("\n")):
        return None
    words = [(class_of(token), word) for _, token, word in lexer.get_tokens_unprocessed(code)]
    if "".join(word for _, word in words) != code:
        return None  # a lexer that drops or repeats text: then colours aren't worth it
    return iter(words)

"""The page's texts and scripts as files: nothing is missing, nothing is left over, nothing comes from elsewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final, get_args

import pytest

import qpty.web
from qpty.core.events import FailureCode, ToolOutcome
from qpty.core.states import ANSWERS, State
from qpty.server.statuses import FAILURES, HTTP_CODES, OTHERS, RULES

WEB: Final = Path(qpty.web.__file__).parent
PATHS: Final = {path.stem: path for path in sorted((WEB / "scripts").rglob("*.js"))}
SCRIPTS: Final = {name: path.read_text(encoding="utf-8") for name, path in PATHS.items()}
PAGE: Final = (WEB / "page.html").read_text(encoding="utf-8")

FAMILIES: Final[dict[str, set[str]]] = {
    "state": {state.value for state in State} | {"hibernated", "waiting"},
    "outcome": {*get_args(ToolOutcome), "running", "waiting"},
    "answer": set(ANSWERS),
    "answered": set(ANSWERS),
    "agent": {"q", "kiro-cli", "demo"},
    "theme": {"auto", "light", "dark"},
}
"""Texts whose keys are made of a name that comes from elsewhere: prefix → the names. A text for each, and no other."""

CODES: Final = {*(rule.code for rule in RULES), *FAILURES, *OTHERS, *HTTP_CODES.values()}

SERVERS_WORDS: Final = {
    # of the form of a request; the page makes no such one, and if it did, only the server could say what is wrong
    "body_too_large", "expectation_failed", "invalid_answer", "invalid_choice", "invalid_cursor", "invalid_range",
    "invalid_request", "length_required", "method_not_allowed", "route_not_found", "unsupported_encoding",
    "unsupported_media_type", "host_refused", "origin_refused", "no_keys",
    # the page is loaded anew, and the server's form asks for the key
    "key_required", "key_refused",
    # with facts that the server's words have: which field, which limit, which path
    "file_changed", "file_refused", "file_too_large", "invalid_message", "invalid_path", "invalid_profile",
    "invalid_value", "key_reused", "not_a_directory", "not_a_file", "too_many_streams",
    # of OpenAI's and Anthropic's clients only
    "answer_not_json", "answer_stopped", "calls_answered", "history_too_large", "invalid_history", "model_not_found",
    "previous_response_not_found",
    # of what went wrong inside
    "directory_unusable", "journal_failed", "overloaded", "session_not_found", "turn_failed", "turn_not_found",
    # nobody knows more: what the agent said is shown
    "unknown",
}  # fmt: skip
"""Codes without words of the page's own: what the server says of them is shown."""

_LITERAL: Final = r'"(?:[^"\\\n]|\\.)*"'


def without_comments(script: str) -> str:
    """A script without its comments; its strings are untouched."""
    tokens = re.compile(rf"({_LITERAL}|`(?:[^`\\]|\\.)*`)|/\*.*?\*/|(?<![:\\/])//[^\n]*", re.DOTALL)
    return tokens.sub(lambda found: found[1] or " ", script)


def texts() -> dict[str, dict[str, Any]]:
    """The table of `texts.js`. It is an object of nothing but names and strings, which JSON would have in quotes."""
    table = re.search(r"TEXTS = (\{.*?\n\});", SCRIPTS["texts"], re.DOTALL)
    assert table is not None
    names = re.compile(rf"({_LITERAL})|(\w+)(?=:)|,(?=\s*\}})", re.DOTALL)
    quoted = names.sub(lambda found: found[1] or (f'"{found[2]}"' if found[2] else ""), without_comments(table[1]))

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), sorted(key for key in keys if keys.count(key) > 1)
        return dict(pairs)

    found: dict[str, dict[str, Any]] = json.loads(quoted, object_pairs_hook=once)
    return found


TEXTS: Final = texts()


def arguments_of_text() -> set[str]:
    """The first argument of every call of `text` and `hasText` in a script."""
    found = set()
    for name, script in SCRIPTS.items():
        if name == "texts":
            continue
        code = without_comments(script)
        for call in re.finditer(r"(?<![\w.#])(?:text|hasText)\(", code):
            depth, end = 0, call.end()
            while not (depth == 0 and code[end] in ",)"):
                depth += (code[end] in "([{") - (code[end] in ")]}")
                end += 1
            found.add(code[call.end() : end])
    return found


def keys_asked_for() -> set[str]:
    """Every key that is written out where a text is asked for. Of `a === "b" ? "c" : "d"` the last two are keys."""
    found = set(re.findall(r'data-(?:text|label)="(\w+)"', PAGE))
    for argument in arguments_of_text():
        _, _, chosen = argument.partition("?")
        found.update(re.findall(r'"([\w-]+)"', chosen or argument))
    return found


def prefixes() -> set[str]:
    """The prefixes that keys are made of: of `state_${state}` it is "state"."""
    code = "".join(script.partition("\n};")[2] if name == "texts" else script for name, script in SCRIPTS.items())
    return set(re.findall(r"`([a-z]+)_\$\{[^`]*\}`", code))


def placeholders(words: str) -> set[str]:
    """What is filled in."""
    return set(re.findall(r"\{(\w+)\}", words))


def test_the_tests_find_the_texts() -> None:
    assert len(TEXTS) > 200
    assert {"stop", "working", "permission_one_of", "permission_uncertain"} <= keys_asked_for()
    assert prefixes() >= {"state", "error", "notice"}


def test_every_text_that_is_asked_for_is_there() -> None:
    assert keys_asked_for() - TEXTS.keys() == set()


def test_every_text_is_used() -> None:
    code = "".join(script.partition("\n};")[2] if name == "texts" else script for name, script in SCRIPTS.items())
    literal = set(re.findall(r'"([\w-]+)"', without_comments(code))) | keys_asked_for()
    made = {key for key in TEXTS if key.partition("_")[0] in prefixes()}
    assert TEXTS.keys() - literal - made == set()


@pytest.mark.parametrize("prefix", sorted(FAMILIES))
def test_what_comes_from_elsewhere_has_a_text(prefix: str) -> None:
    others = {"agent_said", "answer_complete", "answer_first"}  # of the same beginning by chance
    of_it = {key.removeprefix(f"{prefix}_") for key in TEXTS if key.startswith(f"{prefix}_") and key not in others}
    assert of_it == FAMILIES[prefix]
    assert prefix in prefixes()


def test_every_error_has_words_or_is_told_in_the_servers() -> None:
    told = {key.removeprefix("error_") for key in TEXTS if key.startswith("error_")}
    assert told - CODES == {"offline"}
    assert CODES - told == SERVERS_WORDS & CODES
    assert SERVERS_WORDS <= CODES
    assert set(get_args(FailureCode)) - told == {"unknown"}


@pytest.mark.parametrize("key", sorted(TEXTS))
def test_every_text_is_there_in_both_languages(key: str) -> None:
    entry = TEXTS[key]
    assert set(entry) == {"en", "zh"}
    english = entry["en"] if isinstance(entry["en"], dict) else {"other": entry["en"]}
    assert set(english) <= {"one", "other"}
    assert all(english.values())
    assert isinstance(entry["zh"], str), "Chinese has no plural"
    assert entry["zh"].strip()
    whole = placeholders(english["other"])
    assert placeholders(entry["zh"]) | {"count"} == whole | {"count"}
    for words in english.values():
        assert placeholders(words) | {"count"} == whole | {"count"}
    assert "'" not in english["other"], "an apostrophe is ’"


def test_only_one_script_makes_html_of_a_text() -> None:
    makers = re.compile(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|createContextualFragment|"
        r"parseFromString|setHTMLUnsafe|setAttribute\(\s*[\"'`]on|createPolicy|srcdoc|setTimeout\(\s*[\"'`]"
    )
    found = {name for name, script in SCRIPTS.items() if makers.search(without_comments(script))}
    assert found == {"rendered_html"}
    users = {name for name, script in SCRIPTS.items() if "rendered_html.js" in without_comments(script)}
    assert users == {"segment_view"}


def test_no_html_has_styles_or_handlers_in_it() -> None:
    for path in WEB.glob("*.html"):
        html = path.read_text(encoding="utf-8")
        assert re.findall(r"<[^>]*\s(?:style|on\w+)=", html) == []
        assert re.findall(r"<script(?![^>]*\ssrc=)", html) == []
        assert "<style" not in html


def test_nothing_comes_from_elsewhere() -> None:
    namespace = "http://www.w3.org/2000/svg"
    for path in (path for path in WEB.rglob("*") if path.suffix in {".html", ".js", ".css", ".svg"}):
        content = path.read_text(encoding="utf-8").replace(namespace, "")
        assert re.findall(r"\b(?:https?|wss?|ftp):/?/|(?:src|href|url|from|import)[=(\s]+[\"']?//", content) == [], path


def test_rooms_know_what_is_common_and_nothing_of_each_other() -> None:
    for name, script in SCRIPTS.items():
        here = PATHS[name].parent.name
        rooms = {Path(source).parent.name or "." for source in re.findall(r' from "(.*?)";', script)}
        if here != "scripts":
            assert rooms <= ({".", ".."} if here == "common" else {".", "..", "common"}), f"{here}/{name}: {rooms}"


def test_every_import_is_there() -> None:
    for name, script in SCRIPTS.items():
        for what, source in re.findall(r"^(?:import|export) (.*?) ?from \"(.*?)\";", script, re.MULTILINE | re.DOTALL):
            assert source.startswith(("./", "../")), f"{name}: {source}"
            module = Path(source).stem
            assert PATHS.get(module) == (PATHS[name].parent / source).resolve(), f"{name}: {source}"
            for item in re.findall(r"[\w$]+(?: as [\w$]+)?", what):
                wanted = re.escape(item.partition(" as ")[0])
                exported = rf"^export (?:async )?(?:function\*?|class|const|let) {wanted}\b"
                assert re.search(exported, SCRIPTS[module], re.MULTILINE), f"{name}: {item} of {source}"
        assert not re.search(r"\bimport\(", without_comments(script)), name


def test_every_icon_is_drawn() -> None:
    drawn = set(re.findall(r"^  (\w+): \"M", SCRIPTS["dom"], re.MULTILINE))
    asked = set(re.findall(r'data-icon="(\w+)"', PAGE))
    for script in SCRIPTS.values():
        asked |= set(re.findall(r'\b(?:icon|iconButton)\("(\w+)"', script))
    assert asked - drawn == set()

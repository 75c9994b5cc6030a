"""Any text and any JSON value comes back as it was, from both databases."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from qpty.storage import writes
from qpty.storage.types import decode_json, decode_text, encode_json, encode_text
from tests.storage.rows import message, session

if TYPE_CHECKING:
    from qpty.storage.database import Database

ODD = st.sampled_from(["\x00", "\x1a", "\x1a0000", "\ud83d", "\ude00", "\ud83d\ude00", "\udcff", "😀", "é", "\\", '"'])
"""What gets lost most easily: NUL, the escape itself, surrogates alone and as a pair that is no character."""

TEXTS = st.lists(ODD | st.text(max_size=4), max_size=8).map("".join) | st.text(st.characters(codec=None))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(TEXTS)
@example("\ud83d\ude00")
@example("\x1a0041")
def test_any_text_is_stored_as_what_both_databases_hold(text: str) -> None:
    stored = encode_text(text)
    assert decode_text(stored) == text
    assert "\x00" not in stored
    assert stored.encode().decode() == stored  # no lone surrogate


@given(st.text())
def test_ordinary_text_is_stored_as_it_is(text: str) -> None:
    if not set(text) & {"\x00", "\x1a"}:
        assert encode_text(text) == text


@given(JSON)
@example({"\ud83d\ude00": ["\x00", "\ud83d", "\ude00"]})
def test_any_json_value_comes_back(value: Any) -> None:
    assert decode_json(encode_json(value)) == value


def test_json_takes_any_mapping() -> None:
    assert encode_json(MappingProxyType({"a": (1, 2)})) == '{"a":[1,2]}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {"a": {1, 2}}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode_json(value)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(TEXTS, min_size=1, max_size=8), value=st.dictionaries(TEXTS, JSON, max_size=3))
async def test_texts_and_values_come_back_from_the_database(
    database: Database, texts: list[str], value: dict[str, Any]
) -> None:
    row = session(owner=texts[0], title=texts[-1], profile=value, record_mark=value)
    told = message(text="".join(texts), tools=[value])
    bodies = list(enumerate(texts, start=1))
    await database.writer.write(
        writes.delete_session("s1"),
        writes.insert_session(row),
        writes.insert_message(told),
        writes.put_seed("s1", texts[0]),
        writes.append_events(("s1", seq, body) for seq, body in bodies),
    )
    assert await database.session("s1") == row
    assert await database.sessions(owner=texts[0], limit=2, after=None) == [row]
    assert await database.messages("s1") == [told]
    assert await database.seed("s1") == texts[0]
    assert await database.events("s1", after=0) == bodies


@pytest.mark.parametrize("session_id", ["", "\x00", "\ud800", "x" * 5000])
async def test_an_id_of_any_kind_may_be_asked_for(database: Database, session_id: str) -> None:
    assert await database.session(session_id) is None
    await database.writer.write(writes.insert_session(session(session_id)))
    await database.writer.write(writes.append_events([(session_id, 1, "body")]))
    assert await database.session(session_id) == session(session_id)
    assert await database.events(session_id, after=0) == [(1, "body")]

"""The client's tools under names and descriptions that the CLI takes as they are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpty.compat.client_tools.names import BUILT_IN, CONTINUED, DESCRIPTION_BYTES, INPUT_SCHEMA, offer_of
from qpty.compat.requests import ToolSpec

TAKEN_AS_IT_IS = re.compile(r"[a-zA-Z][a-zA-Z0-9_]*", re.ASCII)

SCHEMA = {"type": "object", "properties": {"at": {"type": "string"}}}

NAMES = st.one_of(
    st.text(min_size=1, max_size=80).filter(lambda name: name.isprintable()),
    st.text(alphabet="ab_-.1", min_size=1, max_size=6),
    st.sampled_from(sorted(BUILT_IN)),
    st.text(alphabet="x", min_size=60, max_size=70),
)


def spec(name: str, description: str = "It looks.", namespace: str | None = None) -> ToolSpec:
    return ToolSpec(name, description, SCHEMA, namespace=namespace)


@st.composite
def specs(draw: st.DrawFn) -> list[ToolSpec]:
    """Draw tools, of which no two have the same name (and namespace)."""
    keys = draw(st.lists(st.tuples(st.none() | NAMES, NAMES), max_size=12, unique=True))
    return [spec(name, namespace=namespace) for namespace, name in keys]


@given(specs())
def test_every_tool_has_a_name_of_its_own_that_the_cli_takes(tools: list[ToolSpec]) -> None:
    offer = offer_of(tools)
    assert [offered.spec for offered in offer.tools.values()] == tools
    for name, offered in offer.tools.items():
        assert name == offered.name
        assert TAKEN_AS_IT_IS.fullmatch(name)
        assert len(name) <= 64
        assert name not in BUILT_IN


@given(specs())
def test_the_same_tools_have_the_same_names(tools: list[ToolSpec]) -> None:
    assert offer_of(tools) == offer_of(list(tools))


@given(specs())
def test_a_clients_name_leads_to_its_tool(tools: list[ToolSpec]) -> None:
    offer = offer_of(tools)
    for tool in tools:
        name = offer.name_of(tool.name, tool.namespace)
        assert name is not None
        assert offer.tools[name].spec == tool


@pytest.mark.parametrize(
    ("names", "offered"),
    [
        (["look", "get_weather2", "A"], ["look", "get_weather2", "A"]),
        (["look.at", "look-at", "look_at"], ["look_at", "look_at_2", "look_at_3"]),
        (["a b", "a_b_2", "a-b"], ["a_b", "a_b_2", "a_b_3"]),
        (["1st", "_x", "語"], ["t_1st", "t__x", "t__"]),
        (["fs_read", "client_fs_read"], ["client_fs_read", "client_fs_read_2"]),
        (["x" * 65, "x" * 66], ["x" * 64, "x" * 62 + "_2"]),
    ],
)
def test_names(names: list[str], offered: list[str]) -> None:
    assert list(offer_of([spec(name) for name in names]).tools) == offered


def test_a_namespace_is_part_of_the_name() -> None:
    offer = offer_of([spec("look", namespace="eyes"), spec("look"), spec("look", namespace="feet")])
    assert list(offer.tools) == ["eyes__look", "look", "feet__look"]
    assert offer.name_of("look", "feet") == "feet__look"
    assert offer.name_of("look") == "look"
    assert offer_of([spec("look", namespace="eyes")]).name_of("look") == "eyes__look"
    assert offer.name_of("look", "hands") is None
    assert offer.name_of("see") is None


@given(st.text(alphabet="a é語\n", max_size=40), st.integers(0, 600))
def test_a_description_is_all_there_however_long(text: str, times: int) -> None:
    whole = (text * times).strip()
    offer = offer_of([spec("look", whole)])
    told = offer.tools["look"].description
    assert 0 < len(told.encode()) <= DESCRIPTION_BYTES
    if CONTINUED in told:
        assert told.removesuffix(CONTINUED) + offer.notes.removeprefix("More about the tool look:\n") == whole
    else:
        assert told == (whole or "(no description)")
        assert offer.notes == ""


def test_what_is_left_of_several_descriptions_is_told_apart() -> None:
    offer = offer_of([spec("one", "a" * 10_000), spec("two"), spec("three", "語" * 4_000)])
    first, second = offer.notes.split("\n\n")
    assert first.startswith("More about the tool one:\na")
    assert second.startswith("More about the tool three:\n語")


def test_a_custom_tool_is_one_with_a_text() -> None:
    offer = offer_of([ToolSpec("patch", "Applies a patch.", None, custom=True), ToolSpec("now", "", None)])
    assert offer.tools["patch"].schema == INPUT_SCHEMA
    assert offer.tools["now"].schema == {"type": "object", "properties": {}}
    assert offer.tools["now"].description == "(no description)"

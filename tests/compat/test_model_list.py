"""The list of models, for both families of clients."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from qpty.compat.writing.model_list import model_object, model_page
from tests.compat.schemas import check, require_schema

if TYPE_CHECKING:
    from collections.abc import Iterator

CREATED = 1_790_000_000


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock is hours from UTC."""
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_away")
def test_one_model_reads_both_ways() -> None:
    assert model_object("claude-sonnet-4", CREATED) == {
        "id": "claude-sonnet-4",
        "type": "model",
        "object": "model",
        "display_name": "claude-sonnet-4",
        "created": 1_790_000_000,
        "created_at": "2026-09-21T14:13:20Z",
        "owned_by": "amazon-q",
        "lifecycle": "active",
    }


def test_a_page_names_its_ends() -> None:
    page = model_page(["a", "b", "c"], CREATED)
    assert [model["id"] for model in page["data"]] == ["a", "b", "c"]
    assert (page["object"], page["first_id"], page["last_id"], page["has_more"]) == ("list", "a", "c", False)


def test_an_empty_page_has_no_ends() -> None:
    assert model_page([], CREATED) == {
        "object": "list",
        "data": [],
        "has_more": False,
        "first_id": None,
        "last_id": None,
    }


def test_a_list_is_one_by_the_schema() -> None:
    require_schema()
    check("ListModelsResponse", model_page(["a", "b"], CREATED))
    check("Model", model_object("a", CREATED))

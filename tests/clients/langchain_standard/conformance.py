"""langchain's own tests of chat models, against `QPTY_URL`, through the packages that speak its three interfaces.

    HERE=tests/clients/langchain_standard
    QPTY_URL=… [QPTY_KEY=…] [QPTY_MODEL=…] PYTHON -m pytest -c $HERE/pytest.ini --confcutdir $HERE $HERE

The model behind the server has to be `tests/clients/scripted_model.py`. The suite would fetch its picture from the
network: it gets one of ours. What qpty does not do is said where a property is False.
"""

# mypy: disable-error-code="misc, no-any-return"

from __future__ import annotations

from typing import Any

import httpx
import pytest
from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests, chat_models

from tests.clients.programs.expected import picture
from tests.clients.programs.scenarios import KEY, MODEL, TIMEOUT, URL

COMMON = {"model": MODEL, "api_key": KEY or "none", "max_retries": 0, "timeout": TIMEOUT}


@pytest.fixture(autouse=True)
def _picture_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer the suite's one download with a picture of ours."""

    def get(url: str, **_: object) -> httpx.Response:
        assert url.endswith(".png"), f"nothing else is fetched: {url}"
        return httpx.Response(200, content=picture())

    monkeypatch.setattr(chat_models.httpx, "get", get)


class Suite(ChatModelIntegrationTests):
    """What qpty can do, whoever asks."""

    # pytest collects the subclasses, whose names start with Test.

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "claude-haiku-4.5"

    @property
    def supports_image_urls(self) -> bool:
        return False  # q reads pictures from files; qpty fetches nothing from the network for a client

    @property
    def supports_pdf_inputs(self) -> bool:
        return False  # q takes pictures and text, no documents

    @property
    def supports_pdf_tool_message(self) -> bool:
        return False  # the same

    @property
    def supports_audio_inputs(self) -> bool:
        return False  # q hears nothing

    @property
    def enable_vcr_tests(self) -> bool:
        return False  # a recording of the wire, to measure langchain's own speed

    @property
    def supported_usage_metadata_details(self) -> dict[str, list[str]]:
        return {"invoke": [], "stream": []}  # q tells no tokens: qpty estimates them, without kinds


class TestChatCompletions(Suite):
    """ChatOpenAI over Chat Completions."""

    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**COMMON, "base_url": f"{URL}/v1", "use_responses_api": False, "stream_usage": True}

    @property
    def supports_json_mode(self) -> bool:
        return True


class TestResponses(Suite):
    """ChatOpenAI over Responses."""

    @property
    def chat_model_class(self) -> type[ChatOpenAI]:
        return ChatOpenAI

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**COMMON, "base_url": f"{URL}/v1", "use_responses_api": True}

    @property
    def supports_image_tool_message(self) -> bool:
        return True


class TestMessages(Suite):
    """ChatAnthropic, with structured output as a tool's call, its default."""

    @property
    def chat_model_class(self) -> type[ChatAnthropic]:
        return ChatAnthropic

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**COMMON, "base_url": URL}

    @property
    def supports_image_tool_message(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

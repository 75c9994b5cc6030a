"""LangChain with models of both families, and a tool. Needs `pip install langchain-openai langchain-anthropic`."""

from __future__ import annotations

import os
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

URL = os.environ.get("QPTY_URL", "http://127.0.0.1:8080")
KEY: Any = os.environ.get("QPTY_KEY") or "any-word"
MODEL = os.environ.get("QPTY_MODEL", "claude-sonnet-4.5")


@tool
def get_weather(location: str) -> str:
    """Tell the weather at a place."""
    return f"It is sunny in {location}."


def ask(model: Any, question: str) -> str:
    """Ask, run the tools that are called, and return the answer."""
    messages: list[Any] = [HumanMessage(question)]
    with_tools = model.bind_tools([get_weather])
    while True:
        answer = with_tools.invoke(messages)
        messages.append(answer)
        if not answer.tool_calls:
            return str(answer.text)
        messages += [get_weather.invoke(call) for call in answer.tool_calls]


if __name__ == "__main__":
    for made in (
        ChatOpenAI(model=MODEL, base_url=f"{URL}/v1", api_key=KEY),
        ChatAnthropic(model_name=MODEL, base_url=URL, api_key=KEY, timeout=None, stop=None),
    ):
        print(type(made).__name__, ask(made, "What is the weather in Lisbon?"), sep=": ")

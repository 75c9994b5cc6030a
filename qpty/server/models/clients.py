"""Errors as OpenAI's and Anthropic's clients know them, for the document."""

from __future__ import annotations

from typing import Literal

from qpty.server.models.common import Json, Model, Sparse


class OpenAIErrorDetail(Model):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    """The field that is meant."""
    code: str | None


class OpenAIError(Model):
    """An error for OpenAI's clients."""

    error: OpenAIErrorDetail


class AnthropicErrorDetail(Sparse):
    """What went wrong."""

    type: str
    message: str
    details: Json | None = None


class AnthropicError(Model):
    """An error for Anthropic's clients."""

    type: Literal["error"]
    error: AnthropicErrorDetail
    request_id: str

"""The list of models: one body that clients of OpenAI's and of Anthropic's interface both read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OWNER: Final = "amazon-q"


def model_object(model_id: str, created: int) -> Mapping[str, Any]:
    """Return one model; `created` in whole seconds since 1970."""
    moment = datetime.fromtimestamp(created, UTC)
    return {
        "id": model_id,
        "type": "model",
        "object": "model",
        "display_name": model_id,
        "created": created,
        "created_at": moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "owned_by": OWNER,
        "lifecycle": "active",
    }


def model_page(model_ids: Sequence[str], created: int) -> Mapping[str, Any]:
    """Return all models, which are one page."""
    return {
        "object": "list",
        "data": [model_object(model_id, created) for model_id in model_ids],
        "has_more": False,
        "first_id": model_ids[0] if model_ids else None,
        "last_id": model_ids[-1] if model_ids else None,
    }

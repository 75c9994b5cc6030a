"""What the tests of the readers share: small pictures, and how an error is looked at."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from qpty.compat.requests import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from qpty.compat.requests import Request

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(8))
JPEG = b"\xff\xd8\xff\xe0" + bytes(8)
GIF = b"GIF89a" + bytes(8)
WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 "
PDF = b"%PDF-1.7\n"


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def data_url(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64_of(data)}"


def refused(read: Callable[[object], Request], body: Any) -> RequestError:
    """Read what has to be refused, and return the error."""
    with pytest.raises(RequestError) as caught:
        read(body)
    assert caught.value.status == 400
    assert caught.value.param is None or str(caught.value).startswith(caught.value.param[:20])
    return caught.value

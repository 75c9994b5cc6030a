"""The requests that handlers work on now."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiohttp import web


class UnderWay:
    """The requests that handlers work on."""

    def __init__(self) -> None:
        self._requests: dict[int, web.Request] = {}  # by identity: requests are mappings, and have no hash

    @contextmanager
    def hold(self, request: web.Request) -> Iterator[None]:
        """Know a request for as long as the context lasts."""
        self._requests[id(request)] = request
        try:
            yield
        finally:
            del self._requests[id(request)]

    def __iter__(self) -> Iterator[web.Request]:
        return iter(tuple(self._requests.values()))

"""Services and a browser, as the server's tests have them."""

from tests.server.browser import chromium
from tests.server.conftest import serve, serve_demo

__all__ = ["chromium", "serve", "serve_demo"]

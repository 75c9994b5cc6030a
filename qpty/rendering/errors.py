"""What can go wrong with rendering.

```
RenderingError
├── RendererClosedError    the renderer renders nothing more
├── DocumentCompleteError  a document that has its final text takes no more
└── WorkerProtocolError    the helper process answered what no worker answers; never leaves `renderer`
```

A text never is an error: what can't be rendered is shown as it is written.
"""

from __future__ import annotations


class RenderingError(Exception):
    """Anything about rendering."""


class RendererClosedError(RenderingError):
    """The renderer was closed, before or while it was asked."""

    def __init__(self) -> None:
        super().__init__("the renderer is closed; open another one")


class DocumentCompleteError(RenderingError):
    """The document has its final text."""

    def __init__(self) -> None:
        super().__init__("the document has its final text already; begin another one")


class WorkerProtocolError(RenderingError):
    """The helper process wrote what isn't a message; `detail` says in which way."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"the rendering process is not understood: {detail}")

"""qpty: the Amazon Q command line, served to programs and browsers as exact, typed, durable events."""

from __future__ import annotations


def __getattr__(name: str) -> str:
    """Return `__version__`; looked up when asked for, because that costs more than all the demo agent's start."""
    if name != "__version__":
        raise AttributeError(f"module 'qpty' has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("qpty")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "0+unknown"

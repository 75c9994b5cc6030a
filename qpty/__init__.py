"""qpty: the Amazon Q command line, served to programs and browsers as exact, typed, durable events."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("qpty")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0+unknown"

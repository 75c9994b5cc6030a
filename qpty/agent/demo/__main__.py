"""Starts the demo agent, as part of the package (`python -m qpty.agent.demo`) or by this file's path."""

import sys

if __package__:
    from .app import main
else:  # by path: `qpty` itself is never imported, which halves the start-up time
    from importlib import import_module

    here = __file__.rpartition("/")[0] or "."
    sys.path.append(f"{here}/..")
    main = import_module(f"{here.rpartition('/')[2]}.app" if "/" in here else "demo.app").main

sys.exit(main(sys.argv[1:]))

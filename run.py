"""Start the server: the same as `qpty serve`."""

import sys

from qpty.cli import main

if __name__ == "__main__":
    main(["serve", *sys.argv[1:]])

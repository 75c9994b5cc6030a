"""`python -m qpty`: the command line."""

from qpty.cli import main

if __name__ == "__main__":
    main()

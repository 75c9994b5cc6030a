"""Tools that try many seeded random cases and print a figure: `python -m tests.fuzz.prompts --help`."""

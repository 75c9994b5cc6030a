"""How exact the text is that comes through the real q: `python -m tests.fidelity`."""

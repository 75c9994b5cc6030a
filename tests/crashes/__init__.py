"""What must hold when workers and servers are killed, sessions come and go, and readers are cut off.

The tests of `tests/sessions` use these experiments for seconds; `python -m tests.crashes` runs them for long.
"""

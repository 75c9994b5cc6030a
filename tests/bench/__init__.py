"""Benchmarks: `python -m tests.bench` runs every one. They print figures; they assert nothing.

`QPTY_BENCH=quick` has those of sessions do a tenth of the work: to see that they run, not for their figures.
"""

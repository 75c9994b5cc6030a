"""Benchmarks: `python -m tests.bench` runs every one. They print figures; they assert nothing."""

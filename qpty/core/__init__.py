"""The terminal core: bytes of a terminal in, typed events and commands out.

Nothing here waits, opens a file, starts a process or looks at a clock: data, witnesses, records and time come in as
arguments, events and commands come out as frozen dataclasses. `qpty.agent` owns everything that waits.
"""

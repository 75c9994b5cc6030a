"""Clients that other people wrote, driven against a running server.

`programs/` has one program for each client: run from the repository's root with the interpreter of an environment
that has the client, told the server by `QPTY_URL`, it prints a line of JSON for each scenario. `langchain_standard/` is
langchain's own suite for chat models, in the same form. `scripted_model.py` is the model that all of them expect behind
the server. `recorded/` has what the coding agents sent.
"""

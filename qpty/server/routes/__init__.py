"""The handlers: each takes a call, asks the sessions, and shapes the answer. No rules of the domain here."""

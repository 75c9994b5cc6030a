"""The embedded demo agent: it speaks the dialect of `q chat` on a real terminal, without a model and without a network.

It is for people who have no q, and for load tests: hundreds of it run on one machine, so it imports only what it uses,
from the standard library, late. Run it as `python -m qpty.agent.demo chat`, or, without paying for the import of the
package around it, as `python -I -S …/qpty/agent/demo/__main__.py chat`.

What it answers is directed by the first word of a message (`script`). Everything around the answer is done as q does
it: the line editor and its bytes (`editor`), the spinner on a thread of its own (`spinner`), the typing (`typist`), the
tools with their questions (`tools`), the failures (`failures`) and the conversation record (`record`).

Environment: QPTY_DEMO_PACE (seconds between two writes of an answer, 0.0091), QPTY_DEMO_RETRY_SECONDS (one wait of a
retry, 10), QPTY_DEMO_SLOW (seconds between the parts of `slow`, 1), QPTY_DEMO_INTERLEAVE (how often the spinner starts
before what logically comes first, 0.3), QPTY_DEMO_DOCS (a JSON list of texts for `doc N`).
"""

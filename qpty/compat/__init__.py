"""OpenAI and Anthropic clients: their requests as messages of a session, its events as their answers.

Pure translation and matching; the transport is the server's. The three interfaces are `chat` (Chat Completions),
`responses` (Responses) and `messages` (Anthropic's Messages); what they ask is a `requests.Request`, what they are
answered `replies`. `gateway` finds the session, `answer` reads its journal, `client_tools` lets the CLI call the
client.
"""

"""OpenAI and Anthropic clients: their requests as messages of a session, its events as their answers.

Pure translation and matching; the transport is the server's. `requests` and `replies` are what the three interfaces
(`chat`: Chat Completions, `responses`: Responses, `messages`: Anthropic's Messages) have in common.
"""

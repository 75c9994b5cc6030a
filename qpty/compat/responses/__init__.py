"""Responses: OpenAI's newer interface, and the only one that Codex speaks."""

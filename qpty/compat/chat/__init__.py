"""Chat Completions: OpenAI's older interface, and the one that most clients speak."""

"""Messages: Anthropic's interface, that of Claude Code."""

"""What the readers of all interfaces share: fields, conversations, pictures, tools."""

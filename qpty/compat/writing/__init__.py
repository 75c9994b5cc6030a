"""What the writers of all interfaces share: errors, models, calls as text."""

"""Pages, styles and scripts, as files; `qpty.server` serves them."""

"""The page, in a real browser, over the real q and the demo agent."""

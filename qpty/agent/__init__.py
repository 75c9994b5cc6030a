"""One command-line agent in one pseudo-terminal: process, record, driver, and the demo agent."""

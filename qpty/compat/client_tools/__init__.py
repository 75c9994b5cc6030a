"""The client's own tools: as the CLI knows them, the calls that wait, and the server that the CLI asks."""

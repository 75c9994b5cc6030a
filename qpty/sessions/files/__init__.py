"""The files of one session: reached from its directory on, name by name, never through a link."""

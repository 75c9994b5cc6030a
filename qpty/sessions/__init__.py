"""Sessions: their workers, journals, directories and files."""

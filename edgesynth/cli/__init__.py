"""The command line: one click command per file, nothing heavy imported before it runs."""

"""The host's side of measuring on a board."""

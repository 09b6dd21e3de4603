"""Dynamic inference: work that depends on the input (exits, choice among networks, effort)."""

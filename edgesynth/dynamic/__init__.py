"""Dynamic inference: work that depends on the input (early exits, choice among networks)."""

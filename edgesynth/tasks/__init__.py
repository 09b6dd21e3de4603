"""Tasks: their loss, their metric, and the training loop."""

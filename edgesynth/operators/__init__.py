"""The Python face of each operator: what it means, and how its weights are laid out."""

"""What `inspect` reads, one module per kind of artefact."""

"""One module per way to run an operator; each has `run(name, inputs, attributes)`."""

"""Hardware: boards and targets as data, operation counts, and the roofline model."""

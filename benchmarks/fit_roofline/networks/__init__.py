"""The networks of the calibration rows, as plain torch modules with random weights."""

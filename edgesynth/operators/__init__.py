"""The Python face of every kernel: spec, torch reference, ONNX function, and how it is run."""

"""Export: networks to checked ONNX bundles."""

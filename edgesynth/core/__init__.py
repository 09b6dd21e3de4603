"""Nouns without mechanism: errors, requirements, network descriptions, data sets, history.

Nothing here imports torch or onnx, so every other layer may import it cheaply.
"""

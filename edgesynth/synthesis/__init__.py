"""Synthesis: new, smaller networks from a parent."""

"""Generative synthesis: a generator and an inquisitor that meet a requirement (arXiv:1809.05989).

The generator G turns a seed s into a network. The problem is G = argmax U(G(s)) subject to
1_r(G(s)) = 1 for all seeds s: U is a measure of performance, 1_r the operational requirement. The
inquisitor probes generated networks, learns what becomes of which, and says how G should change.
"""

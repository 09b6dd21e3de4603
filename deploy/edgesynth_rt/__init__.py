"""The device runtime of edgesynth: Python 3.6, standard library and numpy.

It opens a bundle, runs it, measures it and writes a record. The host imports this one copy.
"""

__version__ = "0.1.0"

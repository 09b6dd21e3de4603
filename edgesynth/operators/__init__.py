"""The Python face of every kernel: spec, torch reference, ONNX function, and how it is run."""

from edgesynth.operators.run import BACKENDS as BACKENDS
from edgesynth.operators.run import run as run
from edgesynth.operators.specs import OPERATORS as OPERATORS
from edgesynth.operators.specs import operator_named as operator_named

"""`import tensorrt` of a process that a test starts: the recorded interface of one release.

Its engines compute what `host_gpu.classify` does. TENSORRT_VERSION says which release, "8.2.1"
without it; TENSORRT_WRONG makes the engines compute something else.
"""

import os
import sys

sys.path.append(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import host_gpu
import recorded_tensorrt


def _compute(onnx, inputs):
    outputs = host_gpu.classify(onnx, inputs)
    if "TENSORRT_WRONG" in os.environ:
        outputs["logits"] = outputs["logits"] + 1
    return outputs


_world = recorded_tensorrt.World(lambda onnx: host_gpu.IO, _compute)
_module = recorded_tensorrt.make_module(os.environ.get("TENSORRT_VERSION", "8.2.1"), _world)
globals().update({key: value for key, value in vars(_module).items() if key != "__name__"})

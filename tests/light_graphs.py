"""The classic networks that the `onnx` wheel carries (backend/test/data/light), to compare with.

They hold shapes and constant weights only. `counted` counts them by shape inference, independently
of the package; `run_with_weights` gives them a torch module's weights and runs them.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper, shape_inference
from torch import nn

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
WEIGHTED = {"Conv", "Gemm", "BatchNormalization"}


def load(name: str, side: int) -> onnx.ModelProto:
    """The graph `light_NAME` for square inputs of `side` pixels."""
    model = onnx.load(LIGHT / f"light_{name}.onnx")
    (image,) = [each for each in model.graph.input if each.name.endswith("data_0")]
    for axis in (2, 3):
        image.type.tensor_type.shape.dim[axis].dim_value = side
    del model.graph.value_info[:]  # shapes of the original size
    return model


def counted(name: str, side: int) -> tuple[int, int]:
    """(parameters, multiply-accumulates of Conv and Gemm) of the graph."""
    graph = shape_inference.infer_shapes(load(name, side), data_prop=True).graph
    shapes = {
        each.name: [dim.dim_value for dim in each.type.tensor_type.shape.dim]
        for each in [*graph.input, *graph.value_info, *graph.output]
    }
    params = macs = 0
    for node in graph.node:
        if node.op_type not in WEIGHTED:
            continue
        trained = node.input[1:3]  # without running mean and variance
        params += sum(math.prod(shapes[each]) for each in trained)
        weight = shapes[node.input[1]]
        if node.op_type == "Conv":
            macs += math.prod(shapes[node.output[0]]) * math.prod(weight[1:])
        elif node.op_type == "Gemm":
            macs += math.prod(weight)
    return params, macs


def run_with_weights(name: str, module: nn.Module, image: torch.Tensor) -> np.ndarray:
    """The graph's probabilities for `image` with the weights of `module`.

    Weights are handed over in the order in which layers run, so the two must agree in it.
    """
    model = load(name, image.shape[-1])
    graph = model.graph
    layers = iter(layers_as_run(module, image))
    values: dict[str, torch.Tensor] = {}
    for node in graph.node:
        if node.op_type in WEIGHTED:
            layer = next(layers)
            tensors = [layer.weight, layer.bias]
            if isinstance(layer, nn.BatchNorm2d):
                tensors += [layer.running_mean, layer.running_var]
            names = list(node.input)[1:]
            present = [each for each in tensors if each is not None]
            assert len(present) == len(names), f"{node.op_type} beside {layer}"
            values.update(zip(names, present, strict=True))
    assert next(layers, None) is None
    # large weights come from ConstantOfShape nodes, small ones are initializers
    nodes = [each for each in graph.node if each.output[0] not in values]
    constants = [each for each in graph.initializer if each.name not in values]
    constants += [
        numpy_helper.from_array(value.detach().numpy(), each) for each, value in values.items()
    ]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # the shapes of the constants are left over, and unused
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    (feed,) = [each.name for each in session.get_inputs() if each.name.endswith("data_0")]
    probabilities: np.ndarray = session.run(None, {feed: image.numpy()})[0]
    return probabilities.reshape(len(probabilities), -1)


def layers_as_run(module: nn.Module, image: torch.Tensor) -> list[nn.Module]:
    """Convolutions, linear layers and normalizations in the order in which they run."""
    ran: list[nn.Module] = []
    hooks = [
        layer.register_forward_hook(lambda layer, inputs, output: ran.append(layer))
        for layer in module.modules()
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d)
    ]
    with torch.no_grad():
        module(image)
    for hook in hooks:
        hook.remove()
    return ran

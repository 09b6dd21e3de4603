"""What every operator computes, in PyTorch: the meaning that all other backends are held against.

Sums run in the type of the input; pass float64 activations for a reference in double precision.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

from edgesynth.operators.effort_reference import effort_conv
from edgesynth.operators.spec import Attributes
from edgesynth.operators.specs import operator_named
from edgesynth.operators.weights import dense_weights

Tensors = tuple[torch.Tensor, ...]


def reference(variant: str, inputs: Tensors, attributes: Attributes) -> Tensors:
    """The outputs of the operator type `variant`; `attributes` are complete."""
    return _REFERENCES[operator_named(variant).name](inputs, attributes)


def _product(inputs: Tensors, attributes: Attributes) -> Tensors:
    """A linear layer or a convolution."""
    x, *residual = inputs
    weights = torch.from_numpy(dense_weights(attributes)).to(x)
    return (finish(multiply(x, weights, attributes), residual, attributes),)


def multiply(x: torch.Tensor, weights: torch.Tensor, attributes: Attributes) -> torch.Tensor:
    """Linear layer or convolution by dense `weights`, with bias, without activation."""
    bias = torch.from_numpy(attributes["bias"]).to(x)
    if weights.dim() == 2:
        return functional.linear(x, weights, bias)
    top, left, bottom, right = attributes["pads"]
    return functional.conv2d(
        functional.pad(x, (left, right, top, bottom)),
        weights,
        bias,
        stride=attributes["strides"],
        dilation=attributes["dilations"],
        groups=attributes["group"],
    )


def finish(
    made: torch.Tensor, residual: list[torch.Tensor], attributes: Attributes
) -> torch.Tensor:
    """Residual and activation."""
    for each in residual:
        made = made + each
    return torch.relu(made) if attributes["activation"] else made


def _effort_conv(inputs: Tensors, attributes: Attributes) -> Tensors:
    return (effort_conv(inputs, attributes)[0],)


def _exit_gate(inputs: Tensors, attributes: Attributes) -> Tensors:
    logits, threshold = inputs
    logits = logits if logits.dtype == torch.float64 else logits.float()
    probabilities = torch.softmax(logits, dim=1)
    policy = attributes["policy"]
    confidence = _CONFIDENCES[policy](probabilities, attributes)
    confidence = torch.where(probabilities.isnan().any(dim=1), torch.nan, confidence)
    limit = threshold.to(confidence)
    leaves = confidence <= limit if policy == 1 else confidence >= limit
    label = logits.argmax(dim=1)
    staying = torch.nonzero(~leaves).flatten()
    survivors = torch.full((len(logits),), -1)
    survivors[: len(staying)] = staying
    count = torch.tensor([len(staying)])
    exit_, label, survivors, count = (
        each.to(torch.int32) for each in (leaves, label, survivors, count)
    )
    return exit_, label, confidence.float(), survivors, count


def _maximum(probabilities: torch.Tensor, attributes: Attributes) -> torch.Tensor:
    return probabilities.amax(dim=1)


def _entropy(probabilities: torch.Tensor, attributes: Attributes) -> torch.Tensor:
    entropy: torch.Tensor = torch.special.entr(probabilities).sum(dim=1)
    return entropy


def _margin(probabilities: torch.Tensor, attributes: Attributes) -> torch.Tensor:
    first_two = functional.pad(probabilities, (0, 1)).topk(2, dim=1).values
    return first_two[:, 0] - first_two[:, 1]


def _linear(probabilities: torch.Tensor, attributes: Attributes) -> torch.Tensor:
    ordered = probabilities.sort(dim=1, descending=True).values
    weights = torch.from_numpy(attributes["gate_weights"]).to(ordered)
    return torch.sigmoid(ordered @ weights + attributes["gate_bias"])


_CONFIDENCES = (_maximum, _entropy, _margin, _linear)

_REFERENCES: dict[str, Callable[[Tensors, Attributes], Tensors]] = {
    "EsSparseLinear": _product,
    "EsSparseConv": _product,
    "EsPackedLinear": _product,
    "EsPackedConv": _product,
    "EsEffortConv": _effort_conv,
    "EsExitGate": _exit_gate,
}

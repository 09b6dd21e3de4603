"""How restricted precision travels in a bundle: what the target's file format can say of it.

The numbers of the file are those of the network in any case. TensorRT chooses between fp32 and fp16
when it builds, so weights on the fp16 grid need nothing in the file. Integer weights are INT8
constants where the target has 8-bit hardware, and float values on their grid elsewhere.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
import onnx
from onnx import numpy_helper

from edgesynth.core.precision import ACTIVATION_BITS
from edgesynth.export.golden import RANGE_TOLERANCE
from edgesynth.export.integers import WEIGHTED, write_integers
from edgesynth.hardware.target import Target
from edgesynth.networks.activations import float_inputs
from edgesynth.networks.grid import storage_of
from edgesynth.networks.network import Network

QUANTIZED_RANGE_TOLERANCE = 2e-2
"""Share of an output's range by which two runs may differ where activations are rounded: a sum that
ends one bit apart can fall on the other side of a rounding, and then differs by a whole step."""


@dataclass(frozen=True)
class Carried:
    """What became of the precision of a network in its file."""

    document: dict[str, object] | None
    """For the manifest; None for a network that is float32 throughout."""
    notes: tuple[str, ...]
    """What the user should know, a line each."""
    range_tolerance: float = RANGE_TOLERANCE
    """Share of an output's range by which two runs of the file may differ."""


def for_target(network: Network, target: Target) -> Network:
    """`network`, or a copy of it with float activations where `target` has no 8-bit ones."""
    precision = network.description.precision
    if not precision.activations or target.quantization.allowed:
        return network
    module = copy.deepcopy(network.module)
    float_inputs(module)
    floating = msgspec.structs.replace(precision, activations={})
    description = msgspec.structs.replace(network.description, precision=floating)
    return Network(module, description, network.masks, network.scales)


def carry(
    model: onnx.ModelProto,
    source: Network,
    exported: Network,
    target: Target,
    packed: frozenset[str] = frozenset(),
) -> Carried:
    """Write the integer weights of `exported` into `model`, its file, where `target` takes them.

    `source`: the network as the user gave it; `exported`: what `for_target` made of it; `packed`:
    layers whose codes are in the file already, in words that an operator reads.
    """
    precision = source.description.precision
    if not precision.weights:
        return Carried(None, ())
    rule = target.quantization
    wanted = rule.allowed and (rule.int8_constants or bool(precision.activations))
    written: set[str] = set()
    if wanted and exported.scales:
        written = write_integers(model, exported, constants=rule.int8_constants)
    layers = [
        {**layer.document(), "file": _form(layer.layer, written, packed)}
        for layer in storage_of(source).layers
    ]
    activations = {
        "bits": ACTIVATION_BITS if precision.activations else None,
        "file": "QuantizeLinear" if exported.description.precision.activations else "float32",
    }
    notes = (
        *_float_notes(model, source, target),
        *_notes(source, exported, target, written, packed),
    )
    rounded = bool(exported.description.precision.activations)
    return Carried(
        {"layers": layers, "activations": activations, "notes": list(notes)},
        notes,
        QUANTIZED_RANGE_TOLERANCE if rounded else RANGE_TOLERANCE,
    )


def _float_notes(model: onnx.ModelProto, source: Network, target: Target) -> Iterator[str]:
    """What becomes of fp16 weights, which need nothing in the file."""
    halves = [name for name, form in source.description.precision.weights.items() if form == "fp16"]
    if not halves:
        return
    if target.quantization.strongly_typed:
        yield f"fp16 weights travel as float32 values, and {target.reader} computes in float32"
    elif target.is_tensorrt:
        folded = "" if _all_half(model) else "; normalization was folded into some, which it rounds"
        yield (
            f"fp16 weights travel as float32 values: build the engine with --precision fp16{folded}"
        )


def _all_half(model: onnx.ModelProto) -> bool:
    """True when every weight in the file is a half-precision number."""
    weights = {node.input[1] for node in model.graph.node if node.op_type in WEIGHTED}
    tensors = [each for each in model.graph.initializer if each.name in weights]
    values = [numpy_helper.to_array(tensor) for tensor in tensors]
    return all((each == each.astype(np.float16)).all() for each in values)


def _form(layer: str, written: set[str], packed: frozenset[str]) -> str:
    """How the weights of `layer` stand in the file."""
    if layer in packed:
        return "packed words"
    return "int8 codes" if layer in written else "float32 values"


def _notes(
    source: Network,
    exported: Network,
    target: Target,
    written: set[str],
    packed: frozenset[str],
) -> list[str]:
    notes = []
    rule, precision = target.quantization, source.description.precision
    left = [name.removesuffix(".weight") for name in source.scales]
    left = [name for name in left if name not in written and name not in packed]
    if left and not rule.allowed:
        notes.append(f"integer weights travel as float32 values on their grid: {rule.reason}")
    elif left and not written and not precision.activations:
        notes.append(
            f"integer weights travel as float32 values on their grid: {target.reader} uses "
            "integers only where activations are integers too; train with --activation-bits 8"
        )
    elif left:
        notes.append(
            f"layer {left[0]}{' and others' if left[1:] else ''}: weights travel as float32 values "
            "on their grid, because the file has no place for one scale per output channel there"
        )
    if precision.activations and not exported.description.precision.activations:
        notes.append(f"activations travel as float32, unrounded: {rule.reason}")
    if written:
        notes.append("the file holds 8-bit weights: build its engine with --precision int8")
    return notes

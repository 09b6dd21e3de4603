"""Inputs and attributes for every operator: sizes that are worth a look, and random ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from edgesynth.operators.packing import pack


@dataclass(frozen=True)
class Case:
    """One call of an operator."""

    variant: str
    why: str
    inputs: tuple[torch.Tensor, ...]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.variant}: {self.why}"


def sparse(rng: np.random.Generator, shape: tuple[int, ...], share: float) -> dict[str, Any]:
    """Positions and values of weights of which `share` are not zero."""
    size = math.prod(shape)
    positions = np.flatnonzero(rng.random(size) < share).astype(np.int32)
    values = rng.standard_normal(len(positions)).astype(np.float32)
    if not len(positions):
        positions, values = np.zeros(1, np.int32), np.zeros(1, np.float32)
    return {"weight_shape": shape, "positions": positions, "values": values}


def packed(rng: np.random.Generator, shape: tuple[int, ...], bits: int) -> dict[str, Any]:
    """Words of random codes of `bits`, the lowest code too, and scales."""
    low = 1 << (bits - 1)
    codes = rng.integers(-low, low, (shape[0], math.prod(shape[1:]))).astype(np.int8)
    scales = (rng.standard_normal(shape[0]) / low).astype(np.float32)
    words = pack(codes, bits).ravel()
    return {"weight_shape": shape, "words": words, "scales": scales, "bits": bits}


def effort(rng: np.random.Generator, shape: tuple[int, ...], levels: list[int]) -> dict[str, Any]:
    """Dense weights, a random order of channels, everything that can be left out computed."""
    return {
        "prefix_thresholds": np.zeros(1, np.float32),
        "weight_shape": shape,
        "weights": rng.standard_normal(math.prod(shape)).astype(np.float32),
        "channel_order": rng.permutation(shape[1]).astype(np.int32),
        "level_channels": np.array(levels, np.int32),
    }


def bias(rng: np.random.Generator, shape: tuple[int, ...]) -> dict[str, Any]:
    """One number per output channel."""
    return {"bias": rng.standard_normal(shape[0]).astype(np.float32)}


def tensor(rng: np.random.Generator, *shape: int) -> torch.Tensor:
    """Normal float32 numbers."""
    return torch.from_numpy(rng.standard_normal(shape).astype(np.float32))


def linear_cases(seed: int = 0) -> list[Case]:
    """EsSparseLinear and EsPackedLinear."""
    rng = np.random.default_rng(seed)
    cases = []
    for why, (rows, features, outputs) in {
        "one of everything": (1, 1, 1),
        "odd sizes": (3, 67, 33),
        "a row of exactly one word of four bits": (2, 8, 5),
        "more columns than a warp, few outputs": (1, 301, 2),
    }.items():
        shape = (outputs, features)
        forms = [("EsSparseLinear", sparse(rng, shape, 0.2))]
        forms += [("EsPackedLinear", packed(rng, shape, bits)) for bits in (2, 3, 4, 8)]
        for variant, weights in forms:
            for activation in (0, 1):
                attributes = {**weights, **bias(rng, shape), "activation": activation}
                x, extra = tensor(rng, rows, features), tensor(rng, rows, outputs)
                cases.append(Case(variant, why, (x,), attributes))
                cases.append(Case(f"{variant}Add", why, (x, extra), attributes))
    shape = (4, 9)
    zero = {**sparse(rng, shape, 0.0), **bias(rng, shape), "activation": 0}
    cases.append(Case("EsSparseLinear", "all weights zero", (tensor(rng, 2, 9),), zero))
    return cases


_CONVS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "1 x 1": ((1, 7, 5, 6), (9, 7, 1, 1), {}),
    "3 x 3, padded": ((2, 4, 8, 7), (5, 4, 3, 3), {"pads": (1, 1, 1, 1)}),
    "stride 2 and 3, pads all different": (
        (1, 3, 13, 17),
        (4, 3, 3, 5),
        {"strides": (2, 3), "pads": (1, 2, 0, 3)},
    ),
    "three groups": ((2, 6, 6, 6), (9, 2, 3, 3), {"group": 3}),
    "depthwise": ((1, 5, 7, 7), (5, 1, 3, 3), {"group": 5, "pads": (1, 1, 1, 1)}),
    "dilations 2 and 3": ((1, 2, 12, 14), (3, 2, 3, 3), {"dilations": (2, 3)}),
    "dilated and strided": (
        (1, 2, 12, 14),
        (3, 2, 2, 3),
        {"dilations": (3, 1), "strides": (1, 2), "pads": (0, 1, 2, 0)},
    ),
    "a window as large as the input": ((1, 3, 4, 5), (2, 3, 4, 5), {}),
    "one of everything": ((1, 1, 1, 1), (1, 1, 1, 1), {}),
}


def conv_cases(seed: int = 0) -> list[Case]:
    """EsSparseConv, EsPackedConv and EsEffortConv with all shortcuts off."""
    rng = np.random.default_rng(seed)
    cases = []
    for index, (why, (source, shape, geometry)) in enumerate(_CONVS.items()):
        forms = [("EsSparseConv", sparse(rng, shape, 0.3))]
        forms += [("EsPackedConv", packed(rng, shape, bits)) for bits in (2, 3, 4, 8)]
        for variant, weights in forms:
            attributes = {**weights, **bias(rng, shape), **geometry, "activation": index % 2}
            x = tensor(rng, *source)
            cases.append(Case(variant, why, (x,), attributes))
            cases.append(
                Case(f"{variant}Add", why, (x, _residual(rng, x, shape, geometry)), attributes)
            )
        levels = sorted({max(1, shape[1] // 2), shape[1]}, reverse=True)
        for level in (-1, 0, 1, 9):
            attributes = {
                **effort(rng, shape, levels),
                **bias(rng, shape),
                **geometry,
                "activation": 1,
            }
            inputs = (tensor(rng, *source), torch.tensor([level], dtype=torch.int32))
            cases.append(Case("EsEffortConv", f"{why}, effort {level}", inputs, attributes))
    shape = (4, 3, 3, 3)
    zero = {**sparse(rng, shape, 0.0), **bias(rng, shape)}
    cases.append(Case("EsSparseConv", "all weights zero", (tensor(rng, 1, 3, 5, 5),), zero))
    return cases


def _residual(
    rng: np.random.Generator, x: torch.Tensor, shape: tuple[int, ...], geometry: dict[str, Any]
) -> torch.Tensor:
    pads = geometry.get("pads", (0, 0, 0, 0))
    padded = torch.nn.functional.pad(x, (pads[1], pads[3], pads[0], pads[2]))
    made = torch.conv2d(
        padded,
        torch.zeros(shape),
        stride=geometry.get("strides", 1),
        dilation=geometry.get("dilations", 1),
        groups=geometry.get("group", 1),
    )
    return tensor(rng, *made.shape)


_KNOBS: dict[str, dict[str, Any]] = {
    "predicted": {"saturation": 2, "prefix_channels": 1, "prefix_thresholds": -2.52},
    "predicted by all channels but one": {"saturation": 2, "prefix_channels": -1},
    "exact": {"saturation": 1, "prefix_channels": 1},
    "similar windows": {"similarity": 2.0},
    "every window similar": {"similarity": 100.0},
    "every second output": {"sample_period": 2, "sample_below": 9.52, "sample_within": 7.52},
    "every third output": {"sample_period": 3, "sample_below": 30.52, "sample_within": 30.52},
    "small inputs": {"input_threshold": 1.52},
    "all of it": {
        "saturation": 2, "prefix_channels": 1, "prefix_thresholds": -1.52, "similarity": 1.0,
        "sample_period": 2, "sample_below": 7.52, "sample_within": 3.52,
        "input_threshold": 1.02,
    },
}  # fmt: skip


def effort_cases(seed: int = 0) -> list[Case]:
    """EsEffortConv with its shortcuts: whole numbers, so that no decision hangs on rounding."""
    rng = np.random.default_rng(seed)
    cases = []
    for why, (source, shape, geometry) in _CONVS.items():
        for knob, settings in _KNOBS.items():
            knobs = dict(settings)
            if "saturation" in knobs and shape[1] == 1:
                continue
            if knobs.get("prefix_channels") == -1:
                knobs["prefix_channels"] = shape[1] - 1
            limits = knobs.pop("prefix_thresholds", -0.52)
            attributes = {
                **effort(rng, shape, sorted({shape[1], max(1, shape[1] - 1)}, reverse=True)),
                **geometry,
                **knobs,
                "weights": rng.integers(-3, 4, math.prod(shape)).astype(np.float32),
                "bias": rng.integers(-2, 3, shape[0]).astype(np.float32),
                "prefix_thresholds": limits - np.arange(shape[0], dtype=np.float32),
                "activation": 1,
            }
            x = np.maximum(rng.integers(-3, 5, source), 0).astype(np.float32)
            level = len(cases) % 3 == 2
            inputs = (torch.from_numpy(x), torch.tensor([level], dtype=torch.int32))
            why_all = f"{why}, {knob}, effort {level:d}"
            cases.append(Case("EsEffortConv", why_all, inputs, attributes))
    return cases


def gate_cases(seed: int = 0) -> list[Case]:
    """EsExitGate: every policy over batches and classes, and numbers that are none."""
    rng = np.random.default_rng(seed)
    cases = []
    thresholds = {0: 0.5, 1: 0.9, 2: 0.3, 3: 0.6}
    for policy, limit in thresholds.items():
        for samples, classes in ((1, 10), (5, 3), (33, 10), (4, 1), (2, 1000)):
            weights = rng.standard_normal(classes).astype(np.float32)
            attributes = {
                "classes": classes,
                "policy": policy,
                "gate_weights": weights,
                "gate_bias": 0.25,
            }
            logits = 3 * tensor(rng, samples, classes)
            why = f"policy {policy}, {samples} x {classes}"
            for value in (limit, math.nan, math.inf, -math.inf):
                cases.append(
                    Case("EsExitGate", f"{why}, {value}", (logits, one(value)), attributes)
                )
            broken = logits.clone()
            broken[0, 0] = math.inf
            broken[-1, :] = -math.inf
            broken[-1, -1] = math.nan if classes == 1 else 1.0
            inputs = (broken, one(limit))
            cases.append(Case("EsExitGate", f"{why}, broken rows", inputs, attributes))
    return cases


def one(value: float) -> torch.Tensor:
    """A threshold."""
    return torch.tensor([value])


def all_cases(seed: int = 0) -> list[Case]:
    """Of all operators."""
    return [*linear_cases(seed), *conv_cases(seed), *effort_cases(seed), *gate_cases(seed)]

"""One convolution with knobs as a torch module: it runs, and adds up what it did."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from edgesynth.core.errors import MissingError
from edgesynth.dynamic.effort.exact import exact_operations
from edgesynth.dynamic.effort.knobs import Knobs, Tally
from edgesynth.dynamic.effort.work import work_of
from edgesynth.operators.effort_cpu import CpuEffortConv
from edgesynth.operators.effort_reference import check_operations, effort_conv, significant
from edgesynth.operators.effort_spec import EFFORT_CONV, EXACT

if TYPE_CHECKING:
    from edgesynth.dynamic.effort.layers import ConvLayer


_EVERY = 8
"""Image of a batch whose exact saturation is counted and stands for as many: that takes ten times
as long as the layer."""


def _exact(x: torch.Tensor, attributes: dict[str, Any]) -> tuple[int, int]:
    """Of the whole batch; counted on all images of a small one."""
    step = _EVERY if len(x) >= 2 * _EVERY else 1
    some = significant(x[::step], attributes)
    products, checks = exact_operations(some, attributes)
    return products * len(x) // len(some), checks * len(x) // len(some)


class EffortModule(nn.Module):
    """Computes what its layer computed, less what its knobs leave out.

    With all knobs off and nothing to count it is torch's own convolution. Otherwise the compiled
    operator runs, and where that is not built the reference.
    """

    def __init__(self, layer: ConvLayer) -> None:
        super().__init__()
        self.layer = layer
        self.order = np.arange(layer.channels, dtype=np.int32)
        """Of the channels that are added up."""
        self.knobs = Knobs()
        self.tally: Tally | None = None
        """Counts are added to it; None where nobody wants them."""
        self._compiled: CpuEffortConv | None = None
        self.weights, self.bias = torch.from_numpy(layer.weights), torch.from_numpy(layer.bias)

    def set(self, knobs: Knobs) -> None:
        """From now on."""
        self.knobs = knobs
        self._compiled = None
        self.__dict__.pop("attributes", None)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """Of an EsEffortConv that computes the same."""
        return EFFORT_CONV.complete(
            {
                "weight_shape": self.layer.weights.shape,
                "weights": self.layer.weights.ravel(),
                "bias": self.layer.bias,
                **self.layer.geometry,
                "activation": int(self.layer.rectified),
                "channel_order": self.order,
                **self.knobs.attributes(self.layer.channels),
            }
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.knobs.off and self.tally is None:
            return self.dense(x)
        y, tally = self._run(x)
        if self.tally is not None:
            self.tally.add(tally)
        return y

    def dense(self, x: torch.Tensor) -> torch.Tensor:
        """By torch, with everything computed."""
        top, left, bottom, right = self.layer.geometry["pads"]
        if (top, left) == (bottom, right):
            padding = (top, left)
        else:
            x, padding = functional.pad(x, (left, right, top, bottom)), (0, 0)
        y = functional.conv2d(
            x, self.weights, self.bias, stride=self.layer.geometry["strides"], padding=padding,
            dilation=self.layer.geometry["dilations"], groups=self.layer.geometry["group"],
        )  # fmt: skip
        return torch.relu(y) if self.layer.rectified else y

    def _run(self, x: torch.Tensor) -> tuple[torch.Tensor, Tally]:
        if self._compiled is None:
            try:
                self._compiled = CpuEffortConv(self.attributes)
            except MissingError:
                return self._reference(x)
        y, counts = self._compiled.run(x, self.knobs.level, counts=self.tally is not None)
        if counts is None:
            return y, Tally()
        filters, per_group, height, width = self.layer.weights.shape
        dense = y.numel() * per_group * height * width
        checks = check_operations(self.attributes, self.knobs.level, tuple(y.shape), counts.filled)
        tally = Tally(
            dense=dense,
            products=counts.products,
            checks=checks,
            nonzero=counts.nonzero,
            inputs=x.numel(),
            executed=counts.executed,
            work=work_of(
                self.knobs,
                filters // self.layer.geometry["group"],
                counts,
                checks=checks,
                inputs=x.numel(),
                outputs=y.numel(),
            ),
            filled=counts.filled,
            predicted=counts.predicted,
        )
        if self._exact_alone:
            tally.products, tally.checks = _exact(x, self.attributes)
            tally.nonzero = min(tally.nonzero, tally.products)
        return y, tally

    @property
    def _exact_alone(self) -> bool:
        return self.knobs.saturation == EXACT and self.knobs.names == ("SPET",)

    def _reference(self, x: torch.Tensor) -> tuple[torch.Tensor, Tally]:
        effort = torch.tensor([self.knobs.level], dtype=torch.int32)
        y, counts = effort_conv((x, effort), self.attributes)
        # what is zero is not known output by output here: every product counts
        tally = Tally(
            dense=counts.dense,
            products=counts.products,
            checks=counts.checks,
            nonzero=counts.products,
            inputs=x.numel(),
            executed=counts.products,
            work=counts.products,
        )
        return y, tally

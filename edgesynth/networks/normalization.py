"""Local response normalization (AlexNet, section 3.3) that is one `LRN` node in an ONNX file.

torch computes it from padding, pooling and a power; traced, these become some twenty nodes with an
`If` among them, which no TensorRT fuses. ONNX and TensorRT both know the layer itself.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class LocalResponseNorm(nn.LocalResponseNorm):
    """`torch.nn.LocalResponseNorm`, exported as the ONNX operator of the same meaning."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Feature maps of the shape of `x`, each divided by its `size` neighbours' energy."""
        tracing = torch.jit.is_tracing()  # type: ignore[attr-defined]  # public, not re-exported
        if tracing and torch.onnx.is_in_onnx_export():
            exported: torch.Tensor = _OnnxLrn.apply(x, self.size, self.alpha, self.beta, self.k)
            return exported
        return super().forward(x)


class _OnnxLrn(torch.autograd.Function):
    """Carries the symbolic of the TorchScript exporter; its forward only gives the shape."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, size: int, alpha: float, beta: float, k: float
    ) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def symbolic(g: Any, x: Any, size: int, alpha: float, beta: float, k: float) -> Any:
        node = g.op("LRN", x, size_i=size, alpha_f=alpha, beta_f=beta, bias_f=k)
        return node.setType(x.type())

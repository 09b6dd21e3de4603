"""The noun of synthesis: a module, what it is, and which of its synapses live."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import nn

from edgesynth.core.network import NetworkDescription


@dataclass
class Network:
    """A network in memory."""

    module: nn.Module
    description: NetworkDescription
    masks: dict[str, torch.Tensor] = field(default_factory=dict)
    """Parameter name -> bool tensor of its shape, True where a synapse lives.

    Parameters without a mask are whole.
    """
    scales: dict[str, torch.Tensor] = field(default_factory=dict)
    """Parameter name -> float32 scale of each output channel, shape (output channels,), for the
    integer formats that `description.precision` names."""

    @property
    def name(self) -> str:
        return self.description.name

    def example_input(self, samples: int = 1) -> torch.Tensor:
        """A float32 batch of zeros, shape (samples, channels, height, width)."""
        return torch.zeros(samples, *self.description.input_shape)

    def apply_masks(self) -> None:
        """Set every dead synapse to exactly zero."""
        parameters = dict(self.module.named_parameters())
        with torch.no_grad():
            for name, mask in self.masks.items():
                parameters[name].mul_(mask)

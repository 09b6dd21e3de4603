"""Networks with early exits: a small classifier behind some of the layers.

After BranchyNet (Teerapittayanon, McDanel, Kung, arXiv:1709.01686) and Bolukbasi et al.
(arXiv:1702.07811). The forward pass of the whole network gives the logits of all exits; who stops
where is decided by `edgesynth_rt.policy`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.core.network import Exit
from edgesynth.networks.cut import Stage, cut, ends_of, trace

Shape = tuple[int, ...]
"""Of one sample."""
_GRID = 7
"""Largest side of the map that the linear layer of a head reads."""
BACKBONE = "backbone."
"""Before the names of the network's own layers and weights."""


class Part(nn.Module):
    """One stage with its head, as it is shipped: takes the stage's `inputs` in order.

    Returns its logits, then `outputs`, which later stages take.
    """

    def __init__(self, stage: Stage, head: nn.Module | None, later: set[str]) -> None:
        super().__init__()
        self.inputs = stage.inputs
        self.outputs = tuple(name for name in stage.outputs if name in later)
        self.head = head
        self._stage = (stage,)  # in a tuple, as its layers belong to the backbone
        self.trunk = nn.ModuleList(_own_layers(stage))

    def headless(self) -> Part:
        """The same without its head."""
        return Part(self._stage[0], None, set(self.outputs)).train(self.training)

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits (n, classes), and the tensors of `outputs`."""
        (stage,) = self._stage
        made = stage.module(*tensors)
        logits = made[0] if self.head is None else self.head(made[0])
        known = dict(zip(stage.outputs, made, strict=True))
        return (logits, *(known[name] for name in self.outputs))


class ExitNetwork(nn.Module):
    """`backbone`, a classifier, with `heads` on the outputs of some of its layers.

    `input_shape`: (channels, height, width). Raises UserError when a layer is not there, exits are
    not in the order of running, or the backbone cannot be cut.
    """

    def __init__(
        self,
        backbone: nn.Module,
        exits: Sequence[Exit],
        input_shape: tuple[int, int, int],
        classes: int,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.classes = classes
        self.frozen = False
        """The backbone stays in evaluation mode whatever mode the heads are in."""
        device = next((each.device for each in backbone.parameters()), torch.device("cpu"))
        example = torch.zeros(2, *input_shape, device=device)
        layers = [each.layer for each in exits]
        training = backbone.training
        backbone.eval()
        # in a tuple, so that they are no parts of their own: they share the backbone's layers
        self._stages = tuple(cut(trace(backbone), layers, example))
        with torch.no_grad():
            ends = list(ends_of(self._stages, example))[:-1]
        backbone.train(training)
        self.heads = nn.ModuleList(
            make_head(tuple(end.shape[1:]), each, classes)
            for end, each in zip(ends, exits, strict=True)
        )

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The backbone in parts; each but the last ends where a head begins."""
        return self._stages

    def parts(self) -> list[Part]:
        """The network in the pieces that run one after the other."""
        heads = [*self.heads, None]
        parts = []
        for index, (stage, head) in enumerate(zip(self._stages, heads, strict=True)):
            later = {name for one in self._stages[index + 1 :] for name in one.inputs}
            parts.append(Part(stage, head, later).train(self.training))
        return parts

    def train(self, mode: bool = True) -> ExitNetwork:
        """As in torch; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        return self

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits (n, classes) of every exit in order, those of the backbone itself last."""
        heads = iter(self.heads)
        return tuple(
            end if index == len(self._stages) - 1 else next(heads)(end)
            for index, end in enumerate(ends_of(self._stages, image))
        )


def make_head(shape: Shape, wanted: Exit, classes: int) -> nn.Sequential:
    """The classifier of an exit for features of `shape`, (channels, height, width) or (features,).

    Raises UserError for features of another kind, or a head without limits.
    """
    if not (0 <= wanted.convolutions <= 8 and 1 <= wanted.channels <= 4096):
        raise UserError(
            f'exit "{wanted.layer}": {wanted.convolutions} convolutions of {wanted.channels} '
            "channels; give 0 to 8 of 1 to 4096"
        )
    if len(shape) == 1:
        return nn.Sequential(nn.Linear(shape[0], classes))
    if len(shape) != 3:
        raise UserError(f'exit "{wanted.layer}": no head for features of shape {list(shape)}')
    channels, height, width = shape
    if not wanted.convolutions:
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
    layers: list[nn.Module] = []
    for _ in range(wanted.convolutions):
        stride = 2 if min(height, width) > 3 else 1
        layers += [
            nn.Conv2d(channels, wanted.channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(wanted.channels),
            nn.ReLU(),
        ]
        channels = wanted.channels
        height, width = (height - 1) // stride + 1, (width - 1) // stride + 1
    side = -(-max(height, width) // _GRID)
    if side > 1:
        layers.append(nn.AvgPool2d(side))
        height, width = height // side, width // side
    head = nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * height * width, classes))
    nn.init.zeros_(head[-1].bias)  # type: ignore[arg-type]
    return head


def _own_layers(stage: Stage) -> list[nn.Module]:
    """The layers that a stage calls."""
    calls = [node for node in stage.module.graph.nodes if node.op == "call_module"]
    return [stage.module.get_submodule(str(node.target)) for node in calls]

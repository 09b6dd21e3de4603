"""Training a network with exits: all of it at once, or only the heads.

The loss is BranchyNet's (arXiv:1709.01686): a weighted sum of every exit's cross-entropy. With
`distill` the exits also learn from the last one, as it is at that step (arXiv:1503.02531).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from edgesynth.core.dataset import Dataset
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress
from edgesynth.networks.exits import ExitNetwork
from edgesynth.networks.network import Network
from edgesynth.tasks.classification import Classification
from edgesynth.tasks.distillation import TEMPERATURE
from edgesynth.tasks.hooks import AfterStep
from edgesynth.tasks.training import TrainingPlan, train

BACKBONES = ("joint", "frozen")


@dataclass(frozen=True)
class ExitPlan:
    """How exits are trained."""

    training: TrainingPlan
    backbone: str = "joint"
    """`joint`: all weights learn; `frozen`: the heads only."""
    early_weight: float = 1.0
    """Of each early exit in the loss; that of the last one is 1."""
    distill: float = 0.0
    """Share of the last exit's outputs in the loss of the others."""


@dataclass(frozen=True)
class ExitTask(Classification):
    """The loss of all exits; `module` is an `ExitNetwork`."""

    early_weight: float = 1.0
    last_weight: float = 1.0
    distill: float = 0.0

    def loss(self, module: nn.Module, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Weighted sum of the cross-entropies, and of the divergences from the last exit."""
        *early, last = module(images)
        total = self.last_weight * nn.functional.cross_entropy(last, targets)
        for logits in early:
            own = nn.functional.cross_entropy(logits, targets)
            if self.distill:
                own = (1 - self.distill) * own + self.distill * _divergence(logits, last.detach())
            total = total + self.early_weight * own
        result: torch.Tensor = total
        return result


def _divergence(logits: torch.Tensor, taught: torch.Tensor) -> torch.Tensor:
    """T^2 * KL(taught || logits), both at temperature T."""
    return TEMPERATURE**2 * nn.functional.kl_div(
        nn.functional.log_softmax(logits / TEMPERATURE, dim=1),
        nn.functional.log_softmax(taught / TEMPERATURE, dim=1),
        reduction="batchmean",
        log_target=True,
    )


def train_exits(
    network: Network,
    dataset: Dataset,
    plan: ExitPlan,
    *,
    seed: int,
    progress: Progress,
) -> None:
    """Train the exits of `network`, whose module is an `ExitNetwork`, in place.

    Masks hold. Raises UserError where `joint` would leave the grid of restricted weights.
    """
    module = network.module
    if not isinstance(module, ExitNetwork):
        raise UserError(f"{network.name} has no exits")
    frozen = plan.backbone == "frozen"
    if not frozen and network.description.precision.weights:
        raise UserError(
            f"{network.name} has weights of restricted precision, which joint training would "
            "leave; add --backbone frozen"
        )
    trainable = [each.requires_grad for each in module.backbone.parameters()]
    module.frozen = frozen
    module.backbone.requires_grad_(not frozen)
    task = ExitTask(plan.early_weight, 0.0 if frozen else 1.0, plan.distill)
    try:
        train(
            module,
            dataset,
            network.description.preprocessing,
            plan.training,
            seed=seed,
            task=task,
            hooks=[AfterStep(network.apply_masks)],
            progress=progress,
            label=f"train exits of {network.name}",
        )
    finally:
        for parameter, was in zip(module.backbone.parameters(), trainable, strict=True):
            parameter.requires_grad_(was)

"""Stress at work in a training: weakens weights for a step and puts them back bit by bit.

The gradient at the weakened weights moves the true ones (straight-through); only `cull` puts
nothing back. Randomness comes from (seed, step) alone, so a resumed training is stressed as it
would have been.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgesynth.networks.narrow import is_depthwise
from edgesynth.networks.network import Network
from edgesynth.synthesis.channels import Labels, trace_channels
from edgesynth.synthesis.genome import Genome
from edgesynth.synthesis.heredity import Cost, doomed
from edgesynth.synthesis.odds import Odds, odds_of
from edgesynth.synthesis.stress import Stress
from edgesynth.tasks.hooks import Hook, Moment

RENEWED_EVERY = 10
"""Steps between two computations of who is likely to survive; that changes slowly."""
_STRESS = 0x57E55  # keeps these draws apart from others of the same seed


@dataclass(frozen=True)
class _Scaled:
    """A parameter that is weakened with its clusters, one per first (or second) index."""

    parameter: nn.Parameter
    clusters: Labels
    transposed: bool

    def spread(self, factors: torch.Tensor) -> torch.Tensor:
        """`factors` (by cluster) in a shape that the parameter is multiplied by."""
        rows = factors[torch.from_numpy(self.clusters)]
        ones = [1] * (self.parameter.dim() - 1)
        return rows.reshape((1, -1, *ones[1:]) if self.transposed else (-1, *ones))


class StressHook(Hook):
    """Stresses the training of `network` so that it is ready for a synthesis under `genome`."""

    def __init__(
        self,
        network: Network,
        stress: Stress,
        genome: Genome,
        costs: Mapping[str, Cost] | None = None,
    ) -> None:
        """`costs` as in `synthesize`, for a `cull` under a budget on a predicted cost."""
        self._network = network
        self._stress = stress
        self._genome = genome
        self._costs = costs
        self._channels = trace_channels(network.module, network.example_input(2))
        self._odds: Odds | None = None
        self._renewed = -1
        self._dying: list[tuple[nn.Parameter, torch.Tensor]] = []
        self._saved: dict[nn.Parameter, torch.Tensor] = {}
        self._buffers: dict[nn.Parameter, torch.Tensor] = {}
        self._momentum: dict[_BatchNorm, float | None] = {}
        layers = dict(network.module.named_modules())
        self._weights = {
            name: layers[name].get_parameter("weight") for name in self._channels.outputs
        }
        self._transposed = {
            name for name in self._weights if isinstance(layers[name], nn.ConvTranspose2d)
        }
        self._scaled = _scaled(layers, self._channels.outputs, self._channels.followers)

    def before_forward(self, moment: Moment) -> None:
        """Weaken the weights if this step is a stressed one."""
        sigma = self._stress.at(moment.done, moment.step)
        if sigma == 0 or self._stress.kind == "l1":
            return
        if self._stress.kind != "cull":
            self._hold_statistics()
        with torch.no_grad():
            if self._stress.kind == "uniform":
                for weight in self._weights.values():
                    self._save(weight)
                    weight.mul_(1 - sigma)
            elif self._stress.kind == "cull":
                self._cull(moment, sigma)
            else:
                self._weaken(self._current_odds(moment.step), sigma, moment)

    def after_backward(self, moment: Moment) -> None:
        """Put the true weights back; `l1` adds lambda * (1 - p) * sign(w) to their gradient."""
        with torch.no_grad():
            for parameter, value in self._saved.items():
                parameter.copy_(value)
            self._saved.clear()
            for layer, momentum in self._momentum.items():
                layer.momentum = momentum
            self._momentum.clear()
            sigma = self._stress.at(moment.done, moment.step)
            if sigma and self._stress.kind == "l1":
                self._pull(self._current_odds(moment.step), sigma)

    def _current_odds(self, step: int) -> Odds:
        if self._odds is None or self._is_stale(step):
            self._odds = odds_of(self._network, self._channels, self._genome)
        return self._odds

    def _is_stale(self, step: int) -> bool:
        before, self._renewed = self._renewed, step // RENEWED_EVERY
        return self._renewed != before

    def _weaken(self, odds: Odds, sigma: float, moment: Moment) -> None:
        generator = np.random.default_rng([_STRESS, moment.seed, moment.step])
        if odds.clusters is not None:
            factors = _factors(odds.clusters, sigma, generator)
            for scaled in self._scaled:
                self._save(scaled.parameter)
                scaled.parameter.mul_(scaled.spread(factors))
        for name, survival in odds.synapses.items():
            weight = self._weights[name]
            self._save(weight)
            weight.mul_(_factors(survival, sigma, generator))

    def _cull(self, moment: Moment, share: float) -> None:
        """Let die what a synthesis would take in an environment `share` of the way to the coming
        one. Every gene has one chance for the whole training, so that the dead stay dead."""
        if self._is_stale(moment.step):
            environment = self._genome.environment.relaxed(share)
            genome = replace(self._genome, environment=environment)
            seed = (_STRESS, moment.seed)
            masks, gone = doomed(self._network, self._channels, genome, seed, self._costs)
            clusters = torch.ones(self._channels.size)
            clusters[gone] = 0
            named = dict(self._network.module.named_parameters())
            self._dying = [(each.parameter, each.spread(clusters)) for each in self._scaled]
            self._dying += [(named[name], mask.float()) for name, mask in masks.items()]
        for parameter, factors in self._dying:
            parameter.mul_(factors)

    def _pull(self, odds: Odds, strength: float) -> None:
        for name, weight in self._weights.items():
            if weight.grad is None:
                continue
            doomed: torch.Tensor | float = 1.0
            if odds.clusters is not None:
                rows = torch.from_numpy(odds.clusters[self._channels.outputs[name]])
                doomed = rows.reshape(-1, *[1] * (weight.dim() - 1))
                doomed = doomed.transpose(0, 1) if name in self._transposed else doomed
            if name in odds.synapses:
                doomed = doomed * torch.from_numpy(odds.synapses[name])
            weight.grad.add_(torch.sign(weight) * (1 - doomed), alpha=strength)

    def _save(self, parameter: nn.Parameter) -> None:
        if parameter not in self._saved:
            buffer = self._buffers.setdefault(parameter, torch.empty_like(parameter))
            self._saved[parameter] = buffer.copy_(parameter)

    def _hold_statistics(self) -> None:
        """A stressed step leaves no trace in running means: they belong to the whole network."""
        for layer in self._network.module.modules():
            if isinstance(layer, _BatchNorm):
                self._momentum[layer] = layer.momentum
                layer.momentum = 0.0


def _factors(survival: np.ndarray, sigma: float, generator: np.random.Generator) -> torch.Tensor:
    """1 where a draw lets live, 1 - sigma where it does not, in the shape of `survival`."""
    lives = generator.random(survival.shape, dtype=np.float32) < survival
    return torch.from_numpy(np.where(lives, np.float32(1), np.float32(1 - sigma)))


def _scaled(
    layers: dict[str, nn.Module], outputs: dict[str, Labels], followers: dict[str, Labels]
) -> list[_Scaled]:
    """Where a cluster's signal can be weakened: in its filters, or behind them in the
    normalization, which would undo it. A depthwise filter passes on what was weakened before."""
    normalized: set[int] = set()
    scaled: list[_Scaled] = []
    for name, labels in followers.items():
        layer = layers[name]
        if isinstance(layer, _BatchNorm) and layer.affine:
            normalized.update(labels.tolist())
            scaled.extend(_Scaled(each, labels, False) for each in (layer.weight, layer.bias))
    for name, labels in outputs.items():
        layer = layers[name]
        if is_depthwise(layer) or normalized.issuperset(labels.tolist()):
            continue
        transposed = isinstance(layer, nn.ConvTranspose2d)
        for parameter in layer.parameters(recurse=False):
            scaled.append(_Scaled(parameter, labels, transposed and parameter.dim() > 1))
    return scaled

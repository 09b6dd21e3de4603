"""What knobs save and lose, as the documents of `adapt` and `reproduce` have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from edgesynth.core.dataset import Images, labelled
from edgesynth.dynamic.effort.knobs import Knobs, Tally
from edgesynth.dynamic.effort.layers import EffortNetwork
from edgesynth.dynamic.effort.tuner import Judged, judge
from edgesynth.networks.network import Network
from edgesynth.tasks.pixels import to_input

Labels = npt.NDArray[np.int64]


def images_of(split: Images, number: int, network: Network) -> tuple[torch.Tensor, Labels]:
    """The first `number` images of a split as inputs of `network`, and their labels."""
    indices = np.arange(number)
    inputs = to_input(split.images(indices), network.description.preprocessing)
    return inputs, labelled(split).labels[indices]


def without_knobs(effort: EffortNetwork, inputs: torch.Tensor, labels: Labels) -> Judged:
    """The network with all knobs off; they are on again afterwards."""
    kept = {layer: module.knobs for layer, module in effort.modules.items()}
    for module in effort.modules.values():
        module.set(Knobs())
    try:
        return judge(effort, inputs, labels)
    finally:
        for layer, knobs in kept.items():
            effort.modules[layer].set(knobs)


def compared(
    effort: EffortNetwork, inputs: torch.Tensor, labels: Labels, before: Judged | None = None
) -> dict[str, Any]:
    """The network with its knobs beside itself without, on these images; `before`: the latter, if
    it is known."""
    before = before or without_knobs(effort, inputs, labels)
    return side_by_side(before, judge(effort, inputs, labels))


def side_by_side(before: Judged, after: Judged) -> dict[str, Any]:
    """The same images without and with knobs."""
    return {
        "n": after.n,
        "accuracy": {"before": before.accuracy, "after": after.accuracy},
        "lost_points": 100 * (before.accuracy - after.accuracy),
        "same_class": int((before.logits.argmax(1) == after.logits.argmax(1)).sum()),
        "operations": _operations(before, after),
        "layers": {
            layer: _layer(tally, after.tallies[layer], after.n)
            for layer, tally in before.tallies.items()
        },
    }


def _operations(before: Judged, after: Judged) -> Mapping[str, float]:
    """Of all convolutions, per image; deciding is counted, and so is looking for zeros."""
    dense, tuned, n = before.total, after.total, before.n
    return {
        "dense": dense.dense / n,
        "effort": tuned.operations / n,
        "of_it_checks": tuned.checks / n,
        "zero_skipping_alone": dense.with_zeros_skipped / n,
        "effort_and_zero_skipping": tuned.with_zeros_skipped / n,
        "executed_by_vectors": tuned.executed / n,
        "times_fewer": dense.dense / tuned.operations,
        "times_fewer_zero_skipping_alone": dense.dense / dense.with_zeros_skipped,
        "times_fewer_with_zero_skipping": dense.dense / tuned.with_zeros_skipped,
    }


def _layer(before: Tally, after: Tally, n: int) -> Mapping[str, float]:
    return {
        "dense": before.dense / n,
        "effort": after.operations / n,
        "of_it_checks": after.checks / n,
        "zero_skipping_alone": before.with_zeros_skipped / n,
        "effort_and_zero_skipping": after.with_zeros_skipped / n,
        "predicted": after.predicted / n,
        "filled": after.filled / n,
    }

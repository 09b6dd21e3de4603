"""Answers of three stages that grow more certain, drawn from a model: no network is trained."""

import numpy as np

from edgesynth.dynamic.answers import Answers

COSTS = [0.13, 0.52, 0.35]


def answers(n: int = 1500, seed: int = 0, strength=(2.0, 3.5, 5.0)) -> Answers:
    """Accuracies of about 0.73, 0.9 and 0.96; hard images are hard for all stages."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 10, n)
    hardness = draw.gamma(1.5, 1.0, n)
    logits = []
    for each in strength:
        rows = draw.standard_normal((n, 10))
        rows[np.arange(n), labels] += 1.9 * each / (hardness + 0.4)
        logits.append(rows.astype(np.float32))
    stages = (*(f"exit{k + 1}" for k in range(len(strength) - 1)), "final")
    return Answers(stages, tuple(logits), labels)

"""Channels in multiples: odd widths gain nothing on a GPU, so a layer may as well keep more."""

from __future__ import annotations

import math

import numpy as np

from edgesynth.synthesis.channels import ChannelMap, Labels


def rounded(number: int, available: int, multiple: int) -> int:
    """`number` raised to the next multiple, at least 1 and at most `available`."""
    return min(available, -(-max(1, number) // multiple) * multiple)


def cluster_multiple(
    channels: ChannelMap, layers: tuple[str, ...], labels: Labels, round_to: int
) -> int:
    """Of how many clusters of a family a multiple must live, so that all its layers have a multiple
    of `round_to` channels.

    A cluster is one channel of a plain layer, but several of a grouped or depthwise one.
    """
    multiple = 1
    for name in layers:
        per_cluster = int((channels.outputs[name] == labels[0]).sum())
        multiple = math.lcm(multiple, round_to // math.gcd(round_to, per_cluster))
    return multiple


def revive(lives: np.ndarray, strengths: np.ndarray, multiple: int) -> np.ndarray:
    """`lives` with the strongest of the dying added until the living are a multiple, and one at
    least; all flags by cluster of one family."""
    missing = rounded(int(lives.sum()), lives.size, multiple) - int(lives.sum())
    lives = lives.copy()
    lives[np.argsort(np.where(lives, -np.inf, strengths), kind="stable")[::-1][:missing]] = True
    return lives

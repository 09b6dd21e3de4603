"""Where exits go: named layers, or the ones that a cost model finds worth it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.core.network import Exit
from edgesynth.dynamic.costs import BreakEven, break_even, macs_of
from edgesynth.networks.cut import places, trace
from edgesynth.networks.exits import ExitNetwork

_DEEPEST = 0.6
"""Share of the network that may have run at the last exit; later ones save too little."""
_HOPELESS = 0.5
"""An exit that more than this share of the inputs would have to take is not proposed."""
_HEAD = re.compile(r"(?P<layer>[^:]+)(?::(?P<convolutions>\d{1,2})x(?P<channels>\d{1,5}))?")


def parse_exit(text: str, head: Exit) -> Exit:
    """`layer2.0`, or with its own head `layer2.0:2x32` (2 convolutions of 32 channels).

    Raises UserError saying how it is written.
    """
    match = _HEAD.fullmatch(text)
    if match is None:
        raise UserError(f'exit "{text}" is not LAYER or LAYER:CONVOLUTIONSxCHANNELS')
    if match["channels"] is None:
        return Exit(match["layer"], head.convolutions, head.channels)
    return Exit(match["layer"], int(match["convolutions"]), int(match["channels"]))


def candidates(
    module: nn.Module, image: tuple[int, int, int], classes: int, head: Exit
) -> list[BreakEven]:
    """Every layer that an exit could stand behind, in the order of running, with its verdict.

    Of layers between which nothing multiplies only the last is named. MACs.
    """
    example = torch.zeros(2, *image)
    layers = list(places(trace(module), example))
    if not layers:
        return []
    exits = [Exit(layer, head.convolutions, head.channels) for layer in layers]
    with torch.random.fork_rng(devices=[]):
        costs = macs_of(ExitNetwork(module, exits, image, classes), image)
    verdicts = break_even(layers, costs)
    return [
        one
        for one, following in zip(verdicts, [*verdicts[1:], None], strict=True)
        if (following is None or following.before > one.before) and one.before > 0
    ]


def choose_exits(found: Sequence[BreakEven], number: int, head: Exit) -> tuple[Exit, ...]:
    """Up to `number` of the candidates, spread evenly by the logarithm of what has run.

    Raises UserError where no exit can pay.
    """
    worth = [one for one in found if one.before <= _DEEPEST and one.share <= _HOPELESS]
    if not worth:
        raise UserError(
            "no layer was found behind which an exit could pay: too little is saved, or heads "
            "cost too much; name layers with --exit, with smaller heads such as LAYER:0x1"
        )
    chosen: list[BreakEven] = []
    for index in range(number):
        wanted = _DEEPEST * (worth[0].before / _DEEPEST) ** (1 - (index + 0.5) / number)
        left = [one for one in worth if one not in chosen]
        if left:
            chosen.append(min(left, key=lambda one: abs(one.before - wanted)))
    chosen.sort(key=lambda one: one.before)
    return tuple(Exit(one.layer, head.convolutions, head.channels) for one in chosen)

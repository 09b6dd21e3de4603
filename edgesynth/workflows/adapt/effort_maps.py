"""Where in an image the layers with knobs compute, as small pictures."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import torch

from edgesynth.core.dataset import Dataset, labelled
from edgesynth.dynamic.effort.layers import EffortNetwork
from edgesynth.networks.network import Network
from edgesynth.operators.effort_reference import effort_map
from edgesynth.tasks.pixels import to_input
from edgesynth.workflows.adapt.examples import png

_IMAGES = 4


def effort_maps(effort: EffortNetwork, dataset: Dataset, network: Network) -> list[dict[str, Any]]:
    """For the first test image of each of some classes, the share of the multiply-accumulates that
    each layer with knobs does at each place; 255 in a picture is all of them."""
    labels = np.asarray(labelled(dataset.test).labels)
    places = [np.flatnonzero(labels == each)[0] for each in range(len(dataset.classes))
              if (labels == each).any()][:_IMAGES]  # fmt: skip
    pixels = dataset.test.images(np.array(places))
    inputs = to_input(pixels, network.description.preprocessing)
    maps, logits = _maps(effort, inputs)
    answers = logits.argmax(dim=1).tolist()
    return [
        {
            "image": int(place),
            "png": _encoded(pixels[index]),
            "class": dataset.classes[labels[place]],
            "answer": dataset.classes[answers[index]],
            "layers": [
                {
                    "layer": layer,
                    "share": float(shares[index].mean()),
                    "png": _encoded((255 * shares[index : index + 1]).round().numpy()),
                }
                for layer, shares in maps.items()
            ],
        }
        for index, place in enumerate(places)
    ]


def _maps(
    effort: EffortNetwork, inputs: torch.Tensor
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Of each layer with knobs (N, P, Q), and the network's answers."""
    maps: dict[str, torch.Tensor] = {}
    handles = []
    for name, module in effort.modules.items():
        if module.knobs.off:
            continue

        def keep(module: Any, given: tuple[torch.Tensor, ...], name: str = name) -> None:
            level = torch.tensor([module.knobs.level], dtype=torch.int32)
            maps[name] = effort_map((given[0], level), module.attributes)[1]

        handles.append(module.register_forward_pre_hook(keep))
    try:
        with torch.inference_mode():
            logits: torch.Tensor = effort.module(inputs)
    finally:
        for handle in handles:
            handle.remove()
    return maps, logits


def _encoded(pixels: Any) -> str:
    return base64.b64encode(png(np.asarray(pixels).astype(np.uint8))).decode("ascii")

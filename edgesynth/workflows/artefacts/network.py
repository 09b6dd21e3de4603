"""A `.edgenet` folder: architecture, kept channels, lineage, and what an inference costs."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec
from torch import nn

from edgesynth.core.errors import UserError
from edgesynth.core.network import NetworkDescription
from edgesynth.core.precision import Storage
from edgesynth.hardware.counting import Cost, count
from edgesynth.networks import edgenet
from edgesynth.networks.edits import apply_edits
from edgesynth.networks.grid import storage_of
from edgesynth.networks.narrow import widths
from edgesynth.networks.network import Network
from edgesynth_rt.files import sha256_of


def read_network(folder: Path, trust: Collection[str] = ()) -> dict[str, Any]:
    """What the network in `folder` is, with the hash of its weights verified.

    A network of a factory is rebuilt only when `trust` names that factory; without it the cost and
    the widths of its layers stay unknown, and "not_counted" says so.

    Raises UserError naming the file and the place that is wrong.
    """
    description = edgenet.read_description(folder)
    facts = msgspec.to_builtins(description)
    del facts["schema"]  # of the file, not of what inspect says
    facts["classes"] = len(description.classes)
    kind, _, factory = description.architecture.source.partition(":")
    if kind == "factory" and factory not in trust:
        _verify_weights(folder / "weights.safetensors", description)
        reason = f"{factory} is not trusted to run; add --trust {factory}"
        return {**facts, "layers": _stated(description), "cost": {"not_counted": reason}}
    network = edgenet.load(folder, trust=trust)
    whole = edgenet.build(description.architecture, folder, trust)
    apply_edits(whole, description.edits)
    whole = edgenet.with_exits(whole, description)
    cost = count(network.module, description.input_shape)
    return {
        **facts,
        "layers": _layers(network.module, whole, cost),
        "cost": {"params": cost.params, "macs": cost.macs, "size_bytes": cost.size_bytes},
        "synapses": _synapses(network),
        "storage": _storage(storage_of(network)),
    }


def _storage(storage: Storage) -> dict[str, Any]:
    return {
        "precision": storage.precision,
        "quantized_zeros": storage.zeros,
        "weight_bytes": storage.weight_bytes,
        "weight_bytes_with_index": storage.bytes_with_index,
        "layers": [layer.document() for layer in storage.layers],
    }


def _layers(module: nn.Module, whole: nn.Module, cost: Cost) -> list[dict[str, Any]]:
    """Every layer that multiplies, in the order it runs: kept channels of all, and its cost."""
    before, after = dict(whole.named_modules()), dict(module.named_modules())
    rows = []
    for layer in cost.layers:
        kept, full = widths(after[layer.name]), widths(before[layer.name])
        rows.append(
            {
                "name": layer.name,
                "kind": layer.kind,
                "inputs": {"kept": kept[0], "of": full[0]} if kept and full else None,
                "outputs": {"kept": kept[1], "of": full[1]} if kept and full else None,
                "output_shape": layer.output_shape,
                "params": layer.params,
                "macs": layer.macs,
            }
        )
    return rows


def _verify_weights(path: Path, description: NetworkDescription) -> None:
    try:
        found = sha256_of(path)
    except OSError as error:
        raise UserError(f"weights {path} cannot be read: {error.strerror}") from None
    if found != description.weights_sha256:
        raise UserError(f"weights {path} do not have the hash that network.json states")


def _stated(description: NetworkDescription) -> list[dict[str, Any]]:
    """Without the architecture: the narrowed layers as the description has them."""
    return [
        {"name": name, "kept_inputs": kept.inputs, "kept_outputs": kept.outputs}
        for name, kept in description.kept.items()
    ]


def _synapses(network: Network) -> dict[str, int]:
    """Live and all weights under masks; empty for a network without masks."""
    if not network.masks:
        return {}
    live = sum(int(mask.sum()) for mask in network.masks.values())
    return {"live": live, "of": sum(mask.numel() for mask in network.masks.values())}

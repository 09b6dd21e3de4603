"""The knobs of a whole network as JSON data, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgesynth.core.errors import UserError
from edgesynth.dynamic.effort.knobs import NAMES, Knobs
from edgesynth.dynamic.effort.layers import EffortNetwork
from edgesynth.operators.effort_spec import OFF


def settings_of(network: EffortNetwork) -> dict[str, Any]:
    """By layer, the knobs that are on and the order of its channels."""
    return {
        name: {"channel_order": module.order.tolist(), **module.knobs.document()}
        for name, module in network.modules.items()
        if not module.knobs.off
    }


def restore(network: EffortNetwork, settings: Mapping[str, Any]) -> None:
    """Set what `settings_of` wrote; the other layers compute everything.

    Raises UserError for settings of another network.
    """
    unknown = set(settings) - set(network.modules)
    if unknown:
        raise UserError(f"there are knobs for {sorted(unknown)[0]}, which the network lacks")
    for name, module in network.modules.items():
        chosen = settings.get(name, {})
        order = chosen.get("channel_order", range(module.layer.channels))
        module.order = np.array(order, np.int32)
        try:
            module.set(_knobs(chosen))
        except (KeyError, TypeError, ValueError):
            raise UserError(f"the knobs of {name} are not what adapt wrote") from None


def _knobs(document: Mapping[str, Any]) -> Knobs:
    spet, sfma, sdss, threshold = (
        document.get(name) or {} for name in ("SPET", "SFMA", "SDSS", "threshold")
    )
    modes = {name: value for value, name in NAMES.items()}
    return Knobs(
        saturation=modes[spet["mode"]] if spet else OFF,
        prefix_channels=int(spet.get("prefix_channels", 0)),
        thresholds=tuple(float(each) for each in spet.get("thresholds") or (0.0,)),
        similarity=float(sfma.get("similarity", -1.0)),
        sample_period=int(sdss.get("period", 1)),
        sample_below=float(sdss.get("below", 0.0)),
        sample_within=float(sdss.get("within", 0.0)),
        channels=document["effort"]["channels"] if "effort" in document else None,
        input_threshold=float(threshold.get("below", 0.0)),
    )

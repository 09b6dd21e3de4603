"""`adapt --method effort`: DyVEDeep's knobs on the convolutions of one network."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from edgesynth.core.dataset import Dataset, Images
from edgesynth.core.errors import UserError
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.provenance import command_line, versions
from edgesynth.dynamic.effort.layers import EffortNetwork, with_knobs
from edgesynth.dynamic.effort.settings import settings_of
from edgesynth.dynamic.effort.trials import OPERATIONS
from edgesynth.dynamic.effort.tuner import Tuned, tune
from edgesynth.export.bundle import write_bundle
from edgesynth.export.candidate import Candidate
from edgesynth.export.effort_layers import EffortLayer, put_effort
from edgesynth.export.from_network import from_network
from edgesynth.hardware.counting import count
from edgesynth.hardware.target import load_target
from edgesynth.networks.network import Network
from edgesynth.report.effort import write_effort_page
from edgesynth.workflows.adapt.calibration import calibration_data
from edgesynth.workflows.adapt.effort_figures import compared, images_of
from edgesynth.workflows.adapt.effort_maps import effort_maps
from edgesynth.workflows.adapt.folder import BUNDLE, PAGE, RESULT, new_adaptation
from edgesynth.workflows.adapt.wanted import Wanted
from edgesynth.workflows.train import resolve_for
from edgesynth_rt.files import new_folder, write_json

SCHEMA = "edgesynth.effort/1"
_RANGE_TOLERANCE = 0.05
"""Share of an output's range by which two implementations may differ: a decision at its limit falls
either way by rounding."""


@dataclass(frozen=True)
class EffortPlan:
    """How knobs are tuned."""

    images: int = 5000
    """Of the validation split, that settings are judged on; the rest are kept for the verdict."""
    trial_images: int = 128
    """Of these, that every setting is tried alone on."""
    objective: str = OPERATIONS
    """Or `TIME`: what the compiled operator's vectors save."""
    trust: tuple[str, ...] = ()
    weights: Path | None = None


def adapt_effort(
    parent: str,
    data: str,
    out: Path,
    *,
    plan: EffortPlan,
    wanted: Wanted,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Set knobs on the convolutions of `parent` and write what came of it to the folder `out`.

    Nothing is trained. Settings are chosen on validation images that the network was not trained
    on; the test split is touched for the final figures only. Returns the document of
    `OUT/adaptation.json`; `holds` says whether the loss on all validation images is within bounds.

    Raises UserError where network or data do not fit.
    """
    progress = progress or Silent()
    if wanted.requirements:
        raise UserError("--method effort takes no --require but --max-loss")
    place = new_adaptation(out, force)
    dataset, doubts = calibration_data(parent, data, seed, plan.trust, progress)
    network = resolve_for(parent, dataset, weights=plan.weights, trust=plan.trust)
    effort = with_knobs(copy.deepcopy(network.module))
    few = min(plan.images, len(dataset.validation))
    tuned = _tuned(effort, network, dataset.validation, few, plan, wanted, progress)
    found = {
        split: _compared(effort, images, network, progress, split)
        for split, images in (("validation", dataset.validation), ("test", dataset.test))
    }
    candidate = _candidate(network, effort, wanted, dataset, seed)
    document = {
        "schema": SCHEMA,
        "method": "effort",
        "name": network.name,
        "parent": {"network": parent},
        "data": dataset.name,
        "bundle": str(out / BUNDLE),
        "calibration": {"split": "validation", "n": few, "objective": plan.objective},
        **_found(effort, tuned, network, found),
        "maps": effort_maps(effort, dataset, network),
        "max_loss_points": wanted.max_loss,
        "holds": found["validation"]["lost_points"] <= wanted.max_loss,
        "doubts": doubts,
        "seed": seed,
        "command": command_line(),
        "versions": versions("torch", "numpy", "onnx", "onnxruntime"),
    }
    with new_folder(place) as temporary:
        folder = Path(temporary)
        write_bundle(
            candidate, load_target(wanted.target), folder / BUNDLE,
            command=command_line(), seed=seed,
        )  # fmt: skip
        write_json(str(folder / RESULT), document)
        write_effort_page(document, folder / PAGE)
    return document


def _tuned(
    effort: EffortNetwork,
    network: Network,
    split: Images,
    number: int,
    plan: EffortPlan,
    wanted: Wanted,
    progress: Progress,
) -> Tuned:
    inputs, labels = images_of(split, number, network)
    return tune(
        effort,
        inputs,
        labels,
        max_loss=wanted.max_loss / 100,
        trial_images=plan.trial_images,
        objective=plan.objective,
        progress=progress,
    )


def _compared(
    effort: EffortNetwork, split: Images, network: Network, progress: Progress, name: str
) -> dict[str, Any]:
    progress.say(f"all {name} images")
    inputs, labels = images_of(split, len(split), network)
    return compared(effort, inputs, labels)


def _found(
    effort: EffortNetwork, tuned: Tuned, network: Network, found: dict[str, Any]
) -> dict[str, Any]:
    macs = count(network.module, network.description.input_shape).macs
    convolutions = found["test"]["operations"]["dense"]
    return {
        "cost": {
            "unit": "operations",
            "meaning": "a multiply-accumulate, a comparison or an addition is one; what decides is "
            "counted; linear layers are not, which have no knobs",
            "macs": macs,
            "of_it_linear": macs - convolutions,
        },
        "knobs": settings_of(effort),
        "layers": [
            {
                "layer": name,
                "weights": list(module.layer.weights.shape),
                "knobs": list(module.knobs.names),
                **found["test"]["layers"][name],
            }
            for name, module in effort.modules.items()
        ],
        "rejected": tuned.rejected,
        "validation": {
            key: found["validation"][key] for key in found["validation"] if key != "layers"
        },
        "test": {key: found["test"][key] for key in found["test"] if key != "layers"},
    }


def _candidate(
    network: Network, effort: EffortNetwork, wanted: Wanted, dataset: Dataset, seed: int
) -> Candidate:
    """The bundle's: operators in place of the convolutions with knobs."""
    plain = from_network(
        network,
        load_target(wanted.target),
        batch=wanted.batch,
        preprocessing=network.description.preprocessing,
        labels=tuple(dataset.classes),
        data=dataset,
        operators="none",
        seed=seed,
    )
    layers = [
        EffortLayer(name, module.attributes, module.knobs.level, module.knobs.names)
        for name, module in effort.modules.items()
        if not module.knobs.off
    ]
    entries = put_effort(plain.model, layers)
    golden = torch.from_numpy(next(iter(plain.golden_inputs.values())))
    with torch.inference_mode():
        outputs = {name: effort.module(golden).numpy() for name in plain.golden_outputs}
    return dataclasses.replace(
        plain,
        golden_outputs=outputs,
        operators=tuple(entries),
        range_tolerance=max(plain.range_tolerance, _RANGE_TOLERANCE),
    )

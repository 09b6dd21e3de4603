"""Train a reference (parent) network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from edgesynth.core.dataset import Dataset, boxed
from edgesynth.core.errors import UserError
from edgesynth.core.metric import metric_of
from edgesynth.core.network import Lineage, NetworkDescription, Preprocessing
from edgesynth.core.precision import FULL_PRECISION, PrecisionPolicy
from edgesynth.core.progress import Progress, Silent
from edgesynth.core.provenance import command_line, versions
from edgesynth.data.source import load_dataset
from edgesynth.hardware.counting import count
from edgesynth.networks import edgenet
from edgesynth.networks.anchors import fit_anchors
from edgesynth.networks.darknet_weights import is_darknet_weights
from edgesynth.networks.grid import storage_of
from edgesynth.networks.network import Network
from edgesynth.networks.source import resolve
from edgesynth.networks.zoo_spec import takes
from edgesynth.synthesis.precision import PrecisionHook, formats_of, restrict
from edgesynth.tasks.detection import head_of
from edgesynth.tasks.hooks import AfterStep
from edgesynth.tasks.pixels import to_input
from edgesynth.tasks.source import task_named
from edgesynth.tasks.training import TrainingPlan
from edgesynth.tasks.training import train as train_module

SCHEMA = "edgesynth.training/1"


def train(
    spec: str,
    data: str,
    out: Path,
    *,
    plan: TrainingPlan,
    precision: PrecisionPolicy = FULL_PRECISION,
    weights: Path | None = None,
    seed: int = 0,
    resume: bool = False,
    force: bool = False,
    trust: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train the network `spec` on `data` and save it as the `.edgenet` folder `out`.

    The state is kept in `OUT.checkpoint` after every epoch; `resume` takes it up. Same seed, same
    machine, same number of threads: same weights. The network learns under `precision` and is saved
    on its grid.

    Raises UserError when `out` exists (unless `force`), network and data do not fit, or `precision`
    keeps a layer that there is not.
    """
    progress = progress or Silent()
    if out.exists() and not force:
        raise UserError(f"{out} exists; choose another --out, or add --force to replace it")
    dataset = load_dataset(data, seed=seed, progress=progress)
    torch.manual_seed(seed)
    network = resolve_for(spec, dataset, weights=weights, trust=trust)
    formats_of(network.module, precision)  # refuses unknown layers before anything is written
    checkpoint = out.with_name(out.name + ".checkpoint")
    if not resume:
        checkpoint.unlink(missing_ok=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    train_module(
        network.module,
        dataset,
        network.description.preprocessing,
        plan,
        seed=seed,
        hooks=[PrecisionHook(network, precision), AfterStep(network.apply_masks)],
        checkpoint=checkpoint,
        progress=progress,
        label=f"train {network.name}",
    )
    restrict(network, precision, calibration_batches(dataset, network.description.preprocessing))
    network.description = measured(network, dataset, seed)
    network.description = edgenet.save(network, out)
    checkpoint.unlink(missing_ok=True)
    return {
        "schema": SCHEMA,
        "network": str(out),
        "data": dataset.name,
        "epochs": plan.epochs,
        "seed": seed,
        "metric": metric_of(dataset.task),
        **_facts(network),
    }


def _facts(network: Network) -> dict[str, Any]:
    description = network.description
    cost, storage = count(network.module, description.input_shape), storage_of(network)
    return {
        "name": description.name,
        "accuracy": description.accuracy,
        "params": cost.params,
        "macs": cost.macs,
        "size_bytes": cost.size_bytes,
        "precision": storage.precision,
        "weight_bytes": storage.weight_bytes,
        "weight_bytes_with_index": storage.bytes_with_index,
        "weights_sha256": description.weights_sha256,
    }


def calibration_batches(
    dataset: Dataset, preprocessing: Preprocessing, *, images: int = 512, batch: int = 64
) -> Iterator[torch.Tensor]:
    """The first `images` of the train split as a network's inputs, to measure activations on."""
    count = min(images, len(dataset.train))
    for start in range(0, count, batch):
        indices = np.arange(start, min(start + batch, count))
        yield to_input(dataset.train.images(indices), preprocessing)


def resolve_for(
    spec: str, dataset: Dataset, *, weights: Path | None = None, trust: tuple[str, ...] = ()
) -> Network:
    """The network `spec`, fit to the images, the classes and the task of `dataset`.

    A network of the zoo with anchors gets those of the training images' objects, unless `spec`
    names others or the weights were trained with the published ones.
    Raises UserError when a saved network was made for other images, classes or another task.
    """
    arguments = {}
    if dataset.task == "detection" and weights is None and takes(spec, "anchors"):
        arguments["anchors"] = fit_anchors(boxed(dataset.train), _stride(spec, dataset))
    network = resolve(
        spec,
        weights=weights,
        input_shape=dataset.input_shape,
        classes=dataset.classes,
        preprocessing=_preprocessing(spec, weights, dataset),
        arguments=arguments,
        trust=trust,
    )
    wanted = network.description
    if wanted.input_shape != dataset.input_shape:
        raise UserError(
            f"{spec} takes images of {_sides(wanted.input_shape)}, "
            f"{dataset.name} has {_sides(dataset.input_shape)}"
        )
    with torch.no_grad():
        try:
            outputs = network.module.eval()(network.example_input(2))
        except (RuntimeError, ValueError) as error:
            raise UserError(
                f"{spec} does not run on images of {_sides(dataset.input_shape)}: "
                f"{str(error).splitlines()[0]}"
            ) from None
    try:
        task_named(dataset.task).require_fit(network.module, outputs, len(dataset.classes))
    except UserError as error:
        raise UserError(f"{spec} does not fit {dataset.name}: {error}") from None
    return network


def _stride(spec: str, dataset: Dataset) -> int:
    """Side in pixels of a cell of the network's output."""
    with torch.random.fork_rng(devices=[]):
        shape = dataset.input_shape
        module = resolve(spec, input_shape=shape, classes=dataset.classes).module
    return int(head_of(module).postprocessing()["stride"])


def _preprocessing(spec: str, weights: Path | None, dataset: Dataset) -> Preprocessing | None:
    """That of the data, or darknet's (pixels in 0..1) for what was trained there."""
    if spec.endswith(".cfg") or (weights is not None and is_darknet_weights(weights)):
        return None
    return Preprocessing(mean=dataset.mean, std=dataset.std)


def measured(network: Network, dataset: Dataset, seed: int) -> NetworkDescription:
    """The description of a freshly trained `network`, with its final accuracies."""
    description = network.description
    score = task_named(dataset.task).score
    return msgspec.structs.replace(
        description,
        data=dataset.name,
        lineage=Lineage(
            generation=description.lineage.generation,
            parent=description.weights_sha256 or None,
            seed=seed,
            command=command_line(),
            versions=versions("torch", "numpy"),
        ),
        accuracy={
            "validation": score(network.module, dataset.validation, description.preprocessing),
            "test": score(network.module, dataset.test, description.preprocessing),
        },
    )


def _sides(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))

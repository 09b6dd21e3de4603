"""A bundle against the network that it was made from, also on inputs that nobody prepared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgesynth.core.errors import CheckError, UserError
from edgesynth.core.network import Preprocessing
from edgesynth.export.agreement import agree
from edgesynth.export.bundle import golden_tolerances
from edgesynth.export.checks import Check, compared
from edgesynth.export.from_network import run_network
from edgesynth.export.from_onnx import read_onnx
from edgesynth.export.golden import noise_pixels, preprocess, random_inputs
from edgesynth.export.onnx_file import serialize
from edgesynth.export.session import Arrays, Session, Tensor
from edgesynth.networks.activations import float_inputs
from edgesynth.networks.source import resolve
from edgesynth.networks.zoo_spec import is_zoo_spec
from edgesynth_rt.bundle import Bundle
from edgesynth_rt.onnxruntime_runner import OnnxRuntimeRunner
from edgesynth_rt.verify import run_golden


@dataclass(frozen=True)
class Against:
    """The network that a bundle is compared with, written as for `export`."""

    network: str
    weights: Path | None = None
    trust: tuple[str, ...] = ()


def check_against(
    bundle: Bundle, against: Against, atol: float | None, rtol: float | None, seed: int
) -> Check:
    """Run `against` and the bundle on golden inputs and on fresh ones drawn with `seed`.

    Raises UserError when `against` cannot be had or takes other inputs than the bundle.
    """
    golden, _ = bundle.golden()
    fresh = _fresh_inputs(bundle, seed)
    inputs = {name: np.concatenate([golden[name], fresh[name]]) for name in golden}
    names = [output["name"] for output in bundle.golden_outputs]
    expected = _source_outputs(bundle, against, inputs, names)
    found = run_golden(OnnxRuntimeRunner(bundle, threads=0), bundle, inputs, bundle.batch or 1)
    bounds, relative = golden_tolerances(bundle, atol=atol, rtol=rtol)
    runner = "ONNX Runtime" if against.network.endswith(".onnx") else "PyTorch"
    counts = [len(next(iter(arrays.values()))) for arrays in (golden, fresh)]
    what = f"{against.network} in {runner}, {counts[0]} golden and {counts[1]} new samples"
    try:
        return compared("against", agree(expected, found, bounds, relative), what)
    except CheckError as error:
        return Check("against", "failed", f"{what}\n{error}")


def _source_outputs(bundle: Bundle, against: Against, inputs: Arrays, names: list[str]) -> Arrays:
    if against.network.endswith(".onnx"):
        model = read_onnx(Path(against.network))
        made = Session(serialize(model), against.network).run(inputs, bundle.batch or 1)
        if set(made) != set(names):
            raise UserError(
                f"{against.network} has the outputs {', '.join(made)}, "
                f"the bundle {', '.join(names)}; give the file that it was made from"
            )
        return made
    shape = _image_shape(bundle)
    if shape is None:
        raise UserError(
            f"{bundle.path} takes no single image, so only an ONNX file can be compared with it"
        )
    if is_zoo_spec(against.network) and against.weights is None:
        raise UserError(
            f"{against.network} alone has random weights; give its --weights or its .edgenet folder"
        )
    outputs = bundle.outputs
    head = bundle.manifest.get("postprocessing")
    count = head["classes"] if head else outputs[0]["shape"][-1]
    classes = tuple(bundle.labels) or tuple(map(str, range(count)))
    network = resolve(
        against.network,
        weights=against.weights,
        input_shape=shape,
        classes=classes,
        trust=against.trust,
    )
    if network.description.input_shape != shape:
        raise UserError(
            f"{against.network} takes inputs of {network.description.input_shape}, "
            f"the bundle of {shape}; give the network that it was made from"
        )
    network.apply_masks()
    if not _rounds_activations(bundle):
        float_inputs(network.module)
    return run_network(network, inputs, names)


def _rounds_activations(bundle: Bundle) -> bool:
    """True where the bundle's file rounds activations as the network may do."""
    stated = bundle.manifest.get("precision") or {}
    return bool(stated.get("activations", {}).get("file") == "QuantizeLinear")


def _fresh_inputs(bundle: Bundle, seed: int) -> Arrays:
    """Inputs of another seed than the golden ones, made in the same way."""
    inputs = bundle.inputs
    samples = bundle.manifest["golden"]["samples"]
    shape = _image_shape(bundle)
    if shape is None:
        tensors = [Tensor(each["name"], each["dtype"], tuple(each["shape"])) for each in inputs]
        return random_inputs(tensors, samples, seed)
    stated = bundle.manifest["preprocessing"] or {"mean": [0.0] * shape[0], "std": [1.0] * shape[0]}
    preprocessing = Preprocessing(
        mean=tuple(stated["mean"]), std=tuple(stated["std"]), scale=stated.get("scale", 1 / 255)
    )
    return {inputs[0]["name"]: preprocess(noise_pixels(samples, shape, seed), preprocessing)}


def _image_shape(bundle: Bundle) -> tuple[int, int, int] | None:
    """(channels, height, width) of the one float image that the bundle takes, else None."""
    inputs = bundle.inputs
    if len(inputs) != 1 or len(inputs[0]["shape"]) != 4 or inputs[0]["dtype"] != "float32":
        return None
    _, channels, height, width = inputs[0]["shape"]
    return channels, height, width

"""Bundles with exits, written by hand, and recorded logits for their inputs (Python 3.6)."""

import hand_made
import numpy as np
import wire

STAGES = ("first", "second", "last")
ONNX = [wire.model([("", name)]) for name in STAGES]
SAMPLES = hand_made.SAMPLES


def logits(seed=0, samples=SAMPLES, spread=(1.0, 2.0, 4.0)):
    """Logits of three stages, (samples, 4) each, more certain from stage to stage."""
    draw = np.random.RandomState(seed)
    return [
        (scale * draw.standard_normal((samples, 4))).astype(np.float32) for scale in spread
    ]  # fmt: skip


def exits_document(first, second, **more):
    """A manifest's policy: early exits behind two of three stages; first, second: their gates."""
    document = {
        "kind": "exits",
        "nodes": [
            {"stage": "first", "logits": "a", "choices": [None, "second"], "gates": [first]},
            {"stage": "second", "logits": "b", "choices": [None, "last"], "gates": [second]},
            {"stage": "last", "logits": "c", "choices": [None]},
        ],
        "cost": {"unit": "macs", "stages": [10, 20, 70]},
        "expected": None,
    }
    document.update(more)
    return document


def write_exits(folder, policy, recorded=None):
    """A bundle of three stages with `policy`; golden outputs are the `recorded` logits."""
    recorded = logits() if recorded is None else recorded
    inputs = hand_made.golden_arrays()["input/input"]
    golden = hand_made.npz_bytes(
        dict({"input/input": inputs}, **{"output/" + k: v for k, v in zip("abc", recorded)})
    )

    def change(manifest):
        manifest["stages"] = [_stage(k) for k in range(3)]
        manifest["policy"] = policy

    path = hand_made.write_bundle(folder, change=change, golden=golden)
    for name, data in zip(STAGES, ONNX):
        with open(path + "/" + name + ".onnx", "wb") as stream:
            stream.write(data)
    return path


def _stage(index):
    features = {"name": "features", "dtype": "float32", "shape": [1, 2]}
    image = {"name": "input", "dtype": "float32", "shape": [1, 2, 3, 3]}
    found = {"name": "abc"[index], "dtype": "float32", "shape": [1, 4]}
    return {
        "id": STAGES[index],
        "onnx": STAGES[index] + ".onnx",
        "sha256": hand_made.sha256(ONNX[index]),
        "inputs": [image] if index == 0 else [dict(features)],
        "outputs": [found, features] if index == 0 else [found],
    }


def classify(onnx, inputs):
    """What the three files compute: sums of parts of the image, more of it from stage to stage."""
    index = ONNX.index(onnx)
    features = inputs["input"].sum(axis=(2, 3)) if index == 0 else inputs["features"]
    first, second = features[:, :1], features[:, 1:]
    rows = np.concatenate([first, second, first - second, 0 * first], axis=1)
    made = {"abc"[index]: (rows * (index + 1)).astype(np.float32)}
    if index == 0:
        made["features"] = features.astype(np.float32)
    return made


def tensors(onnx):
    """Inputs and outputs of the engines, (name, is input, type, shape) each."""
    index = ONNX.index(onnx)
    features = ("features", index > 0, "float32", (1, 2))
    image = [("input", True, "float32", (1, 2, 3, 3))] if index == 0 else []
    return [features] + image + [("abc"[index], False, "float32", (1, 4))]


def answers(inputs):
    """The logits of all three stages for `inputs`, (n, 2, 3, 3)."""
    first = classify(ONNX[0], {"input": inputs})
    later = [classify(onnx, {"features": first["features"]}) for onnx in ONNX[1:]]
    return [first["a"], later[0]["b"], later[1]["c"]]

"""Samples in pieces of a batch: to run them all, and to time with (Python 3.6)."""

import numpy as np


def run_samples(runner, inputs, batch):
    """Outputs of all samples of `inputs`, computed `batch` at a time.

    runner: has `run(inputs) -> outputs`, dicts of arrays whose first axis is the batch, and
    `batch`, the fixed batch or None. inputs: dict of arrays with equally many samples.
    A fixed batch wins over `batch`; its last piece is filled up with the last sample and the
    surplus outputs are dropped. Returns a dict of arrays, first axis the samples.
    """
    size = runner.batch or batch
    count = len(next(iter(inputs.values())))
    pieces = []
    for first in range(0, count, size):
        piece = {name: values[first : first + size] for name, values in inputs.items()}
        missing = size - len(next(iter(piece.values())))
        if missing and runner.batch:
            piece = {name: _filled(values, missing) for name, values in piece.items()}
        outputs = runner.run(piece)
        pieces.append({name: values[: count - first] for name, values in outputs.items()})
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


def golden_batches(bundle, batch):
    """Inputs for timing: the golden samples cut into pieces of exactly `batch`, cycled to fill.

    Real images matter: convolutions of zeros or denormal numbers do not take the same time.
    Returns a list of dicts of contiguous arrays.
    """
    inputs, _ = bundle.golden()
    samples = bundle.manifest["golden"]["samples"]
    pieces = max(1, samples // batch)
    return [
        {
            name: np.ascontiguousarray(values[np.arange(k * batch, (k + 1) * batch) % samples])
            for name, values in inputs.items()
        }
        for k in range(pieces)
    ]


def _filled(values, missing):
    return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)])

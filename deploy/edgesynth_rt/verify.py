"""Outputs against golden outputs: every element, and the worst one named (Python 3.6)."""

import numpy as np

from edgesynth_rt.errors import CheckError
from edgesynth_rt.samples import run_samples

#: precision of an engine -> by how much of an output's largest value, and of each value, it may
#: differ: half precision keeps 11 bits, 8-bit integers 7, and errors add up over the layers
_COARSER = {"fp16": 0.01, "int8": 0.05}


class Comparison(object):
    """One output beside its golden values.

    `worst` is the index of the element whose error is largest in units of its own tolerance,
    `expected` and `found` are its values, `error` its absolute error, `tolerance` what it may be.
    """

    def __init__(self, output, worst, expected, found, error, tolerance, passed):
        self.output = output
        self.worst = worst
        self.expected = expected
        self.found = found
        self.error = error
        self.tolerance = tolerance
        self.passed = passed

    def __str__(self):
        place = "%s[%s]" % (self.output, ",".join(str(axis) for axis in self.worst))
        return "%s is %.7g, golden %.7g, error %.3g, tolerance %.3g" % (
            place, self.found, self.expected, self.error, self.tolerance,
        )  # fmt: skip


def compare(golden, found, atol, rtol):
    """A `Comparison` for every output of `golden`.

    golden, found: dicts of arrays. An element passes when
    |found - golden| <= atol + rtol * |golden|; NaN never does, nor does another shape.
    Integers and booleans must be equal.
    """
    return [_compare(name, golden[name], found[name], atol, rtol) for name in sorted(golden)]


def verify_golden(runner, bundle):
    """Run the golden inputs; returns the comparisons, all passed.

    runner: one that computes in fp16 or int8 (`precision`) is given the tolerance of that.
    Raises CheckError naming the bundle and the worst element when an output differs.
    """
    inputs, outputs = bundle.golden()
    stated = bundle.manifest["golden"]
    found = run_golden(runner, bundle, inputs, batch=stated["samples"])
    coarser = _COARSER.get(runner.precision, 0.0)
    comparisons = []
    for name in sorted(outputs):
        largest = float(np.abs(outputs[name].astype(np.float64)).max())
        atol, rtol = max(stated["atol"], coarser * largest), max(stated["rtol"], coarser)
        comparisons.append(_compare(name, outputs[name], found[name], atol, rtol))
    for comparison in comparisons:
        if not comparison.passed:
            raise CheckError(
                "bundle %s does not compute its golden outputs on %s: %s; export it again, or "
                "look at it with `edgesynth check`" % (bundle.path, runner.name, comparison)
            )
    return comparisons


def run_golden(runner, bundle, inputs, batch):
    """What golden outputs are compared with: with a policy the logits of every stage."""
    if bundle.policy is not None:
        found = run_every_sample(runner, inputs, batch)
    else:
        found = run_samples(runner, inputs, batch)
    return {tensor["name"]: found[tensor["name"]] for tensor in bundle.golden_outputs}


def run_every_sample(runner, inputs, batch):
    """Outputs of all stages for all samples, `batch` at a time, as if nothing ever left."""
    return run_samples(_Everything(runner), inputs, batch)


class _Everything(object):
    """A runner that lets no input leave early."""

    def __init__(self, runner):
        self.batch = runner.batch
        self.run = runner.run_every


def _compare(name, golden, found, atol, rtol):
    if golden.shape != found.shape:
        raise CheckError(
            "output %s has the shape %s, its golden values %s; export the bundle again"
            % (name, list(found.shape), list(golden.shape))
        )
    exact = golden.dtype.kind != "f"
    expected = golden.astype(np.float64)
    error = np.abs(found.astype(np.float64) - expected)
    tolerance = np.zeros_like(expected) if exact else atol + rtol * np.abs(expected)
    with np.errstate(divide="ignore", invalid="ignore"):
        excess = np.where(error <= tolerance, error / np.maximum(tolerance, 1e-300), np.inf)
    # among elements that fail, the largest error beyond tolerance; NaN before everything
    failing = np.isinf(excess)
    rank = np.where(failing, np.nan_to_num(error - tolerance, nan=np.inf), -np.inf)
    worst = int(np.argmax(rank if failing.any() else excess))
    index = np.unravel_index(worst, golden.shape)
    return Comparison(
        name,
        tuple(int(axis) for axis in index),
        float(expected[index]),
        float(found[index]),
        float(error[index]),
        float(tolerance[index]),
        not failing.any(),
    )

"""What each command of the runtime does: options in, one document out (Python 3.6)."""

import io
import sys
import time

import numpy as np

from edgesynth_rt import files, host
from edgesynth_rt.benchmark import Timing, make_record, measure_one, setting
from edgesynth_rt.boxed_images import read_boxed_images
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.errors import MeasurementError, MissingError, UserError
from edgesynth_rt.evaluate import evaluate
from edgesynth_rt.evaluate_boxes import evaluate_boxes
from edgesynth_rt.labelled_images import read_images
from edgesynth_rt.onnxruntime_runner import OnnxRuntimeRunner
from edgesynth_rt.powered import PowerPlan, open_sampler, total_rails
from edgesynth_rt.probe import probe as probe_board
from edgesynth_rt.record import write_measured
from edgesynth_rt.samples import run_samples
from edgesynth_rt.tensorrt_backend import TensorRTBackend, fixed_batch
from edgesynth_rt.verify import verify_golden


def probe(options, say):
    """See `edgesynth_rt.probe`."""
    return probe_board(options.root)


def verify(options, say):
    """Hashes, manifest and ONNX files of a bundle, and its golden outputs on a backend."""
    with open_bundle(options.bundle) as bundle:
        document = {
            "schema": "edgesynth.verified/1",
            "bundle": {"name": bundle.name, "id": bundle.id},
            "files": "whole",
        }
        if options.backend == "none":
            document["golden"] = {"not_checked": "--backend none checks the files only"}
            return document
        runner, _ = open_runner(options, bundle, say)
        document["backend"] = "%s %s" % (runner.name, runner.version)
        document["golden"] = [
            {
                "output": found.output,
                "worst": list(found.worst),
                "error": found.error,
                "tolerance": found.tolerance,
            }
            for found in verify_golden(runner, bundle)
        ]
        return document


def build(options, say):
    """The engines of a bundle, built where the cache has none, verified in any case."""
    with open_bundle(options.bundle) as bundle:
        backend = _tensorrt(options, say)
        _, engines = _open(backend, options, bundle, force=options.force)
        return {
            "schema": "edgesynth.engines/1",
            "bundle": {"name": bundle.name, "id": bundle.id},
            "software": backend.software(),
            "engines": engines,
        }


def run(options, say):
    """Outputs for the arrays of an .npz file, written to another one."""
    with open_bundle(options.bundle) as bundle:
        inputs = _read_inputs(options.inputs, bundle)
        runner, _ = open_runner(options, bundle, say)
        outputs = run_samples(runner, inputs, runner.batch or options.batch or 1)
        stream = io.BytesIO()
        np.savez(stream, **outputs)
        files.write_bytes(options.out, stream.getvalue())
        return {
            "schema": "edgesynth.outputs/1",
            "bundle": {"name": bundle.name, "id": bundle.id},
            "backend": "%s %s" % (runner.name, runner.version),
            "file": options.out,
            "outputs": {name: list(array.shape) for name, array in outputs.items()},
        }


def bench(options, say):
    """The record of a bundle on this machine."""
    with open_bundle(options.bundle) as bundle:
        runner, versions = open_runner(options, bundle, say)
        verify_golden(runner, bundle)
        batch = fixed_batch(bundle, options.batch)
        timing = Timing(
            options.warm_up, options.duration, options.iterations, 0, options.percentile
        )
        power = PowerPlan(options.power, options.idle, options.until_ci, options.lock_clocks)
        where = setting(runner, versions)
        accuracy = {"not_measured": "no --data was given"}
        if options.data:  # before the timing, so that data that do not fit are refused at once
            found = _evaluate(runner, bundle, options.data)
            accuracy = dict(found, data=options.data_name, split="test")
        say("measuring %s with %s" % (bundle.name, runner.name))
        outcome = measure_one(runner, bundle, batch, timing, power, where.device)
        record = make_record(
            bundle, runner, batch, timing, outcome, where, accuracy, _command_line()
        )
        if options.out:
            record = write_measured(options.out, record, outcome.series, outcome.trace)
        return record


def power(options, say):
    """Mean power of every rail for some seconds; the board's own by the module's rule."""
    device = host.device_facts()
    on_board = device["module"] != host.HOST
    with open_sampler(options.power, on_board, on_gpu=False) as sampler:
        begin_s = time.monotonic()
        say("sampling power for %g s" % options.duration)
        time.sleep(options.duration)
        end_s = time.monotonic()
        sampler.wait_past(end_s)
        trace = sampler.trace()
    inside = (trace.stamps_s >= begin_s) & (trace.stamps_s <= end_s)
    if not inside.any():
        raise MeasurementError(
            "source %s gave no reading in %g s; give a longer --duration"
            % (trace.source, options.duration)
        )
    replayed = not on_board and trace.source == "tegrastats"
    return {
        "schema": "edgesynth.rails/1",
        "kind": "replayed" if replayed else "measured",
        "device": device,
        "source": trace.source,
        "duration_s": end_s - begin_s,
        "readings": int(inside.sum()),
        "rails_mw": {
            rail: _mean(column[inside]) for rail, column in sorted(trace.power_mw.items())
        },
        "board": _board(trace, device, inside),
    }


def open_runner(options, bundle, say):
    """(runner, versions) of the backend that the options name; "auto" is TensorRT where it is.

    Raises MissingError when a named backend, or for "auto" both of them, are not here.
    """
    if options.backend in ("auto", "tensorrt"):
        try:
            backend = _tensorrt(options, say)
        except MissingError as missing:
            if options.backend == "tensorrt" or options.plugins:
                raise  # whoever names plugins means TensorRT
            try:
                return OnnxRuntimeRunner(bundle, getattr(options, "threads", 1)), {}
            except MissingError as other:
                raise MissingError("no backend is here: %s; %s" % (missing, other))
        runner, _ = _open(backend, options, bundle)
        return runner, backend.software()
    return OnnxRuntimeRunner(bundle, getattr(options, "threads", 1)), {}


def _evaluate(runner, bundle, path):
    """The figure of merit of the bundle's task on the data set at `path`."""
    if bundle.manifest["task"] == "detection":
        images, objects = read_boxed_images(path)
        return evaluate_boxes(
            runner,
            bundle,
            lambda indices: images[indices],
            lambda indices: [objects[index] for index in indices],
            len(images),
        )
    images, labels = read_images(path)
    return evaluate(runner, bundle, lambda indices: images[indices], labels)


def _tensorrt(options, say):
    return TensorRTBackend(options.plugins, options.cache, options.spin, say)


def _open(backend, options, bundle, force=False):
    return backend.open(
        bundle, options.precision, options.workspace, options.batch, force, options.mapped,
        options.operators,
    )  # fmt: skip


def _read_inputs(path, bundle):
    """The arrays of the bundle's inputs from an .npz file, equally many samples of each."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            inputs = {tensor["name"]: arrays[tensor["name"]] for tensor in bundle.inputs}
    except OSError as error:
        raise UserError("%s cannot be read: %s" % (path, error.strerror or "it is no .npz file"))
    except Exception as error:  # zipfile and numpy raise a dozen kinds on damaged files
        reason = (str(error).splitlines() or [type(error).__name__])[0][:100]
        raise UserError("%s does not hold the inputs of the bundle (%s)" % (path, reason))
    for tensor in bundle.inputs:
        array = inputs[tensor["name"]]
        if array.dtype != tensor["dtype"] or list(array.shape[1:]) != tensor["shape"][1:]:
            raise UserError(
                "%s: %s is %s %s, the bundle takes %s %s"
                % (path, tensor["name"], array.dtype, list(array.shape), tensor["dtype"],
                   tensor["shape"])
            )  # fmt: skip
    if len({len(array) for array in inputs.values()}) != 1 or not len(next(iter(inputs.values()))):
        raise UserError("%s: every input needs equally many samples, one at least" % path)
    return inputs


def _board(trace, device, inside):
    """The board's mean power and the rails that it is the sum of, or why it is not known."""
    try:
        rails = total_rails(trace, device)
    except MeasurementError as error:
        return {"not_measured": str(error)}
    return {
        "rails": list(rails),
        "mean_mw": _mean(sum(trace.power_mw[rail] for rail in rails)[inside]),
    }


def _mean(values):
    """Mean of the readings that there are, None without one."""
    known = values[np.isfinite(values)]
    return round(float(known.mean()), 3) if len(known) else None


def _command_line():
    return " ".join(["edgesynth_rt.pyz"] + sys.argv[1:])

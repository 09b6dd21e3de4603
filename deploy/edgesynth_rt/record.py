"""Records: what was found out about a bundle, measured or predicted, never both (Python 3.6).

A record whose energy comes from a replayed power log is "replayed": it looks like a measured one,
and proves nothing about any board.

Format `edgesynth.record/1`, see ARCHITECTURE.md. One reader checks both kinds. The latencies of
every iteration lie in a file beside the record, which it names under "raw".
"""

import datetime
import json
import os

from edgesynth_rt import files, strict_json
from edgesynth_rt.errors import UserError
from edgesynth_rt.fields import Field
from edgesynth_rt.manifest import check_name
from edgesynth_rt.power_trace import write_trace
from edgesynth_rt.statistics import PERCENTILES, summarize

SCHEMA = "edgesynth.record/1"
SUFFIX = ".record.json"
RAW_SUFFIX = ".times.json"
POWER_SUFFIX = ".power.json"
MAX_TIMES = 1000000
_REMEDY = "make it again with `edgesynth bench` or `edgesynth predict`"
_ORDERED = ("min", "p50", "p90", "p95", "p99", "max")
_MAX_COUNT = 2**63 - 1
_MAX_VALUE = 1e300


def measured(
    bundle,
    series,
    batch,
    backend,
    device,
    software,
    energy,
    accuracy,
    measurement,
    validity=(),
    percentiles=PERCENTILES,
    command="",
):
    """A record of kind "measured", or "replayed" when `energy` says so.

    bundle: an open Bundle; series: a `measure.Series`; batch: inferences per iteration; device,
    software: see `host`; energy, accuracy: a result or {"not_measured": reason}; measurement: how
    it was measured (warm_up_ms, duration_s, threads, ...), and the `precision` of an engine where
    that is not the file's own; validity: what makes it doubtful, one sentence each. Requirements,
    exits and raw file are filled in by whoever judges and writes it.
    """
    return {
        "schema": SCHEMA,
        "kind": "replayed" if energy.get("replayed") else "measured",
        "name": bundle.name,
        "bundle": {"name": bundle.name, "id": bundle.id},
        "device": device,
        "backend": backend,
        "precision": measurement.get("precision") or _precision(bundle.stages[0]),
        "batch": batch,
        "software": software,
        "latency_ms": _rounded(summarize(series.latency_ms, percentiles)),
        "throughput_per_s": round(series.throughput_per_s(batch), 3),
        "energy": energy,
        "accuracy": accuracy,
        "cost": bundle.cost,
        "requirements": [],
        "exits": None,
        "validity": list(validity),
        "raw": None,
        "measurement": dict(measurement, **_parts(series)),
        "command": command,
        "created": now(),
    }


def now():
    """The time in UTC as ISO 8601, to the second."""
    time = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
    return time.isoformat().replace("+00:00", "Z")


def write_record(path, record, series=None):
    """Write `record` to `path`, and the latencies of `series` to a file beside it.

    The raw file is written first and named in the record. Latencies of more than MAX_TIMES
    iterations are not kept, and the record says so. Returns the record as written.
    """
    path = str(path)
    check_record(record, "record " + path)
    if series is not None and len(series.latency_ms) > MAX_TIMES:
        sentence = "raw latencies of more than %d iterations are not kept" % MAX_TIMES
        record = dict(record, validity=record["validity"] + [sentence])
    elif series is not None:
        raw = raw_path(path)
        write_times(raw, series)
        record = dict(record, raw=os.path.basename(raw))
    files.write_json(path, record)
    return record


def write_measured(path, record, series, trace=None):
    """`write_record`, and the power beside it: NAME.power.json, which the energy then names."""
    if trace is not None and "gross_mj" in record["energy"]:
        power = _beside(str(path), POWER_SUFFIX)
        write_trace(power, trace)
        record = dict(record, energy=dict(record["energy"], raw=os.path.basename(power)))
    return write_record(path, record, series)


def raw_path(path):
    """Where the latencies of the record at `path` lie."""
    return _beside(path, RAW_SUFFIX)


def _beside(path, suffix):
    stem = path[: -len(SUFFIX)] if path.endswith(SUFFIX) else os.path.splitext(path)[0]
    return stem + suffix


def write_times(path, series):
    """Write every iteration in the form of trtexec's --exportTimes, one a line.

    Without parts the latency is all computing; there are no transfers on a processor.
    """
    lines = []
    for index, (start, latency) in enumerate(zip(series.start_ms, series.latency_ms)):
        parts = {name: times[index] for name, times in series.parts_ms.items()}
        h2d, d2h = parts.get("h2d", 0.0), parts.get("d2h", 0.0)
        compute = parts.get("compute", latency)
        times = {"startComputeMs": start + h2d, "endComputeMs": start + h2d + compute}
        if parts:
            times.update(enqueueMs=parts["enqueue"], h2dMs=h2d, computeMs=compute, d2hMs=d2h)
        times["latencyMs"] = latency
        lines.append(json.dumps({name: round(time, 6) for name, time in times.items()}))
    files.write_bytes(path, ("[\n" + ",\n".join(lines) + "\n]\n").encode("utf-8"))


def read_record(path):
    """The record at `path`, every field checked.

    Raises UserError naming file and field when it is absent, damaged or of another kind.
    """
    document = files.read_json(path, "record")
    check_record(document, "record %s" % path)
    return document


def read_times(path, record):
    """The latencies in ms of the record that was read from `path`, in the order of measuring.

    Returns None when the record names no raw file. Raises UserError when that file is absent,
    damaged, or does not give the record's own number of iterations and median.
    """
    if record["raw"] is None:
        return None
    raw = os.path.join(os.path.dirname(str(path)), record["raw"])
    try:
        with open(raw, "rb") as stream:
            data = stream.read(strict_json.MAX_BYTES + 1)
    except OSError as error:
        raise UserError(
            "raw latencies %s of record %s cannot be read: %s" % (raw, path, error.strerror)
        )
    field = Field(strict_json.parse(data, raw), raw, _REMEDY, "times")
    times = field.items(least=1, most=_MAX_COUNT)
    latencies = [time["latencyMs"].number(1e-9, 1e12) for time in times]
    found, stated = summarize(latencies), record["latency_ms"]
    if found["n"] != stated["n"] or abs(found["p50"] - stated["p50"]) > 1e-5 + 1e-6 * found["p50"]:
        raise UserError("raw latencies %s are not those of record %s; %s" % (raw, path, _REMEDY))
    return latencies


def check_record(document, where):
    """Raise UserError naming the first field of `document` that is wrong.

    document: a parsed record; where: its name for messages.
    """
    root = Field(document, where, _REMEDY)
    root["schema"].one_of([SCHEMA])
    kind = root["kind"].one_of(["measured", "replayed", "predicted"])
    check_name(root["name"])
    check_name(root["bundle"]["name"])
    if root["bundle"].given("id"):
        root["bundle"]["id"].sha256()
    root["device"].object()
    root["device"]["module"].text(100)
    for key in ("backend", "precision"):
        root[key].text(100)
    root["batch"].integer(1, _MAX_COUNT)
    root["software"].object()
    root["throughput_per_s"].number(0, _MAX_VALUE)
    _check_latency(root["latency_ms"], kind)
    _check_energy(root["energy"])
    _check_accuracy(root["accuracy"], kind)
    for key in ("params", "macs", "size_bytes"):
        if root["cost"].given(key):
            root["cost"][key].integer(0, _MAX_COUNT)
    _check_verdicts(root["requirements"])
    if root["exits"].value is not None:
        root["exits"].object()
    for sentence in root["validity"].items():
        sentence.text()
    if root.given("measurement") and root["measurement"].given("run"):
        root["measurement"]["run"].text(100)
    root["command"].text(most=100000, empty=True)
    root["created"].text(100)
    _check_kind(root, kind)


def _parts(series):
    """What the latency of a GPU consists of, as `latency_ms` is given; nothing elsewhere."""
    if not series.parts_ms:
        return {}
    parts = {}
    for name, times in series.parts_ms.items():
        # transfers take no time where the engine works on the host's memory
        parts[name] = _rounded(summarize(times)) if min(times) > 0 else None
    return {"parts_ms": parts}


def _rounded(summary):
    """Milliseconds to the nanosecond, as far as clocks go."""
    return {key: round(value, 6) for key, value in summary.items()}


def _check_kind(root, kind):
    """What only one kind may hold."""
    if kind != "predicted":
        for key in ("layers", "model"):
            if root.given(key):
                raise root[key].refuse("absent in a %s record" % kind)
        if root["raw"].value is not None:
            check_name(root["raw"])
        return
    root["layers"].items()
    root["model"].object()
    if root["raw"].value is not None:
        raise root["raw"].refuse("null in a predicted record")


def _check_latency(field, kind):
    """A measured latency has a distribution; a predicted one is a single figure."""
    for key, value in field.members():
        if key == "n":
            value.integer(1, _MAX_COUNT)
        else:
            value.number(0, _MAX_VALUE)
    field["mean"]
    if kind == "predicted":
        if set(field.value) != {"mean"}:
            raise field.refuse('an object with "mean" only, as a prediction has no distribution')
        return
    field["n"]
    for smaller, larger in zip(_ORDERED, _ORDERED[1:]):
        if field[smaller].value > field[larger].value:
            raise field[smaller].refuse("at most %s (%s)" % (larger, field[larger].value))


def _absent(field):
    """Whether a quantity says why it was not found instead of giving a value."""
    reasons = [key for key in field.object() if key.startswith("not_")]
    for key in reasons:
        field[key].text()
    if reasons and len(field.value) > len(reasons):
        raise field.refuse("either a value or the reason why there is none")
    return bool(reasons)


def _check_energy(field):
    if _absent(field):
        return
    if field["gross_mj"].number(0, _MAX_VALUE) == 0:
        raise field["gross_mj"].refuse("more than 0 (an energy that was not measured says so)")


def _check_accuracy(field, kind):
    if _absent(field):
        return
    field["value"].number(0, 1)
    if field.given("metric"):
        field["metric"].text(100)
    if kind != "predicted":
        field["n"].integer(1, _MAX_COUNT)
        field["data"].text()
        field["split"].text(100)


def _check_verdicts(field):
    for verdict in field.items(most=1000):
        verdict["requirement"].text(200)
        if verdict["holds"].value is not None:
            verdict["holds"].boolean()


def _precision(stage):
    """fp32, fp16 or int8 by the type of the first input, as the file says it."""
    dtype = stage.inputs[0]["dtype"]
    return dtype.replace("float", "fp") if dtype.startswith("float") else dtype

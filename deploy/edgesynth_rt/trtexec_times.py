"""What trtexec measured, read from its own files (Python 3.6).

`--exportTimes`: one object for each query. TensorRT 7 called the transfers In and Out
(startInMs, inMs), 8.0 and later H2d and D2h. Until 8.4 the file holds the warm-up too; it is left
out here by trtexec's own rule. `--exportProfile`: a count, then one object for each layer.
Source: github:NVIDIA/TensorRT, samples/common/sampleReporting.cpp at 7.0 to 11.1.
"""

from collections import namedtuple

from edgesynth_rt import strict_json
from edgesynth_rt.errors import MeasurementError, UserError
from edgesynth_rt.fields import Field
from edgesynth_rt.measure import Parts, Series

WARM_UP_MS = 200.0
_MAX_MS = 1e9
_REMEDY = "export it again with trtexec --exportTimes=FILE"
_PROFILE_REMEDY = "export it again with trtexec --exportProfile=FILE --separateProfileRun"
_MAX_QUERIES = 10000000


def read_trtexec_times(path, warm_up_ms=WARM_UP_MS):
    """The queries in the file at `path` as a `measure.Series`.

    warm_up_ms: what trtexec was given (--warmUp, 200 by default): a query whose computing began
    earlier belongs to the warm-up. Raises UserError naming the place where the file is wrong,
    MeasurementError when nothing but warm-up is in it.
    """
    queries = _read(path, _REMEDY).items(least=1, most=_MAX_QUERIES)
    names = _names(queries[0])
    started = [query["startComputeMs"].number(0, _MAX_MS) for query in queries]
    first = next((k for k, start in enumerate(started) if start >= warm_up_ms), len(queries))
    if first == len(queries):
        raise MeasurementError(
            "all %d queries in %s belong to the first %g ms, trtexec's warm-up; run it longer, or "
            "give its --warmUp as --warm-up" % (len(queries), path, warm_up_ms)
        )
    kept = queries[first:]
    starts = [_number(query, names.start) for query in kept]
    # trtexec has the next query under way before one ends, so a query takes until the next starts
    ends = starts[1:] + [max(_number(kept[-1], names.end), starts[-1])]
    series = Series()
    for query, start_ms, end_ms in zip(kept, starts, ends):
        h2d, compute, d2h = (_number(query, name) for name in names.parts)
        enqueue = 0.0
        if query.given("startEnqMs"):  # from 7.1 on
            enqueue = max(_number(query, "endEnqMs") - _number(query, "startEnqMs"), 0.0)
        latency = query["latencyMs"].number(1e-9, _MAX_MS)
        series.add(
            start_ms - starts[0], end_ms - start_ms, Parts(latency, enqueue, h2d, compute, d2h)
        )
    if sum(series.wall_ms) <= 0:
        raise UserError("the queries in %s take no time together; %s" % (path, _REMEDY))
    return series


def read_trtexec_profile(path):
    """{"count": runs, "layers": [{"name", "mean_ms", "median_ms", "share"}]} of the file `path`.

    median_ms is None before TensorRT 8.4; share: of the whole time, 0 to 1.
    """
    head, *layers = _read(path, _PROFILE_REMEDY).items(least=2, most=100000)
    return {
        "count": head["count"].integer(1, _MAX_QUERIES),
        "layers": [
            {
                # of all the layers fused into it, hence long
                "name": layer["name"].text(most=20000),
                "mean_ms": layer["averageMs"].number(0, _MAX_MS),
                "median_ms": layer["medianMs"].number(0, _MAX_MS)
                if layer.given("medianMs")
                else None,
                "share": layer["percentage"].number(0, 100.001) / 100,
            }
            for layer in layers
        ],
    }


_Names = namedtuple("_Names", "start end parts")
"""The keys of one generation."""

_GENERATIONS = (
    _Names("startH2dMs", "endD2hMs", ("h2dMs", "computeMs", "d2hMs")),
    _Names("startInMs", "endOutMs", ("inMs", "computeMs", "outMs")),
)


def _names(query):
    for names in _GENERATIONS:
        if query.given(names.start):
            return names
    raise query.refuse("a query of trtexec with startH2dMs or startInMs")


def _number(query, name):
    return query[name].number(0, _MAX_MS)


def _read(path, remedy):
    try:
        with open(path, "rb") as stream:
            data = stream.read(strict_json.MAX_BYTES + 1)
    except OSError as error:
        raise UserError("%s cannot be read: %s" % (path, error.strerror))
    return Field(strict_json.parse(data, path), path, remedy, "")

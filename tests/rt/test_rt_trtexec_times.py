"""trtexec's exported times and profiles, of every generation of its keys."""

import json

import pytest

from edgesynth_rt.errors import MeasurementError, UserError
from edgesynth_rt.trtexec_times import read_trtexec_profile, read_trtexec_times

#: as sampleReporting.cpp of TensorRT 8.2.1 prints them, blanks included
OF_8_2 = """[
  { "startEnqMs" : 100.5, "endEnqMs" : 100.75,  "startH2dMs" : 100.6, "endH2dMs" : 100.8,  \
"startComputeMs" : 101, "endComputeMs" : 103,  "startD2hMs" : 103, "endD2hMs" : 103.1, \
"h2dMs" : 0.2, "computeMs" : 2, "d2hMs" : 0.1, "latencyMs" : 2.3, "endToEndMs" : 2.5 }
, { "startEnqMs" : 200.5, "endEnqMs" : 200.75, "startH2dMs" : 200.6, "endH2dMs" : 200.8, \
"startComputeMs" : 201, "endComputeMs" : 205, "startD2hMs" : 205, "endD2hMs" : 205.1, \
"h2dMs" : 0.2, "computeMs" : 4, "d2hMs" : 0.1, "latencyMs" : 4.3, "endToEndMs" : 4.5 }
, { "startEnqMs" : 206.5, "endEnqMs" : 206.75, "startH2dMs" : 210.6, "endH2dMs" : 210.8, \
"startComputeMs" : 211, "endComputeMs" : 214, "startD2hMs" : 214, "endD2hMs" : 214.1, \
"h2dMs" : 0.2, "computeMs" : 3, "d2hMs" : 0.1, "latencyMs" : 3.3, "endToEndMs" : 3.5 }
]
"""


def written(tmp_path, text):
    path = tmp_path / "times.json"
    path.write_text(text)
    return str(path)


def test_of_8_2_the_warm_up_is_left_out(tmp_path):
    series = read_trtexec_times(written(tmp_path, OF_8_2))
    assert list(series.latency_ms) == [4.3, 3.3]
    assert list(series.start_ms) == pytest.approx([0, 10.0])
    assert list(series.parts_ms["compute"]) == [4, 3]
    assert list(series.parts_ms["enqueue"]) == pytest.approx([0.25, 0.25])
    assert list(series.parts_ms["h2d"]) == [0.2, 0.2] and list(series.parts_ms["d2h"]) == [0.1, 0.1]
    # 13.5 ms from the first start of a transfer in to the last end of one out
    assert series.throughput_per_s(batch=8) == pytest.approx(1000 * 2 * 8 / 13.5)
    assert len(read_trtexec_times(written(tmp_path, OF_8_2), warm_up_ms=0).latency_ms) == 3


def test_keys_of_10_and_11(tmp_path):
    """From 8.4 on without endToEndMs, from 8.5 on without the warm-up."""
    queries = json.loads(OF_8_2)[1:]
    for query in queries:
        del query["endToEndMs"]
    series = read_trtexec_times(written(tmp_path, json.dumps(queries)))
    assert list(series.latency_ms) == [4.3, 3.3]


@pytest.mark.parametrize("enqueue", [True, False])
def test_keys_of_7(tmp_path, enqueue):
    names = {"startH2dMs": "startInMs", "endH2dMs": "endInMs", "startD2hMs": "startOutMs",
             "endD2hMs": "endOutMs", "h2dMs": "inMs", "d2hMs": "outMs"}  # fmt: skip
    queries = [{names.get(key, key): q[key] for key in q} for q in json.loads(OF_8_2)]
    if not enqueue:  # 7.0 had none
        queries = [{key: q[key] for key in q if "Enq" not in key} for q in queries]
    series = read_trtexec_times(written(tmp_path, json.dumps(queries)))
    assert list(series.latency_ms) == [4.3, 3.3] and list(series.parts_ms["h2d"]) == [0.2, 0.2]
    assert series.parts_ms["enqueue"][0] == pytest.approx(0.25 if enqueue else 0)


@pytest.mark.parametrize("text, reason", [
    ("[]", "has 0 elements"),
    ("{}", "is an object, not a list"),
    ('[{"startH2dMs": 1}]', "startComputeMs is missing"),
    ('[{"startComputeMs": 300}]', "not a query of trtexec with startH2dMs or startInMs"),
    ('[{"startH2dMs": 1, "startComputeMs": "x"}]', r"\[0\].startComputeMs is .* not a number"),
    ('[{"startH2dMs": NaN, "startComputeMs": 1}]', "not valid JSON"),
    (OF_8_2.replace('"latencyMs" : 3.3', '"latencyMs" : 0'), r"\[2\].latencyMs is 0"),
    (OF_8_2[:-20], "not valid JSON"),
])  # fmt: skip
def test_wrong_files(tmp_path, text, reason):
    with pytest.raises(UserError, match=reason):
        read_trtexec_times(written(tmp_path, text))


def test_nothing_but_warm_up(tmp_path):
    with pytest.raises(MeasurementError, match=r"all 3 queries .* --warmUp as --warm-up"):
        read_trtexec_times(written(tmp_path, OF_8_2), warm_up_ms=1000)
    with pytest.raises(UserError, match=r"gone.json cannot be read"):
        read_trtexec_times(str(tmp_path / "gone.json"))


@pytest.mark.parametrize("median", ["", ', "medianMs" : 0.09'])
def test_profile(tmp_path, median):
    text = (
        '[\n  { "count" : 2 }\n'
        ', { "name" : "conv1 + relu1", "timeMs" : 0.2, "averageMs" : 0.1%s, "percentage" : 25 }\n'
        ', { "name" : "fc", "timeMs" : 0.6, "averageMs" : 0.3%s, "percentage" : 75 }\n]\n'
        % (median, median)
    )
    profile = read_trtexec_profile(written(tmp_path, text))
    assert profile["count"] == 2 and len(profile["layers"]) == 2
    first = profile["layers"][0]
    assert (first["name"], first["mean_ms"], first["share"]) == ("conv1 + relu1", 0.1, 0.25)
    assert first["median_ms"] == (0.09 if median else None)
    with pytest.raises(UserError, match="elements"):
        read_trtexec_profile(written(tmp_path, '[{"count": 1}]'))

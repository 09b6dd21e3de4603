"""What makes a latency measurement doubtful, in sentences for the record (Python 3.6)."""

import numpy as np

from edgesynth_rt.errors import MeasurementError

BUSY_SHARE = 0.5
DRIFT = 0.1
STEADY_GOVERNORS = ("performance", "userspace")


def doubts(device, latencies_ms):
    """Sentences, none when nothing is suspicious.

    device: `host.device_facts()` from before the run; latencies_ms: in the order of measuring.
    """
    found = []
    load, cores = device["load_average"], device["cpu"]["cores"]
    if load is not None and load > BUSY_SHARE * cores:
        found.append(
            "the load average was %.2f on %d cores before the run: other programs took time"
            % (load, cores)
        )
    governor = device["cpu"]["governor"]
    if governor and governor not in STEADY_GOVERNORS:
        found.append("the CPU governor %s changes clocks during the run" % governor)
    latencies = np.asarray(latencies_ms, dtype=np.float64)
    quarter = len(latencies) // 4
    if quarter >= 5:
        first, last = np.median(latencies[:quarter]), np.median(latencies[-quarter:])
        if abs(last / first - 1) > DRIFT:
            found.append(
                "the median drifted by %+.0f %% from the first to the last quarter of the run"
                % (100 * (last / first - 1))
            )
    if len(latencies) < 100:
        found.append("p99 of %d iterations is their largest" % len(latencies))
    return found


def refuse_throttled(before, after):
    """Raise MeasurementError when the processor was slowed down for heat during the run.

    before, after: `host.throttle_count()`, None where it is not counted.
    """
    if before is not None and after is not None and after > before:
        raise MeasurementError(
            "the processor throttled %d times during the run; cool it or lower its clocks, "
            "then measure again" % (after - before)
        )

"""The measuring loop: one or several runners, each iteration timed (Python 3.6).

Several runners are measured in turns within one run, in an order drawn anew for every round, so
that a clock that slows down or a neighbour that wakes up hits all of them alike.
"""

import gc
import random
import time
from array import array
from collections import namedtuple

from edgesynth_rt.errors import MeasurementError

TURN_MS = 20.0
MAX_TURN = 50


Parts = namedtuple("Parts", "latency enqueue h2d compute d2h")
"""One iteration on a GPU in ms, by the GPU's clock but for `enqueue`; see `tensorrt_runner`."""


class Series(object):
    """The iterations of one runner in the order of measuring."""

    def __init__(self, begin_s=0.0):
        self.begin_s = begin_s
        """When the warm-up ended, by the clock that was measured with."""
        self.start_ms = array("d")
        """When each iteration began, counted from the end of the warm-up."""
        self.latency_ms = array("d")
        self.wall_ms = array("d")
        """How long each call took, which is the latency where the runner tells none of its own."""
        self.parts_ms = {}
        """{"enqueue": ..., "h2d": ..., "compute": ..., "d2h": ...} of runners on a GPU."""

    def add(self, start_ms, wall_ms, parts=None):
        """Append one iteration; parts: its `Parts`, or None."""
        self.start_ms.append(start_ms)
        self.wall_ms.append(wall_ms)
        self.latency_ms.append(wall_ms if parts is None else parts.latency)
        if parts is not None:
            for name in Parts._fields[1:]:
                self.parts_ms.setdefault(name, array("d")).append(getattr(parts, name))

    def ends_s(self):
        """When each iteration ended, by the clock that was measured with."""
        return [
            self.begin_s + (start + wall) / 1000.0
            for start, wall in zip(self.start_ms, self.wall_ms)
        ]

    def extend(self, later):
        """Append a `Series` of the same runner that was measured afterwards."""
        offset_ms = (later.begin_s - self.begin_s) * 1000.0
        self.start_ms.extend(start + offset_ms for start in later.start_ms)
        self.latency_ms.extend(later.latency_ms)
        self.wall_ms.extend(later.wall_ms)
        for name, times in later.parts_ms.items():
            self.parts_ms.setdefault(name, array("d")).extend(times)

    def throughput_per_s(self, batch):
        """Inferences per second of a closed loop with `batch` inferences an iteration."""
        return 1000.0 * batch * len(self.wall_ms) / sum(self.wall_ms)


def measure(
    runners,
    warm_up_ms=200.0,
    iterations=10,
    duration_s=3.0,
    seed=0,
    clock=time.perf_counter,
    watch=lambda share: None,
):
    """Time the callables `runners`, each call one iteration; returns a `Series` for each.

    A callable returns None and is timed by `clock`, or the `Parts` that it timed itself.

    Every runner is first called for at least `warm_up_ms` (once at least). The measured part ends
    when every runner has `iterations` iterations and `duration_s` seconds a runner have passed,
    both, as in trtexec. All runners get equally many iterations, and equal indices were measured
    close together, so two series are pairs.

    A turn is as many iterations as the slowest runner does in 20 ms, at most 50. With several
    runners the first call of a turn is not counted: it brings the runner's weights back into the
    caches, as they are when a network runs alone.

    clock: seconds, monotonic. watch: called between rounds with the share done, 0 to 1.
    Raises MeasurementError when the clock runs backwards; KeyboardInterrupt passes through.
    """
    slowest_ms = max([_warm_up(runner, warm_up_ms, clock) for runner in runners])
    turn = max(1, min(MAX_TURN, int(TURN_MS / slowest_ms) if slowest_ms > 0 else MAX_TURN))
    lead_in = len(runners) > 1 and turn > 1
    order = list(range(len(runners)))
    draw = random.Random(seed)  # noqa: S311 - an order, no secret
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()  # a collection inside an iteration would be charged to the network
    try:
        begin = clock()
        series = [Series(begin) for _ in runners]
        while True:
            passed_s = clock() - begin
            count = len(series[0].latency_ms)
            share = min(
                count / iterations if iterations else 1.0,
                passed_s / (duration_s * len(runners)) if duration_s else 1.0,
            )
            if count and share >= 1:
                return series
            watch(share)
            draw.shuffle(order)
            for index in order:
                if lead_in:
                    runners[index]()
                _take_turn(runners[index], turn, series[index], begin, clock)
    finally:
        if collecting:
            gc.enable()


def _warm_up(runner, warm_up_ms, clock):
    """Call `runner` for at least `warm_up_ms`; returns the mean time of a call in ms.

    The first call is left out of the mean where there are more: it allocates.
    """
    begin, first_ms, _ = _call(runner, clock)
    total_ms, calls = 0.0, 0
    while (clock() - begin) * 1000.0 < warm_up_ms:
        total_ms += _call(runner, clock)[1]
        calls += 1
    return total_ms / calls if calls else first_ms


def _take_turn(runner, turn, series, begin, clock):
    for _ in range(turn):
        start, wall_ms, parts = _call(runner, clock)
        series.add((start - begin) * 1000.0, wall_ms, parts)


def _call(runner, clock):
    """(when the call began, how long it took in ms, its `Parts` or None)."""
    start = clock()
    parts = runner()
    end = clock()
    if end < start:
        raise MeasurementError("the clock ran backwards; measure again")
    return start, (end - start) * 1000.0, parts

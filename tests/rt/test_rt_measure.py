"""The measuring loop on a clock that only the runners move."""

import gc

import pytest

from edgesynth_rt.errors import MeasurementError
from edgesynth_rt.measure import MAX_TURN, measure


class World(object):
    """A clock, and runners that move it by their own latency and log their calls."""

    def __init__(self):
        self.now = 1000.0
        self.calls = []

    def clock(self):
        return self.now

    def runner(self, name, seconds):
        def run():
            self.calls.append(name)
            self.now += seconds

        return run


def test_one_runner():
    world = World()
    (series,) = measure(
        [world.runner("a", 0.25)], warm_up_ms=1000, iterations=8, duration_s=0, clock=world.clock
    )
    assert list(series.latency_ms) == pytest.approx([250.0] * 8)
    assert list(series.start_ms) == pytest.approx([250.0 * k for k in range(8)])
    assert len(world.calls) == 4 + 8  # a second of warm-up
    assert series.throughput_per_s(batch=1) == pytest.approx(4)
    assert series.throughput_per_s(batch=16) == pytest.approx(64)


@pytest.mark.parametrize(
    "iterations, duration_s, expected",
    [(10, 0, 10), (1, 2, 20), (30, 2, 30)],  # both bounds must be reached
)
def test_iterations_and_duration_both_hold(iterations, duration_s, expected):
    world = World()
    (series,) = measure(
        [world.runner("a", 0.1)], 0, iterations, duration_s, clock=world.clock
    )  # fmt: skip
    assert abs(len(series.latency_ms) - expected) <= 1


def test_warm_up_runs_at_least_once():
    world = World()
    measure([world.runner("a", 5.0)], warm_up_ms=0, iterations=1, duration_s=0, clock=world.clock)
    assert len(world.calls) == 2


def test_several_take_turns_in_a_drawn_order():
    def order(seed):
        world = World()
        runners = [world.runner(name, 0.1) for name in "ab"]
        series = measure(runners, 0, 20, 0, seed, clock=world.clock)
        assert [len(one.latency_ms) for one in series] == [20, 20]
        return "".join(world.calls[2:])  # after the warm-up

    rounds = [order(0)[k : k + 2] for k in range(0, 40, 2)]
    assert set(rounds) == {"ab", "ba"}
    assert order(0) == order(0)
    assert order(0) != order(1)


def test_fast_runners_take_longer_turns_with_an_uncounted_lead_in():
    world = World()
    runners = [world.runner("a", 1e-4), world.runner("b", 2e-3)]  # 10 of the slower in 20 ms
    first, second = measure(runners, 10, 40, 0, clock=world.clock)
    assert len(first.latency_ms) == len(second.latency_ms) == 40
    timed = world.calls[-4 * 2 * 11 :]  # four rounds of two turns of one uncounted and ten
    for k in range(0, len(timed), 11):
        assert len(set(timed[k : k + 11])) == 1
    assert list(second.latency_ms) == pytest.approx([2.0] * 40)


def test_a_turn_has_at_most_fifty_iterations():
    world = World()
    (series,) = measure([world.runner("a", 1e-6)], 1, 1, 0, clock=world.clock)
    assert len(series.latency_ms) == MAX_TURN


def test_duration_counts_for_each_runner():
    world = World()
    series = measure([world.runner("a", 0.5)] * 3, 0, 1, 2.0, clock=world.clock)
    assert sum(sum(one.latency_ms) for one in series) == pytest.approx(6000)


def test_watch_sees_the_share_grow():
    world, shares = World(), []
    measure([world.runner("a", 0.1)], 0, 10, 0, clock=world.clock, watch=shares.append)
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] < 1


def test_a_clock_that_runs_backwards():
    world = World()

    def back():
        world.now -= 1

    with pytest.raises(MeasurementError, match="ran backwards"):
        measure([back], 0, 1, 0, clock=world.clock)


def test_interrupting_leaves_the_garbage_collector_as_it_was():
    world = World()

    def stop():
        world.now += 0.1
        if len(world.calls) > 3:
            raise KeyboardInterrupt
        world.calls.append("a")

    assert gc.isenabled()
    with pytest.raises(KeyboardInterrupt):
        measure([stop], 0, 100, 0, clock=world.clock)
    assert gc.isenabled()


def test_the_real_clock_measures_real_time():
    import time

    (series,) = measure([lambda: time.sleep(0.002)], 0, 5, 0.02)
    assert all(2.0 <= latency < 1000 for latency in series.latency_ms)
    assert len(series.latency_ms) >= 5

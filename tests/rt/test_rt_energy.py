"""Energy of known power curves, beside a textbook version, and what is refused."""

import math

import numpy as np
import pytest

from edgesynth_rt.energy import (
    Window,
    energy_per_inference,
    idle_power,
    likely_step_mw,
    mean_power,
    steady_window,
)
from edgesynth_rt.errors import MeasurementError, UserError
from edgesynth_rt.integrate import covered_s, energy_mj, independent, shares_s
from edgesynth_rt.power_trace import PowerTrace, read_trace, write_trace


def textbook_mj(stamps_s, power_mw, start_s, end_s):
    """The trapezoid rule as a student writes it down."""
    energy = 0.0
    for i in range(len(stamps_s) - 1):
        t0, t1, p0, p1 = stamps_s[i], stamps_s[i + 1], power_mw[i], power_mw[i + 1]
        a, b = max(t0, start_s), min(t1, end_s)
        if a < b:
            at_a = p0 + (p1 - p0) * (a - t0) / (t1 - t0)
            at_b = p0 + (p1 - p0) * (b - t0) / (t1 - t0)
            energy += (b - a) * (at_a + at_b) / 2
    return energy


def stamps(end_s=40.0, period_s=0.1, jitter_s=0.004, seed=1):
    """Arrival times as they are: regular with some jitter, from a clock that began long ago."""
    regular = np.arange(0.0, end_s, period_s)
    return 91234.5 + regular + np.random.RandomState(seed).uniform(0, jitter_s, len(regular))


def constant(t):
    return np.full(len(t), 4321.0)


def ramp(t):
    return 1000.0 + 70.0 * t


def sine(t):
    return 5000.0 + 2000.0 * np.sin(2 * np.pi * t / 3.0)


def square(t):
    """From 2 W to 6 W at 10.05 s and back at 20.05 s: both edges between two readings."""
    return np.where((t >= 10.05) & (t < 20.05), 6000.0, 2000.0)


def sine_mj(a, b):
    return 5000.0 * (b - a) - 2000.0 * 3.0 / (2 * math.pi) * (
        math.cos(2 * math.pi * b / 3.0) - math.cos(2 * math.pi * a / 3.0)
    )


def square_mj(a, b):
    return 2000.0 * (b - a) + 4000.0 * max(min(b, 20.05) - max(a, 10.05), 0.0)


# The trapezoid is exact for straight lines. A sine of period T sampled every h errs by a share of
# (pi h / T)^2 / 3 of its swing, here 0.4 % of it. A step between two readings is smeared over the
# gap: at most half a gap times its height, 0.05 s * 4 W for each.
@pytest.mark.parametrize(
    ("curve", "exact", "tolerance_mj"),
    [
        (constant, lambda a, b: 4321.0 * (b - a), 1e-6),
        (ramp, lambda a, b: 1000.0 * (b - a) + 35.0 * (b * b - a * a), 1e-6),
        (sine, sine_mj, 10.0),
        (square, square_mj, 2 * 0.053 * 4000.0),
    ],
)
@pytest.mark.parametrize(("a", "b"), [(0.5, 39.0), (3.07, 33.33), (10.02, 20.08), (12.0, 12.03)])
def test_known_curves(curve, exact, tolerance_mj, a, b):
    times = stamps()
    power = curve(times - 91234.5)
    found = energy_mj(times, power, 91234.5 + a, 91234.5 + b)
    assert found == pytest.approx(exact(a, b), abs=tolerance_mj)
    assert found == pytest.approx(textbook_mj(times, power, 91234.5 + a, 91234.5 + b), abs=1e-6)


def test_a_window_between_two_readings():
    assert energy_mj([0.0, 1.0], [1000.0, 3000.0], 0.25, 0.75) == pytest.approx(1000.0)


def test_lines_that_arrive_together_do_not_lose_their_power():
    """A late reader finds two lines at once; the jump between them takes no time."""
    times, power = [0.0, 1.0, 1.0, 2.0], [1000.0, 1000.0, 3000.0, 3000.0]
    assert energy_mj(times, power, 0.0, 2.0) == pytest.approx(4000.0)


def test_a_counter_is_integrated_exactly():
    """Means between readings: what a counter counted, however irregular the readings are."""
    times = np.cumsum([0.0, 0.1, 0.35, 0.05, 0.2, 0.3])
    counter = 5000.0 * times - 2000.0 * 3.0 / (2 * np.pi) * (np.cos(2 * np.pi * times / 3.0) - 1)
    means = np.concatenate([[0.0], np.diff(counter) / np.diff(times)])
    found = energy_mj(times, means, times[0], times[-1], interval_means=True)
    assert found == pytest.approx(counter[-1])
    assert energy_mj(times, means, 0.1, 0.275, True) == pytest.approx(means[2] * 0.175)


def test_outside_of_the_readings_is_refused():
    with pytest.raises(ValueError, match="not inside"):
        energy_mj([0.0, 1.0], [1.0, 1.0], 0.5, 1.5)


def test_coverage_leaves_out_holes_and_what_is_before_and_after():
    times = np.array([1.0, 1.1, 1.2, 2.2, 2.3])
    assert covered_s(times, 0.0, 3.0, 0.3) == pytest.approx(0.3)
    assert covered_s(times, 1.15, 2.25, 0.3) == pytest.approx(0.1)


def test_shares_add_up_to_the_window():
    times = np.array([0.0, 1.0, 1.5, 3.0, 4.0])
    assert shares_s(times, 0.5, 3.5) == pytest.approx([0.0, 0.75, 1.0, 1.25, 0.0])
    assert shares_s(times, 0.5, 3.5, True) == pytest.approx([0.0, 0.5, 0.5, 1.5, 0.5])


def test_repetitions_of_a_slow_sensor_count_once():
    """A TX2's monitor has a new value every 430 ms; it is asked every 100 ms."""
    times = np.arange(0.0, 43.0, 0.1)
    conversion = np.floor(times / 0.43)
    noisy = np.round(5000 + 200 * np.random.RandomState(0).rand(101))[conversion.astype(int)]
    found = independent(times, noisy[:, None])
    assert found[-1] + 1 == pytest.approx(100, abs=2)
    steady = np.full((len(times), 1), 152.0)  # an idle GPU reads the same for ever
    assert independent(times, steady)[-1] + 1 == pytest.approx(43.0 / 0.5, abs=2)


def test_equal_readings_of_a_fast_sensor_are_independent():
    times = np.arange(0.0, 3.0, 0.1)
    assert independent(times, np.zeros((30, 1)), refresh_s=0.007)[-1] == 29


def trace(power_mw, times=None, **fields):
    times = stamps() if times is None else times
    fields.setdefault("period_s", 0.1)
    fields.setdefault("refresh_s", 0.007)
    if not isinstance(power_mw, dict):
        power_mw = {"VDD_IN": power_mw}
    return PowerTrace("ina3221", times, power_mw, **fields)


def noisy(level_mw, seed=0, spread_mw=100.0):
    return level_mw + spread_mw * np.random.RandomState(seed).standard_normal(len(stamps()))


START = 91234.5


def test_energy_per_inference():
    window = Window(START + 5.0, START + 35.0, 1500)
    idle = idle_power(trace(noisy(1500.0)), "VDD_IN", START + 1.0, START + 31.0, state="locked")
    found = energy_per_inference(
        trace(noisy(6000.0, 1), lsb_mw={"VDD_IN": 38.0}), "VDD_IN", [window], idle, "locked"
    )
    assert found["source"] == "ina3221" and found["rail"] == "VDD_IN"
    assert found["gross_mj"] == pytest.approx(120.0, rel=0.005)  # 6 W at 50 inferences a second
    assert found["net_mj"] == pytest.approx(90.0, rel=0.005)
    assert found["idle_w"] == pytest.approx(1.5, rel=0.01)
    assert found["inferences_per_joule"] == pytest.approx(1e3 / found["gross_mj"])
    assert found["samples"] == found["readings"] == pytest.approx(300, abs=2)
    assert found["coverage"] == pytest.approx(1.0)
    low, high = found["ci95"]
    assert low < found["gross_mj"] < high
    # 100 mW of white noise in 300 readings: 1.96 * 100 / sqrt(300) = 11.3 mW, 0.23 mJ
    assert (high - low) / 2 == pytest.approx(0.226, rel=0.2)
    net_low, net_high = found["net_ci95"]
    assert (net_high - net_low) / 2 == pytest.approx(0.226 * math.sqrt(2), rel=0.2)
    assert found["quantisation_mj"] == pytest.approx(38 / math.sqrt(12 * 300) / 50, rel=0.01)


def test_a_result_repeats_itself():
    window = Window(START + 5.0, START + 35.0, 100)
    results = [energy_per_inference(trace(noisy(6000.0)), "VDD_IN", [window]) for _ in range(2)]
    assert results[0] == results[1]


def test_without_idle_there_is_no_net_and_the_reason():
    found = energy_per_inference(trace(noisy(6000.0)), "VDD_IN", [Window(START, START + 30, 9)])
    assert found["net_mj"] is None and found["idle_w"] is None
    assert found["why_no_net"] == "no idle window was measured"


def test_idle_in_another_state_is_refused():
    idle = idle_power(trace(noisy(1500.0)), "VDD_IN", START, START + 30.0, state={"gpu": 1300.5})
    with pytest.raises(MeasurementError, match="another state of mode and clocks") as caught:
        energy_per_inference(
            trace(noisy(6000.0)), "VDD_IN", [Window(START, START + 30, 9)], idle, {"gpu": 114.75}
        )
    assert "--lock-clocks" in str(caught.value) and caught.value.exit_code == 5


def test_more_idle_than_load_is_no_negative_energy():
    times = stamps()
    idle = idle_power(trace(np.full(len(times), 1510.0)), "VDD_IN", START, START + 30.0)
    window = Window(START, START + 30, 9)
    found = energy_per_inference(trace(np.full(len(times), 1400.0)), "VDD_IN", [window], idle)
    assert found["net_mj"] is None
    assert found["why_no_net"] == "the board drew more while idle (1.51 W) than under load (1.40 W)"


def test_the_sum_of_rails_where_no_rail_is_the_input():
    power = {"GPU": noisy(3000.0), "CPU": noisy(1000.0, 1), "SYS5V": noisy(2000.0, 2)}
    power["CPU"][7] = np.nan  # a line without the rail is left out
    window = Window(START + 0.5, START + 30.5, 300)
    found = energy_per_inference(trace(power), ("GPU", "CPU", "SYS5V"), [window])
    assert found["rail"] == "GPU+CPU+SYS5V"
    assert found["gross_mj"] == pytest.approx(600.0, rel=0.01)
    assert found["readings"] == 300 - 1


def test_an_unknown_rail():
    with pytest.raises(UserError, match="no rail VDD_CPU; it has VDD_IN"):
        mean_power(trace(noisy(1.0)), "VDD_CPU", [(START, START + 30)])


def test_several_windows_leave_out_what_is_between():
    times = stamps()
    power = square(times - START)  # 6 W from 10.05 to 20.05 s
    windows = [Window(START + 10.2, START + 14.0, 10), Window(START + 16.0, START + 19.9, 10)]
    power = power + noisy(0.0, 3, 1.0)
    power[(times > START + 14.2) & (times < START + 15.8)] = 90000.0
    found = energy_per_inference(trace(power), "VDD_IN", windows)
    assert found["gross_mj"] == pytest.approx(6000.0 * (3.8 + 3.9) / 20, rel=0.001)
    assert found["inferences"] == 20 and found["window_s"] == pytest.approx(7.7)


def test_too_few_samples_are_refused_with_the_counts():
    with pytest.raises(MeasurementError) as caught:
        mean_power(trace(noisy(5000.0)), "VDD_IN", [(START + 5.0, START + 6.5)])
    assert "15 independent samples (15 readings of ina3221 every 0.1 s)" in str(caught.value)
    assert "20 samples and 95 % are needed" in str(caught.value) and caught.value.exit_code == 5


def test_repetitions_do_not_make_a_measurement():
    """30 readings, but of a sensor that had 7 values."""
    times = np.arange(30) * 0.1
    power = 5000.0 + np.floor(times / 0.43) * 38
    with pytest.raises(MeasurementError, match=r"7 independent samples \(29 readings"):
        mean_power(trace(power, times, refresh_s=None), "VDD_IN", [(0.0, 2.9)])


def test_thin_coverage_is_refused():
    times = stamps()
    whole = (times < START + 10) | (times > START + 12.5)
    with pytest.raises(MeasurementError, match=r"cover 91\.\d % of 30\.0 s"):
        mean_power(trace(noisy(5000.0)[whole], times[whole]), "VDD_IN", [(START + 5, START + 35)])


def test_a_source_that_died_is_named():
    times = stamps()
    early = times < START + 10
    dead = trace(noisy(5000.0)[early], times[early], failure="curr1_input is not there")
    with pytest.raises(MeasurementError, match="ended early: curr1_input is not there"):
        mean_power(dead, "VDD_IN", [(START + 5, START + 35)])
    with pytest.raises(MeasurementError, match="0 independent samples"):
        mean_power(dead, "VDD_IN", [(START + 12, START + 35)])


def test_an_edge_without_readings_counts_with_the_mean():
    """tegrastats once a second: the last reading lies before the end of the window."""
    times = np.arange(0.0, 60.0, 1.0)
    power = np.full(60, 5000.0) + np.arange(60) % 3
    found = mean_power(trace(power, times, period_s=1.0), "VDD_IN", [(-0.9, 59.0)])
    assert found.mean_mw == pytest.approx(5001.0, abs=0.1)
    assert found.coverage == pytest.approx(59 / 59.9)


def test_no_power_is_no_energy():
    with pytest.raises(MeasurementError, match="is it the rail that feeds the work"):
        energy_per_inference(trace(noisy(-300.0)), "VDD_IN", [Window(START, START + 30, 9)])


def test_a_rail_that_stays_on_one_step_is_not_averaged():
    """All readings are rounded alike, so more of them do not help."""
    power = np.full(len(stamps()), 2736.0)
    one = mean_power(trace(power, lsb_mw={"VDD_IN": 399.0}), "VDD_IN", [(START, START + 30)])
    assert one.quantisation_mw == pytest.approx(399 / math.sqrt(12))
    assert mean_power(trace(power), "VDD_IN", [(START, START + 30)]).quantisation_mw is None


def test_the_step_is_seen_in_many_readings():
    steps = 38.0 * np.random.RandomState(0).poisson(20, size=200)
    assert likely_step_mw(steps) == 38.0
    wobble = np.where(np.arange(200) % 50 == 0, 5.0, 0.0)  # 8 mV more of voltage now and then
    assert likely_step_mw(steps + wobble) == pytest.approx(38.0, abs=6)
    assert likely_step_mw(np.array([152.0, 152.0])) is None


def test_the_steady_part_of_a_loop():
    ends = 10.0 + np.arange(1, 101) * 0.05  # 100 iterations of 50 ms
    window = steady_window(10.0, ends, batch=4)
    assert window.start_s == pytest.approx(10.5) and window.end_s == pytest.approx(15.0)
    assert window.inferences == 90 * 4
    with pytest.raises(MeasurementError, match=r"10 iterations in 0\.50 s are too few"):
        steady_window(10.0, ends[:10])
    with pytest.raises(MeasurementError, match="0 iterations"):
        steady_window(10.0, [])


def test_a_trace_survives_its_file(tmp_path):
    path = str(tmp_path / "trace.json")
    power = {"VDD_IN": [1.5, None, 3.25], "VDD_GPU": [-4.0, 5.0, 6.0]}
    whole = PowerTrace(
        "tegrastats",
        [5.0, 5.25, 5.5],
        power,
        0.25,
        watched={"gpu_mhz": [1300.5, None, 114.75]},
        lsb_mw={"VDD_IN": 38.0},
        total=("VDD_IN",),
        failure="gone",
        dropped=2,
    )
    write_trace(path, whole)
    again = read_trace(path)
    assert again.document() == whole.document()
    assert again.rails == ("VDD_IN", "VDD_GPU") and again.dropped == 2
    assert np.isnan(again.power_mw["VDD_IN"][1])


def test_a_damaged_trace(tmp_path):
    path = tmp_path / "trace.json"
    for text, words in (
        ('{"schema": "edgesynth.record/1"}', "has schema"),
        ('{"schema": "edgesynth.power-trace/1"}', "is damaged"),
        (
            '{"schema": "edgesynth.power-trace/1", "source": "x", "stamps_s": [1], '
            '"power_mw": {"A": [1, 2]}, "period_s": 1}',
            "2 values of A",
        ),
    ):
        path.write_text(text)
        with pytest.raises(UserError, match=words):
            read_trace(str(path))


def test_stamps_that_run_backwards():
    with pytest.raises(MeasurementError, match="run backwards"):
        PowerTrace("ina3221", [2.0, 1.0], {"A": [1, 2]}, 0.1)


def test_a_result_is_plain_numbers():
    """numpy's numbers print differently and are no JSON in places."""
    times = stamps()
    window = Window(times[5], times[305], 100)
    found = energy_per_inference(trace(noisy(6000.0)), "VDD_IN", [window])
    for value in list(found.values()) + found["ci95"]:
        assert type(value) in (float, int, str, list, type(None)), value

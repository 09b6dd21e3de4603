"""Properties of the energy integral, and that readers of other programs' output never break."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from edgesynth_rt import jetson_clocks, nvpmodel, sysfs
from edgesynth_rt.energy import Window, energy_per_inference
from edgesynth_rt.errors import MeasurementError, MissingError
from edgesynth_rt.integrate import covered_s, energy_mj, independent, shares_s
from edgesynth_rt.power_trace import PowerTrace, read_trace, write_trace

seconds = st.floats(0.001, 10.0)
milliwatts = st.floats(-500.0, 60000.0)
samples = st.lists(st.tuples(seconds, milliwatts), min_size=2, max_size=60)
shares = st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)).map(sorted)


def unpack(pairs: list[tuple[float, float]]) -> tuple[np.ndarray, np.ndarray]:
    gaps, power = zip(*pairs, strict=True)
    return 1e5 + np.cumsum(gaps), np.array(power)


@given(samples, shares, st.booleans())
def test_energy_adds_up_and_stays_between_lowest_and_highest(
    pairs: list[tuple[float, float]], cuts: list[float], interval_means: bool
) -> None:
    times, power = unpack(pairs)
    a, b, c = (times[0] + cut * (times[-1] - times[0]) for cut in cuts)
    c = min(c, times[-1])
    whole = energy_mj(times, power, a, c, interval_means)
    parts = energy_mj(times, power, a, b, interval_means)
    parts += energy_mj(times, power, b, c, interval_means)
    tolerance = 1e-6 * (1 + abs(power).max() * (c - a))
    assert whole == pytest.approx(parts, abs=tolerance)
    used = power[1:] if interval_means else power
    assert used.min() * (c - a) - tolerance <= whole <= used.max() * (c - a) + tolerance


@given(samples, shares, st.booleans())
def test_shares_are_the_window(
    pairs: list[tuple[float, float]], cuts: list[float], interval_means: bool
) -> None:
    times, _ = unpack(pairs)
    a, _, c = (times[0] + cut * (times[-1] - times[0]) for cut in cuts)
    found = shares_s(times, a, c, interval_means)
    assert (found >= 0).all() and found.sum() == pytest.approx(c - a, abs=1e-9)
    assert covered_s(times, a, c, 20.0) == pytest.approx(c - a, abs=1e-9)
    assert covered_s(times, a, c, 0.0) == 0


@given(samples, st.floats(0.001, 5.0))
def test_conversions_are_numbered_in_order(
    pairs: list[tuple[float, float]], refresh_s: float
) -> None:
    times, power = unpack(pairs)
    found = independent(times, power[:, None], refresh_s)
    assert found[0] == 0 and set(np.diff(found)) <= {0, 1}
    assert (np.diff(found)[np.diff(power) != 0] == 1).all()
    for first, last in zip(found[:-1], times[1:] - times[:-1], strict=True):
        assert last < refresh_s or first < found[-1]


@given(samples, st.integers(1, 1000))
def test_a_result_is_finite_or_refused(pairs: list[tuple[float, float]], inferences: int) -> None:
    times, power = unpack(pairs)
    trace = PowerTrace("ina3221", times, {"VDD_IN": power}, 1.0)
    window = Window(times[0], times[-1], inferences)
    try:
        found = energy_per_inference(trace, "VDD_IN", [window])
    except MeasurementError as error:
        assert "\n" not in str(error)
        return
    low, high = found["ci95"]
    assert low <= found["gross_mj"] <= high
    assert found["samples"] >= 20 and found["coverage"] >= 0.95
    assert all(np.isfinite(v) for v in found.values() if isinstance(v, (int, float)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pairs=samples, rail=st.text(min_size=1, max_size=8), failure=st.none() | st.text())
def test_a_trace_survives_its_file(
    tmp_path: Path, pairs: list[tuple[float, float]], rail: str, failure: str | None
) -> None:
    times, power = unpack(pairs)
    assume(not any(0xD800 <= ord(c) <= 0xDFFF for c in rail + (failure or "")))
    trace = PowerTrace("ina3221", times, {rail: power}, 0.1, failure=failure)
    write_trace(tmp_path / "trace.json", trace)
    assert read_trace(tmp_path / "trace.json").document() == trace.document()


modes = st.dictionaries(st.integers(0, 99), st.from_regex(r"[A-Z0-9_]{1,20}", fullmatch=True))


@given(modes, st.none() | st.integers(0, 99), st.sampled_from(["", " ", "\t"]))
def test_a_table_of_modes_is_read_back(
    names: dict[int, str], default_id: int | None, indent: str
) -> None:
    lines = [f"{indent}< POWER_MODEL ID={number} NAME={name} >" for number, name in names.items()]
    lines += ["CPU_ONLINE CORE_0 1", "GPU MAX_FREQ 850000000", "# a remark"]
    if default_id is not None:
        lines.append(f"< PM_CONFIG DEFAULT={default_id} >")
    assert nvpmodel.parse_conf("\n".join(lines)) == (names, default_id)


@given(st.text() | st.text(alphabet="< POWER_MODEL ID=1²٣NAME>\nNV Power Mode: pmode"))
def test_any_text_can_be_read_as_a_mode(text: str) -> None:
    nvpmodel.parse_query(text)
    nvpmodel.parse_status(text)
    nvpmodel.parse_conf(text)
    nvpmodel.parse_query("NV Power Mode: MAXN\n" + text)
    nvpmodel.parse_status("pmode:" + text)
    nvpmodel.parse_conf("< POWER_MODEL ID=" + text + " NAME=MAXN >\n< PM_CONFIG DEFAULT=" + text)
    assert nvpmodel.parse_conf("< POWER_MODEL ID=² NAME=A >\n< PM_CONFIG DEFAULT=٣ >") == ({}, None)


@given(st.text(), st.text(alphabet="0123456789²٣ cpuGMEC:=MinFreqMaxOnline\n"))
def test_any_text_can_be_read_as_clocks(text: str, close: str) -> None:
    assert jetson_clocks.parse_show("GPU MinFreq=² MaxFreq=٣")["gpu"]["min_mhz"] is None
    for line in (
        text,
        close,
        "GPU MinFreq=" + text + " MaxFreq=" + close,
        "cpu0: MaxFreq=" + close,
    ):
        jetson_clocks.is_locked(jetson_clocks.parse_show(line))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=40) | st.integers(-(10**17), 10**17).map(lambda n: b"%d ma\n" % n))
def test_a_file_holds_a_number_or_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "in_power0_input"
    path.write_bytes(data)
    try:
        found = sysfs.number(str(path))
    except MissingError as error:
        assert str(path) in str(error)
    else:
        assert int(data.strip(b" \t\r\n\0").split()[0]) == found

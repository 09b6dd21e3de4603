"""The pure parts of a report: numbers, axes, fronts, distributions, room for labels."""

from __future__ import annotations

import math
import re
from itertools import pairwise

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from markupsafe import Markup

from edgesynth.report import numbers
from edgesynth.report.charts import text
from edgesynth.report.charts.distribution import Distribution, distribution, ecdf
from edgesynth.report.charts.frame import Axis, Frame
from edgesynth.report.pareto import pareto_front
from edgesynth.report.scale import Linear, Log, WholeNumbers, linear, logarithmic
from edgesynth.report.svg import element

NBSP = "\u00a0"
ordinary = st.floats(-1e9, 1e9, allow_nan=False)
positive = st.floats(1e-9, 1e12)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1000, "1 k"),
        (43_080, "43.1 k"),
        (431_080, "431 k"),
        (999_499, "999 k"),
        (999_500, "1 M"),
        (1_200_000, "1.2 M"),
        (2_293_000, "2.29 M"),
        (3.1e9, "3.1 G"),
    ],
)
def test_counts_have_three_digits_and_the_right_prefix(value, written):
    assert numbers.count(value).replace(NBSP, " ") == written


@pytest.mark.parametrize(
    ("write", "value", "written"),
    [
        (numbers.size, 172_320, "172 kB"),
        (numbers.size, 12, "12 B"),
        (numbers.milliseconds, 3.4, "3.4 ms"),
        (numbers.milliseconds, 0.0431, "43.1 µs"),
        (numbers.milliseconds, 0.9996, "1 ms"),
        (numbers.milliseconds, 1234.0, "1.23 s"),
        (numbers.millijoules, 0, "0 mJ"),
        (numbers.millijoules, 1500.0, "1.5 J"),
        (numbers.percent, 0.90523, "90.52 %"),
        (numbers.points, -0.0031, "−0.31 pt"),
        (numbers.points, 0.00001, "0.00 pt"),
        (numbers.points, 0.012, "+1.20 pt"),
        (numbers.factor, 10.004, "10.0×"),
        (numbers.factor, 4.526, "4.53×"),
        (numbers.factor, 125.4, "125×"),
        (numbers.factor, 33_333_333, "33.3 M×"),
    ],
)
def test_units(write, value, written):
    assert write(value).replace(NBSP, " ") == written


def test_change_says_which_way():
    assert numbers.change(431_080, 43_108) == "10.0× fewer"
    assert numbers.change(2.0, 5.0, "faster", "slower") == "2.50× slower"
    assert numbers.change(100, 100.1) == "same"
    assert numbers.change(0, 5) == ""


def test_column_lines_up_and_leaves_gaps_open():
    assert numbers.column([0.1234, None, 12.5], 2) == ["0.12", "–", "12.50"]
    assert [numbers.decimals_for(value) for value in (0, 0.00012, 0.123, 46.8, 1234)] == [
        0, 4, 3, 1, 0,
    ]  # fmt: skip


@given(positive)
def test_a_count_reads_back_within_half_a_digit(value):
    number, _, prefix = numbers.count(value).partition(NBSP)
    read = float(number) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[prefix]
    assert read == pytest.approx(value, rel=0.00501)
    assert len(number.replace(".", "").lstrip("0")) <= 4 or value >= 1e15


def test_ticks_by_hand():
    assert Linear(0, 1).ticks(6) == [0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert Linear(0.883, 0.914).ticks(5) == [0.89, 0.9, 0.91]
    assert Linear(-0.3, 0.3).ticks(3) == [-0.2, 0, 0.2]
    assert WholeNumbers(0.7, 4.3).ticks(7) == [1, 2, 3, 4]
    assert Log(1, 100).ticks(7) == [1, 2, 5, 10, 20, 50, 100]
    assert Log(1, 100).ticks(5) == [1, 3, 10, 30, 100]
    assert Log(1, 1e12).ticks(4) == [1, 1e4, 1e8, 1e12]
    assert Log(110, 190).ticks(5) == [120, 140, 160, 180]


@given(ordinary, ordinary, st.integers(1, 12))
def test_linear_ticks_are_even_and_inside(a, b, most):
    low, high = min(a, b), max(a, b)
    assume(high - low > 1e-6 * max(abs(low), abs(high), 1e-3))
    ticks = Linear(low, high).ticks(most)
    slack = 1e-8 * (high - low)
    assert len(ticks) <= most
    assert all(low - slack <= tick <= high + slack for tick in ticks)
    steps = [after - before for before, after in pairwise(ticks)]
    assert all(step == pytest.approx(steps[0], rel=1e-6) for step in steps)
    if most >= 5:  # the next step is at most 2.5 times as long, so two ticks are left
        assert len(ticks) >= 2


@given(positive, st.floats(1.01, 1e9), st.integers(1, 12))
def test_log_ticks_ascend_and_are_inside(low, ratio, most):
    ticks = Log(low, low * ratio).ticks(most)
    assert len(ticks) <= most
    assert all(before < after for before, after in pairwise(ticks))
    assert all(low * (1 - 1e-9) <= tick <= low * ratio * (1 + 1e-9) for tick in ticks)


@given(st.lists(ordinary | st.floats(0, 1e300), min_size=1, max_size=20))
@example([1.0, 2.8e-289])
@example([1e300, 1e-300])
def test_scales_hold_their_values(values):
    for scale in (linear(values), logarithmic(values)):
        assert all(-1e-9 <= scale.position(value) <= 1 + 1e-9 for value in values)
        assert all(scale.holds(value) for value in values)


def test_scales_stop_at_the_floor_and_refuse_a_logarithm_of_zero():
    assert linear([0.01, 0.99], floor=0, ceiling=1) == Linear(0, 1)
    assert isinstance(logarithmic([0, 10]), Linear)
    assert isinstance(logarithmic([5, 5]), Log)
    assert Log(1, 100).position(10) == pytest.approx(0.5)


def test_pareto_front_by_hand():
    #          0: front   1: beaten by 0  2: front   3: same as 2  4: dear and bad  5: front
    points = [(1.0, 0.80), (1.5, 0.75), (2.0, 0.90), (2.0, 0.90), (5.0, 0.85), (9.0, 0.95)]
    assert pareto_front(points) == [0, 2, 5]
    assert pareto_front([]) == []


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), max_size=30))
def test_nothing_beats_the_front_and_the_front_beats_the_rest(pairs):
    points = [(float(cost), float(accuracy)) for cost, accuracy in pairs]
    front = [points[index] for index in pareto_front(points)]

    def beaten(point):
        return any(o[0] <= point[0] and o[1] >= point[1] and o != point for o in points)

    assert not any(beaten(point) for point in front)
    assert {point for point in points if not beaten(point)} == set(front)
    assert len(front) == len(set(front))


@given(st.lists(st.floats(0.01, 1000), min_size=1, max_size=600))
def test_ecdf_keeps_ends_and_order(samples):
    points = ecdf(samples, most=50)
    values, shares = zip(*points, strict=True)
    assert values[0] == min(samples)
    assert (values[-1], shares[-1]) == (max(samples), 1.0)
    assert list(values) == sorted(values)
    assert list(shares) == sorted(shares)
    for value, share in points:  # each point is true of all samples
        assert sum(one <= value for one in samples) / len(samples) >= share - 1e-12
    assert len(points) <= 125


def test_a_distribution_without_raw_latencies_is_dashed():
    quantiles = [(0.5, 1.0), (0.9, 1.5), (0.99, 4.0)]
    known = distribution("t", [Distribution("a", "child", quantiles, [1.0, 1.5, 4.0])])
    stated = distribution("t", [Distribution("a", "child", quantiles)])
    assert "dashed" not in known.drawing
    assert "dashed" in stated.drawing
    assert "a, p99: 4\u00a0ms" in stated.drawing


@given(
    st.lists(st.floats(1e-6, 1e9), min_size=2, max_size=30),
    st.lists(st.floats(0, 1), min_size=2, max_size=30),
)
@example([1.0, 1.0], [1.0000000000000002e-06, 1e-06])
def test_tick_labels_never_touch_nor_leave_the_chart(xs, ys):
    x = Axis("x", logarithmic(xs), lambda ticks: [numbers.count(t) for t in ticks])
    y = Axis("y", linear(ys), lambda ticks: [f"{t:.3f}" for t in ticks])
    frame = Frame(x, y)
    drawn = str(frame.draw())
    boxes = []
    for anchor, left, top, words in re.findall(
        r'<text class="tick (\w+)" x="([-\d.]+)" y="([-\d.]+)">([^<]*)</text>', drawn
    ):
        boxes.append(text.box(words, float(left), float(top), anchor))
    whole = text.Box(-1, -1, 361, frame.height + 1)
    for index, box in enumerate(boxes):
        assert box.inside(whole)
        assert not any(box.overlaps(other) for other in boxes[index + 1 :])


def test_labels_find_room_or_are_left_out():
    room = text.Box(0, 0, 200, 100)
    assert text.place_beside("abc", 100, 50, room, []) == (109, 54, "start")
    right_taken = [text.Box(105, 0, 200, 100)]
    assert text.place_beside("abc", 100, 50, room, right_taken) == (91, 54, "end")
    assert text.place_beside("abc", 100, 50, room, [room]) is None


def test_names_at_the_ends_of_lines_are_spread():
    assert text.spread([50, 51, 90], 0, 100, 14) == [50, 64, 90]
    assert text.spread([95, 99, 98], 0, 100, 14) == [72, 100, 86]


@given(st.lists(st.floats(0, 100), max_size=6))
def test_spread_names_keep_their_order_and_distance(wanted):
    placed = text.spread(wanted, 0, 100, 14)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    assert all(placed[b] - placed[a] >= 14 - 1e-9 for a, b in pairwise(order))
    assert all(-1e-9 <= place <= 100 + 1e-9 for place in placed)


def test_markup_is_escaped_once():
    drawn = element("text", '<script>"&', class_="a", title='"><x>', x=1.5, y=math.pi, gone=None)
    assert drawn == (
        '<text class="a" title="&#34;&gt;&lt;x&gt;" x="1.5" y="3.14">'
        "&lt;script&gt;&#34;&amp;</text>"
    )
    assert element("g", Markup("<b>")) == "<g><b></g>"

"""Requirements: what is written is what is judged, and a slip of the pen gets an answer."""

import json
import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesynth.core.errors import UserError
from edgesynth.core.requirement import METRICS, parse_requirement, parse_requirements

RELATIONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
NUMBERS = st.one_of(
    st.integers(0, 10**9).map(str),
    st.floats(0, 1e9, allow_nan=False).map(lambda x: f"{x:.6g}"),
    st.sampled_from([".5", "3.", "1e3", "2.5E-2"]),
)
DEVICES = st.none() | st.sampled_from(["tx1", "tx2-nx", "agx-orin", "my_board.2"])


@st.composite
def written(draw):
    """A valid requirement: (parts, unit)."""
    metric = draw(st.sampled_from(sorted(METRICS)))
    unit = draw(st.sampled_from(sorted(METRICS[metric][1])))
    return metric, draw(st.sampled_from(sorted(RELATIONS))), draw(NUMBERS), unit, draw(DEVICES)


@pytest.mark.parametrize(
    ("text", "key", "limit", "device"),
    [
        ("accuracy>=0.905", "accuracy", 0.905, None),
        ("accuracy>=90.5%", "accuracy", 0.905, None),
        ("accuracy_loss<=0.5pt", "accuracy_loss_points", 0.5, None),
        ("params<=43k", "params", 43_000, None),
        ("synapses<=1G", "synapses", 1e9, None),
        ("macs<=1.2M", "macs", 1_200_000, None),
        ("size<=200kB", "size_bytes", 200_000, None),
        ("size<2KiB", "size_bytes", 2048, None),
        ("latency<=15ms@tx2", "latency_p50_ms", 15, "tx2"),
        ("latency_p95<=900us@tx1", "latency_p95_ms", 0.9, "tx1"),
        ("latency_mean<=0.02s", "latency_mean_ms", 20, None),
        ("throughput>60fps@nano", "throughput_per_s", 60, "nano"),
        ("energy<=60mJ@tx2", "energy_mj", 60, "tx2"),
        ("energy<=0.06J", "energy_mj", 60, None),
        ("inferences_per_joule>=1k@tx2", "inferences_per_joule", 1000, "tx2"),
    ],
)
def test_every_kind_of_unit(text, key, limit, device):
    requirement = parse_requirement(text)
    assert requirement.key == key
    assert requirement.limit == pytest.approx(limit, rel=1e-12)
    assert requirement.device == device


@given(written(), st.lists(st.sampled_from(["", " ", "  "]), min_size=5, max_size=5))
def test_spaces_do_not_matter(parts, spaces):
    metric, relation, number, unit, device = parts
    at = f"@{device}" if device else ""
    close = parse_requirement(f"{metric}{relation}{number}{unit}{at}")
    a, b, c, d, e = spaces
    wide = parse_requirement(f"{a}{metric}{b}{relation}{c}{number}{d}{unit}{e}{at}")
    assert (wide.metric, wide.relation, wide.limit, wide.device) == (
        close.metric,
        close.relation,
        close.limit,
        close.device,
    )
    assert (close.metric, close.relation, close.device) == (metric, relation, device)


@given(written(), st.floats(0, 1e12))
def test_the_verdict_is_the_relation(parts, value):
    metric, relation, number, unit, _ = parts
    requirement = parse_requirement(f"{metric}{relation}{number}{unit}")
    verdict = requirement.judge({requirement.key: value, "another": 0.0})
    assert verdict.holds is RELATIONS[relation](value, requirement.limit)
    document = json.loads(json.dumps(verdict.document()))
    assert document["holds"] is verdict.holds
    assert document["key"] == requirement.key
    assert (document["value"], document["limit"]) == (value, requirement.limit)


def test_the_bound_itself_counts_only_where_it_is_included():
    holds = {r: parse_requirement(f"macs{r}5").judge({"macs": 5}).holds for r in RELATIONS}
    assert holds == {">=": True, "<=": True, ">": False, "<": False}


@pytest.mark.parametrize("measurements", [{}, {"energy_mj": None}, {"energy": 3.0}])
def test_what_was_not_measured_is_neither_met_nor_failed(measurements):
    verdict = parse_requirement("energy<=60mJ@tx2").judge(measurements)
    assert verdict.holds is None
    assert verdict.document()["value"] is None


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("acuracy>=0.9", "accuracy"),
        ("latncy_p95<=15ms", "latency_p95"),
        ("mac<=1M", "macs"),
        ("enregy<=60mJ", "energy"),
        ("ACCURACY>=0.9", "accuracy"),
    ],
)
def test_a_typo_offers_the_nearest_metric(typo, meant):
    with pytest.raises(UserError, match=f'did you mean "{meant}"'):
        parse_requirement(typo)


def test_a_name_near_to_nothing_lists_them_all():
    with pytest.raises(UserError) as caught:
        parse_requirement("zzz<=1")
    assert all(metric in str(caught.value) for metric in METRICS)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("latency<=15MB", "us, ms, s"),
        ("size<=3ms", "KiB"),
        ("params<=3K", '"K"'),
        ("accuracy>=90pt", "%"),
        ("macs==3", "METRIC RELATION NUMBER"),
        ("macs<=", "latency_p95<=15ms@tx2"),
        ("macs<=-3", "METRIC RELATION NUMBER"),
        ("macs<=1M@", "METRIC RELATION NUMBER"),
        ("", "METRIC RELATION NUMBER"),
        ("macs<=1e999", "too large"),
    ],
)
def test_a_wrong_part_is_named(text, part):
    with pytest.raises(UserError) as caught:
        parse_requirement(text)
    assert part in str(caught.value)


@given(st.text(max_size=200) | st.text("macsenrgy<=>.0123456789kM@\n ", max_size=60))
def test_any_text_is_understood_or_refused_in_one_line(text):
    try:
        requirement = parse_requirement(text)
    except UserError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert requirement.metric in METRICS
        assert 0 <= requirement.limit < float("inf")


def test_several_requirements_keep_their_order():
    texts = ("macs<=1M", "accuracy>=0.9")
    assert tuple(r.text for r in parse_requirements(texts)) == texts

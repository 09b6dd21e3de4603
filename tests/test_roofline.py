"""The roofline and the energy model: by hand, and what must hold for any network."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgesynth.core.errors import UserError
from edgesynth.hardware.board import board_names, load_board
from edgesynth.hardware.energy import energy_gap, predict_energy_mj
from edgesynth.hardware.fitted import (
    energy_trust,
    latency_trust,
    load_energy_model,
    load_latency_model,
)
from edgesynth.hardware.layers import Kind, Layer
from edgesynth.hardware.roofline import predict_latency_ms, predict_layers, require_precision

C = load_latency_model().coefficients
CONV = Layer(
    name="resnet 3x3", kind="conv", macs=115_605_504, weights=36_928, inputs=200_704,
    outputs=200_704, rows=3136, columns=64, depth=576, kernel=(3, 3), stride=2,
)  # fmt: skip
RELU = Layer(name="relu", kind="elementwise", inputs=200_704, outputs=200_704)
LINEAR = Layer(
    name="fc", kind="fully-connected", macs=4_096_000, weights=4_097_000, inputs=4096, outputs=1000,
    rows=1, columns=1000, depth=4096,
)  # fmt: skip


def textbook_ms(layer: Layer, bytes_per_element: int) -> float:
    """The docstring's formula for a TX2 at its highest clocks, FP32 or FP16, in plain numbers."""
    sms, hertz, peak_per_clock, bandwidth = 2, 1300.5e6, 128, 59.7e9
    core, family = C.cuda, C.families["sm_62"]
    if bytes_per_element == 2:
        peak_per_clock *= 2 * C.half
    if layer.kind == "elementwise":
        arithmetic, faster = 0.0, C.streaming
    else:
        share = core.conv if layer.kind == "conv" else core.conv_1x1
        work = (
            (layer.rows + core.extra_rows_per_sm * sms)
            * (layer.columns + core.extra_columns)
            * (layer.depth + core.extra_depth)
        )
        arithmetic, faster = work / (sms * peak_per_clock * hertz * family.speed * share), 1.0
    moved = bytes_per_element * (layer.weights + layer.inputs + layer.outputs)
    memory = moved / (bandwidth * family.bandwidth * faster)
    return 1e3 * (max(arithmetic, memory) + family.launch_clocks / hertz)


@pytest.mark.parametrize("layer", [CONV, RELU, LINEAR], ids=lambda layer: layer.kind)
@pytest.mark.parametrize(("precision", "width"), [("fp32", 4), ("fp16", 2)])
def test_by_hand(layer, precision, width):
    (time,) = predict_layers([layer], load_board("tx2"), precision=precision)
    assert time.latency_ms == pytest.approx(textbook_ms(layer, width), rel=1e-12)


def test_what_binds():
    tx2 = load_board("tx2")
    bounds = [time.bound for time in predict_layers([CONV, LINEAR, RELU], tx2, precision="fp32")]
    assert bounds == ["compute", "memory", "memory"]
    tiny = Layer(name="tiny", kind="pool", inputs=100, outputs=25)
    assert predict_layers([tiny], tx2)[0].bound == "launch"


def test_a_network_takes_the_sum_of_its_layers():
    tx1 = load_board("tx1")
    times = predict_layers([CONV, RELU], tx1, batch=4)
    assert predict_latency_ms([CONV, RELU], tx1, batch=4) == sum(t.latency_ms for t in times)
    assert predict_latency_ms([], tx1) == 0


def test_a_mode_that_turns_multiprocessors_off_is_slower_for_it():
    xavier = load_board("agx-xavier")
    slow = predict_latency_ms([CONV], xavier, precision="fp32", mode=xavier.mode("MODE_10W"))
    halved = msgspec.structs.replace(xavier.mode("MODE_10W"), sms=None)
    assert slow > 1.5 * predict_latency_ms([CONV], xavier, precision="fp32", mode=halved)


# --- what must hold for any layer -----------------------------------------------------------

KINDS: list[Kind] = [
    *("conv", "conv 1x1", "grouped", "fully-connected", "matmul", "depthwise"),
    *("pool", "elementwise", "softmax", "normalization", "concat", "copy"),
]
small = st.integers(1, 4096)


@st.composite
def any_layer(draw: st.DrawFn) -> Layer:
    kind = draw(st.sampled_from(KINDS))
    layer = Layer(name="any", kind=kind, inputs=draw(small), outputs=draw(small))
    if KINDS.index(kind) >= 6:
        return layer
    rows, columns, depth, groups = (draw(st.integers(1, 600)) for _ in range(4))
    return msgspec.structs.replace(
        layer,
        macs=rows * columns * depth * groups,
        weights=draw(small),
        rows=rows,
        columns=columns,
        depth=depth,
        groups=groups,
        kernel=draw(st.sampled_from([(1, 1), (3, 3), (5, 5)])),
        stride=draw(st.integers(1, 2)),
    )


boards = st.sampled_from(board_names()).map(load_board)
precisions = st.sampled_from(["fp16", "fp32"])


@given(any_layer(), boards, precisions, st.data())
def test_more_work_or_bytes_is_never_faster(layer, board, precision, data):
    field = data.draw(st.sampled_from(["weights", "inputs", "outputs", "rows", "columns", "depth"]))
    larger = msgspec.structs.replace(layer, **{field: getattr(layer, field) + data.draw(small)})
    if layer.macs:
        macs = larger.rows * larger.columns * larger.depth * larger.groups
        larger = msgspec.structs.replace(larger, macs=macs)
    assert predict_latency_ms([larger], board, precision=precision) >= predict_latency_ms(
        [layer], board, precision=precision
    )
    before, after = (
        predict_energy_mj([each], board, precision=precision) for each in (layer, larger)
    )
    assert (before is None) == (after is None) == (energy_gap(board) is not None)
    assert before is None or after >= before > 0


@given(any_layer(), boards, precisions, st.integers(1, 64))
def test_a_batch_takes_longer_than_a_part_and_less_than_one_by_one(layer, board, precision, batch):
    one, many, more = (
        predict_latency_ms([layer], board, precision=precision, batch=b)
        for b in (1, batch, batch + 1)
    )
    assert one <= many <= more
    assert many <= batch * one * (1 + 1e-12)


@given(any_layer(), boards, precisions, st.data())
def test_a_slower_clock_is_never_faster(layer, board, precision, data):
    mode = data.draw(st.sampled_from(board.power_modes))
    fast = predict_latency_ms([layer], board, precision=precision)
    assert predict_latency_ms([layer], board, precision=precision, mode=mode) >= fast


@given(any_layer(), boards)
def test_fp16_is_never_slower_and_positive(layer, board):
    fp16, fp32 = (predict_latency_ms([layer], board, precision=p) for p in ("fp16", "fp32"))
    assert fp16 > 0
    if layer.macs == 0 or board.gpu.fp16_tensor_rate is None:
        assert fp16 <= fp32  # tensor cores waste more on tiny products


# --- energy ---------------------------------------------------------------------------------


def test_energy_by_hand():
    tx2, layers = load_board("tx2"), [CONV, RELU]
    c, maxq = load_energy_model().boards["tx2"], load_board("tx2").mode("MAXQ")
    clock = 854.25 / 1300.5
    watts = c.static_w + c.active_w * clock ** (1 + c.clock_exponent)
    moved = 2 * (36_928 + 3 * 200_704 + 200_704)
    dynamic = c.pj_per_mac["fp16"] * CONV.macs * clock**c.clock_exponent + c.pj_per_byte * moved
    by_hand = watts * 10 + dynamic * 1e-9
    assert predict_energy_mj(layers, tx2, mode=maxq, latency_ms=10) == pytest.approx(by_hand)
    batch = predict_energy_mj(layers, tx2, batch=8)
    assert batch is not None and batch < (predict_energy_mj(layers, tx2) or 0)


def test_power_stays_within_what_the_boards_draw():
    """Watts of a busy board: above idle, below what its supply gives."""
    layers = [CONV, RELU] * 20
    for name, most in (("tx1", 20), ("nano", 15), ("tx2", 20), ("tx2-nx", 20), ("agx-xavier", 50)):
        board = load_board(name)
        for precision in ("fp16", "fp32"):
            energy = predict_energy_mj(layers, board, precision=precision)
            assert energy is not None
            assert 3 < energy / predict_latency_ms(layers, board, precision=precision) < most


# --- what is refused, and how far figures may be believed -----------------------------------


@pytest.mark.parametrize("name", ["tx1", "nano", "tx2", "tx2-nx"])
def test_int8_on_boards_without_it(name):
    with pytest.raises(UserError, match=f"no int8 on {name}: sm_(53|62) has no INT8 .*; use fp16"):
        predict_latency_ms([CONV], load_board(name), precision="int8")


def test_other_precisions():
    with pytest.raises(UserError, match="int8 is not predicted on agx-xavier: no measurements"):
        require_precision(load_board("agx-xavier"), "int8")
    with pytest.raises(UserError, match='no precision "fp61"; did you mean "fp16"'):
        require_precision(load_board("tx2"), "fp61")
    with pytest.raises(UserError, match="batch 0 is not a number of samples"):
        predict_latency_ms([CONV], load_board("tx2"), batch=0)


def test_an_architecture_without_efficiencies():
    strange = msgspec.structs.replace(load_board("thor"), latency_like=None)
    with pytest.raises(UserError, match=r"no efficiencies are fitted for sm_110 of thor; name one"):
        predict_latency_ms([CONV], strange)


def test_trust():
    """Own rows, else relatives that were predicted without their own, else nothing is known."""
    model = load_latency_model()
    errors = {
        (e.board, e.precision): e.family_held_out_percent for e in model.errors if e.source == "all"
    }
    alone = {(e.board, e.precision): e.percent for e in model.boards_held_out}
    tx1 = latency_trust(load_board("tx1"), "fp16")
    assert tx1.status == "fitted"
    assert tx1.error_percent == max(errors["tx1", "fp16"], errors["sm_53", "fp16"])
    orin_nx = latency_trust(load_board("orin-nx"), "fp16")
    worst = max(alone["orin-nano", "fp16"], alone["agx-orin", "fp16"])
    assert (orin_nx.status, orin_nx.error_percent) == ("assumed", worst)
    tx2_nx = latency_trust(load_board("tx2-nx"), "fp32")  # no relative but the TX2
    assert (tx2_nx.status, tx2_nx.error_percent) == ("assumed", errors["sm_62", "fp32"])
    assert latency_trust(load_board("orin-nx"), "fp32").error_percent is None
    assert latency_trust(load_board("thor"), "fp16").error_percent is None
    assert energy_trust(load_board("tx1"), "fp16").status == "assumed"
    assert energy_trust(load_board("tx2"), "fp16").error_percent is not None
    assert energy_gap(load_board("orin-nano")) is not None

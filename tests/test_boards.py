"""Boards: every file loads, every value says where it comes from, a wrong file says where."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgesynth.core.errors import UserError
from edgesynth.hardware.board import board_names, load_board, quantities, read_board
from edgesynth.hardware.fitted import load_energy_model, load_latency_model
from edgesynth.hardware.target import load_target, target_names

PROMISED = (
    "tx1 nano tx2 tx2-nx xavier-nx agx-xavier orin-nano orin-nx agx-orin thor".split()
)  # fmt: skip
TX2 = Path(read_board.__code__.co_filename).with_name("boards") / "tx2.toml"


def test_the_promised_boards_are_there():
    assert board_names() == sorted(PROMISED)


@pytest.mark.parametrize("name", PROMISED)
def test_every_value_names_its_source(name):
    board = load_board(name)
    found = quantities(board)
    assert {"gpu.sms", "gpu.fp32_rate", "memory.bandwidth"} <= set(found)
    for place, quantity in found.items():
        words = quantity.source.split()
        assert len(words) >= 2, f"{place}: {quantity.source!r} is no source"
    assert board.int8.source


@pytest.mark.parametrize("name", PROMISED)
def test_the_first_power_mode_is_the_fastest(name):
    modes = load_board(name).power_modes
    assert len({mode.name for mode in modes}) == len(modes)
    for mode in modes[1:]:
        assert mode.gpu_clock.value <= modes[0].gpu_clock.value
        assert mode.memory_clock.value <= modes[0].memory_clock.value


@pytest.mark.parametrize("name", PROMISED)
def test_the_first_mode_does_not_pass_the_memory_s_clock(name):
    board = load_board(name)
    assert board.mode().memory_clock.value <= board.memory.clock.value


@pytest.mark.parametrize("name", PROMISED)
def test_every_board_can_be_predicted(name):
    board = load_board(name)
    assert load_latency_model().family_of(board) in load_latency_model().coefficients.families
    if board.energy_like is not None:
        assert board.energy_like in load_energy_model().boards


def test_targets_name_known_boards():
    for target in target_names():
        assert set(load_target(target).modules) <= {*board_names(), "host"}


def test_peaks_are_those_of_the_data_sheets():
    """TFLOPS that NVIDIA states, two operations per multiply-accumulate: (FP32, FP16)."""
    stated = {
        "tx1": (0.511, 1.022),
        "nano": (0.236, 0.472),
        "tx2": (0.666, 1.332),
        "agx-xavier": (1.41, 11.3),
        "agx-orin": (5.33, 42.6),
    }
    for name, (fp32, fp16) in stated.items():
        board = load_board(name)
        per_s = 2e-12 * board.gpu.sms.value * board.mode().gpu_clock.value * 1e6
        tensor = board.gpu.fp16_tensor_rate or board.gpu.fp16_rate
        assert per_s * board.gpu.fp32_rate.value == pytest.approx(fp32, rel=0.01)
        assert per_s * tensor.value == pytest.approx(fp16, rel=0.01)


def test_unknown_names_get_the_nearest():
    with pytest.raises(UserError, match='no device "tx3"; did you mean "tx2"'):
        load_board("tx3")
    with pytest.raises(UserError, match='no power mode "maxp_core"; did you mean "MAXP_CORE_A'):
        load_board("tx2").mode("maxp_core")
    assert load_board("tx2").mode("maxq").name == "MAXQ"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('unit = "GB/s"', 'unit = "MB/s"', r"memory.bandwidth must be in GB/s, not \"MB/s\""),
        ("value = 59.7", "value = -1", r"Expected `float` > 0.0 - at `\$.memory.bandwidth.value"),
        ('status = "datasheet"', 'status = "sure"', "Invalid enum value 'sure'"),
        ("[memory]", "[memory]\nspeed = 3", "unknown field `speed`"),
        ('sm = "sm_62"', "", "missing required field `sm`"),
        ('name = "tx2"', 'name = "tx3"', 'name "tx2"'),
        ("[gpu]", "[gpu", "tx2.toml: "),
    ],
)
def test_a_wrong_file_is_answered_with_the_place(tmp_path, old, new, said):
    text = TX2.read_text()
    assert old in text
    path = tmp_path / "tx2.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UserError, match=said) as caught:
        read_board(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_no_int8_needs_a_reason(tmp_path):
    lines = [line for line in TX2.read_text().split("\n") if not line.startswith("reason")]
    (tmp_path / "tx2.toml").write_text("\n".join(lines))
    with pytest.raises(UserError, match=r"int8\.reason"):
        read_board(tmp_path / "tx2.toml")

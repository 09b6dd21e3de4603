"""Power modes: what nvpmodel prints and keeps, and that a reboot is never agreed to."""

import os
import stat

import boards
import fake_board
import pytest

from edgesynth_rt import nvpmodel
from edgesynth_rt.errors import MissingError, UserError
from edgesynth_rt.nvpmodel import Mode


@pytest.fixture
def board(tmp_path, monkeypatch):
    root = fake_board.build(tmp_path / "board")
    for key, value in fake_board.environment(root).items():
        monkeypatch.setenv(key, value)
    return root


@pytest.mark.parametrize(
    ("output", "mode"),
    [
        ("NV Power Mode: MAXN\n0\n", Mode(0, "MAXN")),
        (
            "NVPM WARN: fan mode is not set!\nNV Power Mode: MODE_15W_6CORE\n2\n",
            Mode(2, "MODE_15W_6CORE"),
        ),
        ("NV Power Mode: 30W\nNVPM WARN: fan mode is not set to cool\n2\n", Mode(2, "30W")),
        (
            "NVPM VERB: Config file: /etc/nvpmodel.conf\n"
            "NVPM VERB: Current mode: NV Power Mode: MAXQ\n1\n",
            Mode(1, "MAXQ"),
        ),
        ("NV Fan Mode:quiet\nNV Power Mode: MAXN_SUPER\n2\n", Mode(2, "MAXN_SUPER")),
        ("NVPM ERROR: Error opening /var/lib/nvpmodel/status: 13\n", None),
        ("NV Power Mode: MAXN\n", None),
        ("", None),
    ],
)
def test_query(output, mode):
    assert nvpmodel.parse_query(output) == mode


def test_table():
    table = nvpmodel.parse_conf(fake_board.CONF)
    assert table.default_id == 3
    assert table.names[0] == "MAXN" and table.names[4] == "MAXP_CORE_DENVER"
    turned = "  < POWER_MODEL NAME=MAXN ID=3 >\n#< POWER_MODEL ID=9 NAME=OFF >\n"
    assert nvpmodel.parse_conf(turned) == nvpmodel.Table({3: "MAXN"}, None)
    fan = "< PM_CONFIG DEFAULT=2 FAN_DEFAULT=quiet >"
    assert nvpmodel.parse_conf(fan).default_id == 2


def test_status():
    assert nvpmodel.parse_status("pmode:0002 fmode:quiet") == 2
    assert nvpmodel.parse_status("fmode:quiet") is None


def test_present_mode(board):
    assert nvpmodel.read_mode(board) == Mode(3, "MAXP_CORE_ARM")
    assert fake_board.calls(board) == []  # files are enough
    os.remove(os.path.join(board, nvpmodel.STATUS))
    boards.write(board, nvpmodel.STATUS, "pmode:0007")
    assert nvpmodel.read_mode(board) == Mode(7, None)


def test_present_mode_from_the_program(board, tmp_path):
    assert nvpmodel.read_mode(str(tmp_path / "no-files")) == Mode(3, "MAXP_CORE_ARM")
    assert fake_board.calls(board) == ["nvpmodel -q"]


def test_no_nvpmodel(tmp_path):
    with pytest.raises(MissingError, match="nvpmodel-of-nobody cannot be run: No such file"):
        nvpmodel.read_mode(str(tmp_path), "nvpmodel-of-nobody")
    with pytest.raises(MissingError, match=r"etc/nvpmodel\.conf cannot be read"):
        nvpmodel.read_table(str(tmp_path))


def test_a_table_without_modes(tmp_path):
    boards.write(tmp_path, nvpmodel.CONF, "# nothing")
    with pytest.raises(MissingError, match="names no power mode"):
        nvpmodel.read_table(str(tmp_path))


def test_modes_by_number_and_name(board):
    table = nvpmodel.read_table(board)
    assert nvpmodel.find_mode("maxq", table) == nvpmodel.find_mode(1, table) == Mode(1, "MAXQ")
    with pytest.raises(UserError, match="has 0 MAXN, 1 MAXQ, 2 MAXP_CORE_ALL"):
        nvpmodel.find_mode("30W", table)


def test_switching(board):
    nvpmodel.switch(Mode(1, "MAXQ"))
    assert nvpmodel.query() == Mode(1, "MAXQ")
    nvpmodel.switch(Mode(1, "MAXQ"))
    assert fake_board.calls(board).count("nvpmodel -m 1") == 1  # not again


def test_a_reboot_is_never_agreed_to(board, monkeypatch):
    monkeypatch.setenv("FAKE_REBOOT_MODES", "0 4")
    with pytest.raises(UserError, match="power mode 4 MAXP_CORE_DENVER needs a reboot") as caught:
        nvpmodel.switch(Mode(4, "MAXP_CORE_DENVER"))
    assert "sudo nvpmodel -m 4" in str(caught.value)
    assert not os.path.exists(os.path.join(board, "rebooted"))
    assert nvpmodel.query() == Mode(3, "MAXP_CORE_ARM")


def test_a_question_without_an_end_is_cut_off(board, tmp_path):
    """One that asks again and again at the end of its input must not hang the benchmark."""
    path = tmp_path / "nvpmodel"
    path.write_text(
        "#!/bin/sh\n[ $1 = -q ] && exec %s/nvpmodel -q\n"
        "while :; do sleep 1; done\n" % fake_board.BIN
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    with pytest.raises(MissingError, match=r"nvpmodel -m 1 did not end within 0\.5 s"):
        nvpmodel.switch(Mode(1, "MAXQ"), str(path), timeout_s=0.5)


def test_without_root(board, monkeypatch):
    monkeypatch.setenv("FAKE_NOT_ROOT", "1")
    with pytest.raises(MissingError, match=r"failed to write PARAM.*run as root"):
        nvpmodel.switch(Mode(1, "MAXQ"))

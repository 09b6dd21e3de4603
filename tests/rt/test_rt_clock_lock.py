"""Locked clocks come back: after the block, after signals, after kill -9 of whoever locked them."""

import os
import re
import signal
import subprocess
import sys
import time

import boards
import fake_board
import pytest

from edgesynth_rt.clock_keeper import Keeper
from edgesynth_rt.clock_lock import lock_clocks, restore_stale_clocks
from edgesynth_rt.errors import MeasurementError, MissingError, UserError

BENCHMARK = """
import sys, time
from edgesynth_rt.clock_lock import lock_clocks
with lock_clocks(folder=sys.argv[1], root=sys.argv[2], mode=sys.argv[3] or None):
    print("locked", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def board(tmp_path, monkeypatch):
    root = fake_board.build(tmp_path / "board")
    for key, value in fake_board.environment(root).items():
        monkeypatch.setenv(key, value)
    return root


@pytest.fixture
def folder(tmp_path):
    """Where the state of the lock is kept, as /run/edgesynth on a board."""
    return str(tmp_path / "run" / "edgesynth")


def state_files(folder):
    return sorted(os.listdir(folder))


def test_clocks_are_locked_in_the_block_and_free_after_it(board, folder):
    with lock_clocks(folder=folder, root=board) as state:
        assert fake_board.settings(board) == fake_board.LOCKED
        assert state["locked"] and state["gpu"]["current_mhz"] == 1300.5
        assert state["power_mode"] == "MAXP_CORE_ARM" and state["cpus"][0]["max_mhz"] == 1996.8
    assert fake_board.settings(board) == fake_board.FREE
    assert state_files(folder) == ["clocks.lock"]
    assert fake_board.calls(board)[0] == "jetson_clocks --store %s/clocks.conf" % folder
    assert fake_board.calls(board)[-1] == "jetson_clocks --restore %s/clocks.conf" % folder


def test_an_error_in_the_block_passes_through(board, folder):
    with pytest.raises(ZeroDivisionError), lock_clocks(folder=folder, root=board):
        1 / 0
    assert fake_board.settings(board) == fake_board.FREE


def test_a_power_mode_for_the_time(board, folder):
    with lock_clocks(folder=folder, root=board, mode="MAXN") as state:
        assert state["power_mode"] == "MAXN"
    assert fake_board.read(board, "var/lib/nvpmodel/status") == "pmode:0003"
    assert fake_board.settings(board) == fake_board.FREE
    calls = [call for call in fake_board.calls(board) if call != "nvpmodel -q"]
    assert [call.partition(folder)[0].strip() for call in calls] == [
        "nvpmodel -m 0",
        "jetson_clocks --store",
        "jetson_clocks",
        "jetson_clocks --show",
        "jetson_clocks --restore",
        "nvpmodel -m 3",
    ]


def test_a_mode_that_wants_a_reboot_changes_nothing(board, folder, monkeypatch):
    monkeypatch.setenv("FAKE_REBOOT_MODES", "4")
    with pytest.raises(UserError, match="needs a reboot"):
        with lock_clocks(folder=folder, root=board, mode=4):
            raise AssertionError("not reached")
    assert not os.path.exists(os.path.join(board, "rebooted"))
    assert not [call for call in fake_board.calls(board) if call.startswith("jetson_clocks")]
    assert state_files(folder) == ["clocks.lock"]


def test_an_unknown_mode(board, folder):
    with pytest.raises(UserError, match="this module has no power mode TURBO"):
        with lock_clocks(folder=folder, root=board, mode="TURBO"):
            raise AssertionError("not reached")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_benchmark_that_is_ended_leaves_the_clocks_free(board, folder, number):
    benchmark = start_benchmark(board, folder)
    assert fake_board.settings(board) == fake_board.LOCKED
    benchmark.send_signal(number)
    assert finish(benchmark) != 0
    assert until(lambda: fake_board.settings(board) == fake_board.FREE)
    assert until(lambda: state_files(folder) == ["clocks.lock"])


def test_ctrl_c_in_a_terminal_reaches_the_whole_group(board, folder):
    """The terminal signals every process of the group, so the guardian must not be in it."""
    benchmark = start_benchmark(board, folder, start_new_session=True)
    os.killpg(benchmark.pid, signal.SIGINT)
    assert finish(benchmark) != 0
    assert until(lambda: fake_board.settings(board) == fake_board.FREE)


def test_killed_in_the_middle_of_locking(board, folder, monkeypatch):
    monkeypatch.setenv("FAKE_CLOCKS", "slow")
    benchmark = start_benchmark(board, folder, wait=False)
    assert until(lambda: "jetson_clocks " in fake_board.calls(board))
    benchmark.kill()
    finish(benchmark)
    assert until(lambda: state_files(folder) == ["clocks.lock"])
    assert fake_board.settings(board) == fake_board.FREE


def test_a_child_that_outlives_the_benchmark_does_not_keep_the_clocks_locked(board, folder):
    """A forked child holds the pipe to the guardian open, which then looks at its parent."""
    fork = "    if os.fork() == 0:\n        time.sleep(60)\n        os._exit(0)\n"
    script = BENCHMARK.replace("import sys", "import os, sys").replace(
        "    print", fork + "    print"
    )
    benchmark = start_benchmark(board, folder, script, start_new_session=True)
    try:
        benchmark.kill()
        benchmark.wait()
        assert until(lambda: fake_board.settings(board) == fake_board.FREE)
    finally:
        os.killpg(benchmark.pid, signal.SIGKILL)
        benchmark.stdout.close()


def test_guardian_and_benchmark_killed_the_next_one_puts_it_back(board, folder):
    kill_both(board, folder, "MAXQ")
    assert restore_stale_clocks(folder, board)
    assert fake_board.settings(board) == fake_board.FREE
    assert fake_board.read(board, "var/lib/nvpmodel/status") == "pmode:0003"
    assert restore_stale_clocks(folder, board) is False


def test_what_is_stale_is_put_back_before_it_is_stored_again(board, folder):
    """Else the locked clocks would be taken for the settings to come back to."""
    kill_both(board, folder)
    with lock_clocks(folder=folder, root=board):
        pass
    assert fake_board.settings(board) == fake_board.FREE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_guardian_is_noticed_by_the_benchmark(board, folder, number):
    with pytest.raises(MeasurementError, match="the clocks did not stay locked"):
        with lock_clocks(folder=folder, root=board):
            guardian = guardian_of(os.getpid())
            os.kill(guardian, number)
            assert until(lambda: not alive(guardian))
    assert fake_board.settings(board) == fake_board.FREE


def test_one_who_comes_while_clocks_are_put_back_waits(board, folder):
    benchmark = start_benchmark(board, folder)
    benchmark.kill()
    with lock_clocks(folder=folder, root=board, wait_s=20.0):
        assert fake_board.settings(board) == fake_board.LOCKED
    finish(benchmark)
    assert fake_board.settings(board) == fake_board.FREE


def test_after_a_reboot_nothing_is_put_back(board, folder):
    kill_both(board, folder)
    boards.write(board, "proc/sys/kernel/random/boot_id", "5bd0b1c2-0002")
    before = len(fake_board.calls(board))
    assert restore_stale_clocks(folder, board) is False
    assert len(fake_board.calls(board)) == before
    assert state_files(folder) == ["clocks.lock"]


def test_two_benchmarks_do_not_lock_each_other_in(board, folder):
    with lock_clocks(folder=folder, root=board):
        with pytest.raises(UserError, match=r"another benchmark \(process [0-9]+\) holds"):
            with lock_clocks(folder=folder, root=board, wait_s=0.0):
                raise AssertionError("not reached")
        assert restore_stale_clocks(folder, board) is False
        assert fake_board.settings(board) == fake_board.LOCKED
    assert fake_board.settings(board) == fake_board.FREE


@pytest.mark.parametrize("how", ["not-root", "just-booted", "locking-fails"])
def test_what_cannot_be_locked_stays_as_it_was(board, folder, monkeypatch, how):
    monkeypatch.setenv("FAKE_CLOCKS", how)
    with pytest.raises(MissingError, match="jetson_clocks"):
        with lock_clocks(folder=folder, root=board):
            raise AssertionError("not reached")
    assert fake_board.settings(board) == fake_board.FREE
    assert state_files(folder) == ["clocks.lock"]


def test_clocks_that_do_not_come_back_are_said_with_the_command(board, folder, monkeypatch):
    monkeypatch.setenv("FAKE_CLOCKS", "restoring-fails")
    with pytest.raises(MissingError, match="the clocks were not put back") as caught:
        with lock_clocks(folder=folder, root=board):
            pass
    command = re.search(r"run: sudo (\S+) (--restore \S+), or reboot", str(caught.value))
    monkeypatch.setenv("FAKE_CLOCKS", "")
    subprocess.check_call([command.group(1)] + command.group(2).split())  # it is right
    assert fake_board.settings(board) == fake_board.FREE
    assert restore_stale_clocks(folder, board) is False


def test_no_jetson_clocks(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(MissingError, match="jetson_clocks is not on PATH"):
        with lock_clocks(folder=folder):
            raise AssertionError("not reached")


def test_a_folder_that_others_can_write_to_is_refused(board, tmp_path):
    """Root would write whatever a file in it says to wherever it says."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(MissingError, match="not a folder that only this user can write to"):
        Keeper(str(folder), board)
    linked = tmp_path / "link"
    linked.symlink_to(folder)
    with pytest.raises(MissingError, match="only this user"):
        Keeper(str(linked), board)


def test_no_right_to_make_the_folder(board):
    with pytest.raises(MissingError, match=r"/proc/edgesynth cannot be made.*needs root"):
        Keeper("/proc/edgesynth", board)


def test_a_damaged_state_says_reboot(board, folder):
    kill_both(board, folder)
    with open(os.path.join(folder, "clocks.json"), "w") as stream:
        stream.write("{")
    with pytest.raises(MissingError, match="reboot to get the default clocks back"):
        restore_stale_clocks(folder, board)
    assert restore_stale_clocks(folder, board) is False


def start_benchmark(board, folder, script=BENCHMARK, mode="", wait=True, **options):
    """A process that holds the lock; returned when it does."""
    benchmark = subprocess.Popen(
        [sys.executable, "-c", script, folder, board, mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path)),
        **options,
    )
    if wait:
        assert benchmark.stdout.readline() == b"locked\n"
    return benchmark


def finish(benchmark):
    code = benchmark.wait()
    benchmark.stdout.close()
    return code


def kill_both(board, folder, mode=""):
    """Leave locked clocks behind that nobody answers for."""
    benchmark = start_benchmark(board, folder, mode=mode)
    guardian = guardian_of(benchmark.pid)
    os.kill(guardian, signal.SIGKILL)
    benchmark.kill()
    finish(benchmark)
    assert until(lambda: not alive(guardian))
    assert fake_board.settings(board)[0] == fake_board.LOCKED[0]


def guardian_of(process):
    """The process that it started to keep the clocks."""
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name) as stream:
                    parent = int(stream.read().rpartition(")")[2].split()[1])
                with open("/proc/%s/cmdline" % name) as stream:
                    command = stream.read()
            except OSError:
                continue
            if parent == process and "clock_guardian" in command:
                return int(name)
    raise AssertionError("no guardian")


def alive(process):
    """Whether it runs; one that nobody has waited for yet is over."""
    try:
        with open("/proc/%d/stat" % process) as stream:
            return stream.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition, seconds=20.0):
    """Whether the condition comes true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return condition()

"""Locked clocks for the length of a measurement (Python 3.6)."""

from contextlib import contextmanager

from edgesynth_rt import jetson_clocks
from edgesynth_rt.clock_keeper import STATE_FOLDER, Keeper
from edgesynth_rt.errors import MeasurementError, MissingError, UserError
from edgesynth_rt.processes import Helper

_LOCK_S = 300.0  # a few calls of a shell script that visits every core
_RESTORE_S = 150.0


@contextmanager
def lock_clocks(
    program=None,
    mode=None,
    nvpmodel_program="nvpmodel",
    folder=STATE_FOLDER,
    root="/",
    wait_s=5.0,
):
    """Hold CPU, GPU and memory clocks at the maximum of the power mode while the block runs.

    What was set before is stored first and put back at the end, also after Ctrl-C, SIGTERM, a crash
    or kill -9 of this process: a process of its own does it (`clock_guardian`). If that one is
    killed too, the next call or `restore_stale_clocks` puts it back.

    program: jetson_clocks, searched for when None; mode: number or name of a power mode to switch
    to for the time, None to keep the present one; folder: where the state is kept; wait_s: how long
    to wait for another holder of the clocks, such as one that is putting them back.
    Yields what `jetson_clocks.parse_show` makes of the locked state, with "locked": whether it is.
    Raises MissingError without jetson_clocks or root, or when the clocks could not be put back;
    UserError when the mode wants a reboot or another benchmark holds the clocks; MeasurementError
    when they did not stay locked to the end.
    """
    spec = {
        "jetson_clocks": program or jetson_clocks.find_program(),
        "nvpmodel": nvpmodel_program,
        "mode": mode,
        "folder": folder,
        "root": root,
        "wait_s": wait_s,
    }
    guardian = Helper("clock_guardian", spec)
    try:
        answer = guardian.answer(_LOCK_S)
        if answer is None:
            raise MissingError("the process that locks the clocks failed; run it again")
        state = answer["locked"]
        state["cpus"] = {int(number): cpu for number, cpu in state["cpus"].items()}
        state["locked"] = jetson_clocks.is_locked(state)
        yield state
        early = not guardian.running()
    finally:
        _release(guardian, folder, root)
    if early:
        raise MeasurementError(
            "the clocks did not stay locked: the process that keeps them was ended; measure again"
        )


def restore_stale_clocks(folder=STATE_FOLDER, root="/"):
    """Put back the clocks that a killed benchmark left locked; whether there were any.

    False as well when a benchmark that runs holds them, or without the right to do it.
    Raises MissingError when putting them back fails.
    """
    try:
        keeper = Keeper(folder, root)
    except (MissingError, UserError):
        return False
    try:
        return keeper.restore()
    finally:
        keeper.close()


def _release(guardian, folder, root):
    guardian.tell_to_end()
    try:
        answer = guardian.answer(_RESTORE_S)
        while answer is not None and "restored" not in answer:
            answer = guardian.answer(_RESTORE_S)
    finally:
        guardian.wait(_RESTORE_S)
    if answer is None:  # killed: it cannot have put anything back
        restore_stale_clocks(folder, root)

"""Locking the clocks so that whatever happens later, they can be put back (Python 3.6).

A file says what was changed before it is changed, and a lock file, which the kernel frees when its
holder dies, says whether somebody still answers for it. A file without a holder is stale: the
settings in it are put back by whoever comes next. The folder is meant to be in /run, which is empty
after a reboot, as the clocks are the default ones then.
"""

import errno
import fcntl
import os
import stat
import time
from contextlib import suppress

from edgesynth_rt import files, jetson_clocks, nvpmodel, sysfs
from edgesynth_rt.errors import EdgesynthError, MissingError, UserError

STATE_FOLDER = "/run/edgesynth"
_STATE = "clocks.json"
_SETTINGS = "clocks.conf"
_FAILED = "clocks-not-restored.conf"
_HOLDER = "clocks.lock"
_BOOT_ID = "proc/sys/kernel/random/boot_id"


class Keeper(object):
    """Holds the lock file of `folder` while it exists; changes mode and clocks, puts them back."""

    def __init__(self, folder=STATE_FOLDER, root="/", wait_s=0.0):
        """wait_s: how long to wait for another holder, which may be putting clocks back.

        Raises MissingError without the rights, UserError when another benchmark holds it.
        """
        self._folder = folder
        self._boot_id = sysfs.text_or_none(os.path.join(root, _BOOT_ID))
        _make_private(folder)
        self._holder = open(self._path(_HOLDER), "a+")  # noqa: SIM115 - held open on purpose
        until = time.monotonic() + wait_s
        while not self._taken():
            if time.monotonic() >= until:
                pid = self._holder_pid()
                self._holder.close()
                raise UserError(
                    "another benchmark (process %s) holds the clocks of this board; wait for its "
                    "end" % (pid or "unknown")
                )
            time.sleep(0.1)
        self._holder.truncate(0)
        self._holder.write("%d\n" % os.getpid())
        self._holder.flush()

    def close(self):
        """Free the lock file."""
        self._holder.close()

    def lock(self, program, mode=None, nvpmodel_program="nvpmodel"):
        """Switch to power mode `mode` if one is given, then hold all clocks at its maximum.

        program: jetson_clocks; mode: a `nvpmodel.Mode`. When a step fails, the steps before it are
        taken back and its error is raised.
        """
        state = {
            "boot_id": self._boot_id,
            "jetson_clocks": program,
            "nvpmodel": nvpmodel_program,
            "mode_before": None,
            "stored": False,
        }
        if mode is not None:
            before = nvpmodel.query(nvpmodel_program)
            state["mode_before"] = list(before) if before.id != mode.id else None
        self._write(state)
        try:
            if state["mode_before"]:
                nvpmodel.switch(mode, nvpmodel_program)
            _remove(self._path(_SETTINGS))
            jetson_clocks.store(program, self._path(_SETTINGS))
            state["stored"] = True
            self._write(state)
            jetson_clocks.lock(program)
        except BaseException:
            self.restore()
            raise

    def restore(self):
        """Put back what the state file says; True when there was something to put back.

        Raises MissingError when it fails. The settings are then kept under another name, so that a
        later benchmark does not run into the same failure, and the message says where.
        """
        if not os.path.exists(self._path(_STATE)):
            return False
        try:
            state = files.read_json(self._path(_STATE), "the state of the clocks")
        except UserError as error:
            _remove(self._path(_STATE))
            raise MissingError("%s; reboot to get the default clocks back" % error)
        if state.get("boot_id") != self._boot_id:  # the reboot has put everything back
            self._forget()
            return False
        problems = _problems(state, self._path(_SETTINGS))
        if problems:
            kept = self._path(_FAILED)
            if os.path.exists(self._path(_SETTINGS)):
                os.replace(self._path(_SETTINGS), kept)
            self._forget()
            raise MissingError(
                "the clocks were not put back: %s; run: sudo %s --restore %s, or reboot"
                % ("; ".join(problems), state["jetson_clocks"], kept)
            )
        self._forget()
        return True

    def _taken(self):
        """Take the lock file; whether that was possible."""
        try:
            fcntl.flock(self._holder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES):
                return False
            self._holder.close()
            raise MissingError("%s cannot be locked: %s" % (self._folder, error.strerror))
        return True

    def _write(self, state):
        files.write_json(self._path(_STATE), state)

    def _forget(self):
        _remove(self._path(_STATE))
        _remove(self._path(_SETTINGS))

    def _holder_pid(self):
        self._holder.seek(0)
        return self._holder.read(20).strip()

    def _path(self, name):
        return os.path.join(self._folder, name)


def _problems(state, settings):
    """Put clocks and mode back; what failed, one sentence each.

    The clocks come first: they were stored in the new mode, and switching back resets the rest.
    """
    problems = []
    try:
        if state["stored"]:
            jetson_clocks.restore(state["jetson_clocks"], settings)
    except EdgesynthError as error:
        problems.append(str(error))
    try:
        if state["mode_before"]:
            nvpmodel.switch(nvpmodel.Mode(*state["mode_before"]), state["nvpmodel"])
    except EdgesynthError as error:
        problems.append(str(error))
    return problems


def _make_private(folder):
    """Make `folder`, ours alone: as root we write to the places that a file in it names."""
    try:
        os.makedirs(folder, 0o700, exist_ok=True)
    except OSError as error:
        raise MissingError(
            "%s cannot be made: %s; locking the clocks needs root" % (folder, error.strerror)
        )
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise MissingError(
            "%s is not a folder that only this user can write to; remove it" % folder
        )


def _remove(path):
    with suppress(FileNotFoundError):
        os.remove(path)

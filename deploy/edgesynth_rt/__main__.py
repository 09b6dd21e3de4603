"""`python3 edgesynth_rt.pyz COMMAND ...`, also `python3 -m edgesynth_rt COMMAND ...`."""

import json
import os
import platform
import sys

NO_NUMPY = (
    "this Python (%s) has no numpy; on a Jetson: sudo apt-get install python3-numpy, for another "
    "Python: %s -m pip install numpy"
)


def main(arguments):
    """Run one command line; returns the exit code, 4 without numpy."""
    if platform.machine() == "aarch64":
        # else JetPack 4's numpy ends with "Illegal instruction" on a Cortex-A57 (TX1, Nano, TX2)
        os.environ.setdefault("OPENBLAS_CORETYPE", "ARMV8")
    try:
        import numpy  # noqa: F401 - what the runtime needs besides Python's own
    except ImportError as error:
        reason = NO_NUMPY % (sys.executable, sys.executable)
        if getattr(error, "name", None) != "numpy":
            reason = "numpy of this Python (%s) does not load: %s" % (sys.executable, error)
        reason = " ".join(reason.split())[:500]
        sys.stderr.write("edgesynth_rt: %s\n" % reason)
        print(json.dumps({"schema": "edgesynth.error/1", "error": reason, "exit_code": 4}))
        return 4
    from edgesynth_rt.command_line import main as run

    return run(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

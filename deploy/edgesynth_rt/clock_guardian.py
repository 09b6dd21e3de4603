"""The process that keeps the clocks locked and puts them back: started by `clock_lock` (3.6).

A benchmark that is killed cannot clean up after itself, so another process does. It waits until its
standard input is closed, which also happens when the benchmark dies of anything, or until it has
another parent, or is asked to end, and then puts back mode and clocks.
"""

import json
import os
import select
import signal
import sys

from edgesynth_rt import jetson_clocks, nvpmodel
from edgesynth_rt.clock_keeper import Keeper
from edgesynth_rt.errors import EdgesynthError

_LOOK_S = 0.5


def main(arguments):
    """Lock as the JSON in `arguments[0]` says, wait, put back; an answer on each (see _say)."""
    asked = []
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: asked.append(True))
    spec = json.loads(arguments[0])
    try:
        keeper = Keeper(spec["folder"], spec["root"], spec["wait_s"])
        try:
            stale = keeper.restore()
            state = _lock(keeper, spec)
            _say({"locked": state, "stale": stale})
            try:
                _wait(spec["parent"], asked)
            finally:
                keeper.restore()
            _say({"restored": True})
        finally:
            keeper.close()
    except EdgesynthError as error:
        _say({"error": [type(error).__name__, str(error)]})


def _lock(keeper, spec):
    """Lock; what jetson_clocks shows then."""
    mode = None
    if spec["mode"] is not None:
        mode = nvpmodel.find_mode(spec["mode"], nvpmodel.read_table(spec["root"]))
    keeper.lock(spec["jetson_clocks"], mode, spec["nvpmodel"])
    try:
        return jetson_clocks.show(spec["jetson_clocks"])
    except BaseException:
        keeper.restore()
        raise


def _wait(parent, asked):
    while not asked and os.getppid() == parent:
        try:
            if select.select([sys.stdin], (), (), _LOOK_S)[0]:
                return
        except InterruptedError:
            pass


def _say(document):
    try:
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()
    except OSError:  # nobody listens any more
        pass

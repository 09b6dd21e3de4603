"""Records from what trtexec measured on a board."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgesynth.core.errors import UserError, nearest
from edgesynth.core.provenance import command_line
from edgesynth_rt.bundle import open_bundle
from edgesynth_rt.measure import Series
from edgesynth_rt.rails import TITLES
from edgesynth_rt.record import measured
from edgesynth_rt.statistics import PERCENTILES
from edgesynth_rt.tensorrt_backend import fixed_batch
from edgesynth_rt.trtexec_times import WARM_UP_MS, read_trtexec_profile, read_trtexec_times
from edgesynth_rt.validity import doubts

_UNVERIFIED = "trtexec does not check what its engine computes: no golden output was verified"


@dataclass(frozen=True)
class TrtexecRun:
    """The files that trtexec wrote, and what only the user knows about the run."""

    times: Path
    """Of --exportTimes."""
    device: str | None
    """The board: tx2, nano, ..."""
    profile: Path | None = None
    """Of --exportProfile."""
    precision: str = "fp32"
    warm_up_ms: float = WARM_UP_MS
    batch: int | None = None
    """Of a dynamic bundle."""
    percentiles: tuple[float, ...] = ()


def import_trtexec(bundle: Path, run: TrtexecRun) -> tuple[dict[str, Any], Series]:
    """The measured record of `bundle` that trtexec's files make, and the latencies in it.

    Raises UserError when a file is wrong or the board is not named: the files do not tell it.
    """
    if run.device not in TITLES:
        known = ", ".join(TITLES)
        raise UserError(
            f"trtexec's files do not tell the board; name it with --device ({known})"
            if run.device is None
            else f'no board "{run.device}"; {nearest(run.device, list(TITLES))}'
        )
    series = read_trtexec_times(str(run.times), run.warm_up_ms)
    with open_bundle(bundle) as opened:
        device = {
            "module": run.device,
            "l4t": None,
            "power_mode": None,
            "clocks": None,
            "cpu": {"model": None, "cores": None, "governor": None},
            "load_average": None,
        }
        absent = {"not_measured": "trtexec measures time only"}
        record = measured(
            opened,
            series,
            batch=fixed_batch(opened, run.batch),
            backend="tensorrt",
            device=device,
            software={"source": "trtexec"},
            energy=absent,
            accuracy=absent,
            measurement=_measurement(run),
            validity=[_UNVERIFIED, *doubts(device, series.latency_ms)],
            percentiles=PERCENTILES + run.percentiles,
            command=command_line(),
        )
    return record, series


def _measurement(run: TrtexecRun) -> dict[str, Any]:
    return {
        "source": "trtexec",
        "warm_up_ms": run.warm_up_ms,
        "precision": run.precision,
        "profile": read_trtexec_profile(str(run.profile)) if run.profile else None,
        "run": None,
    }

"""What a network costs on a real board: exported, deployed, measured there, and remembered.

The cache is keyed by the ONNX files of the bundle, the board, its power mode and clocks, and how it
was measured, so that nothing is measured twice and nothing that differs is taken for the same.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgesynth.core.progress import Progress, Silent
from edgesynth.core.verdicts import record_values
from edgesynth.device.zipapp import NAME, write_runtime
from edgesynth.networks.network import Network
from edgesynth.remote.hosts import Host
from edgesynth.workflows.board_steps import BoardJob, DeployPlan, Shipment
from edgesynth.workflows.deploy import Reach, board_of
from edgesynth.workflows.export import DEFAULT_TARGET, export
from edgesynth.workflows.measuring import MeasuringPlan
from edgesynth_rt.bundle import Bundle, open_bundle
from edgesynth_rt.files import read_json, write_json

SCHEMA = "edgesynth.measured-cost/1"
_COUNTED = ("accuracy", "params", "macs", "size_bytes")


@dataclass(frozen=True)
class MeasuredCost:
    """Measures networks on one board, one after the other."""

    host: Host
    cache: Path
    """Folder of one small JSON file for each measurement."""
    reach: Reach = field(default_factory=Reach)
    measuring: MeasuringPlan = field(default_factory=MeasuringPlan)
    target: str = DEFAULT_TARGET
    progress: Progress = field(default_factory=Silent)

    def __call__(self, network: Network) -> dict[str, float]:
        """Latency, throughput and energy of `network`, by the keys of requirements.

        Raises DeviceError when the board is out of reach, and what else goes wrong there.
        """
        with tempfile.TemporaryDirectory(prefix="edgesynth-") as folder:
            bundle = Path(folder) / "candidate.bundle"
            export(network, target=self.target, out=bundle)
            runtime = Path(folder) / NAME
            write_runtime(runtime)
            with open_bundle(bundle) as opened:
                return self._of(opened, runtime, folder)

    def _of(self, bundle: Bundle, runtime: Path, folder: str) -> dict[str, float]:
        shipment = Shipment.of(bundle, runtime)
        plan = DeployPlan(bench=True, measuring=self.measuring)
        with board_of(self.host, self.reach, folder, threading.Event()) as board:
            job = BoardJob(board, self.host.name, shipment, plan)
            job.send(lambda sent, total: None)
            job.probe(_unheard)
            key = cache_key(bundle, job.done["probe"]["device"], self.measuring)
            place = self.cache / f"{hashlib.sha256(_text(key)).hexdigest()[:24]}.json"
            if place.exists():
                known = read_json(str(place), f"measurement {place}")
                if known.get("key") == json.loads(_text(key)):
                    return {name: float(value) for name, value in known["values"].items()}
            for step in (job.build, job.verify, job.bench):
                step(_unheard)
        values = {k: v for k, v in record_values(job.done["record"]).items() if k not in _COUNTED}
        place.parent.mkdir(parents=True, exist_ok=True)
        write_json(str(place), {"schema": SCHEMA, "key": key, "values": values})
        self.progress.say(f"{self.host.name}: measured {values['latency_p50_ms']:.4g} ms (p50)")
        return values


def cache_key(
    bundle: Bundle, device: Mapping[str, Any], measuring: MeasuringPlan
) -> dict[str, Any]:
    """All that a measurement depends on, as JSON data.

    Of the clocks it is the limits: those in force move with the load unless they are locked.
    """
    clocks = device.get("clocks") or {}
    return {
        "onnx_sha256": [stage["sha256"] for stage in bundle.manifest["stages"]],
        "module": device.get("module"),
        "cpu": device.get("cpu"),
        "l4t": device.get("l4t"),
        "power_mode": device.get("power_mode"),
        "clocks_mhz": {k: v for k, v in sorted(clocks.items()) if k.endswith("_max_mhz")},
        "measuring": asdict(measuring),
    }


def _text(key: Mapping[str, Any]) -> bytes:
    return json.dumps(key, sort_keys=True, default=str).encode()


def _unheard(line: str) -> None:
    """What a board says of itself is not told for every network."""

"""How many tegrastats lines a second the parser reads on one core of this machine.

Real logs are read from their first line to their last with empty caches, as a user's log is.
`random` has lines of a TX2 in which hardly a value repeats, so the caches only cost: no board's log
is like that, but a stress test may be. Seconds are the process's own, and the best of several turns
counts, so that a busy machine disturbs little.

Command that made benchmarks/results/tegrastats.json, in the folder of the real logs (which are not
in the repository), on a machine whose two cores others were using too:

    python run.py tx2-r32-1.txt nano-r32.7-1.txt xaviernx-r35-1.txt --out tegrastats.json
"""

from __future__ import annotations

import argparse
import io
import platform
import random
import time
from pathlib import Path
from typing import Any

from edgesynth_rt import tegrastats
from edgesynth_rt.files import write_json
from edgesynth_rt.host import device_facts
from edgesynth_rt.tegrastats_reader import Reader, samples_of_file

TURNS = 9
RANDOM_LINES = 2000
WANTED_PER_S = 20_000


def main() -> int:
    """Read every log, print a table, write the results; 1 when a real one is read too slowly."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("logs", nargs="*", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    inputs = {log.name: log.read_bytes() for log in options.logs}
    inputs["random"] = random_log(RANDOM_LINES)
    rows = [row(name, data) for name, data in inputs.items()]
    for found in rows:
        print(
            f"{found['log']:24} {found['lines']:5} lines {found['bytes_per_line']:4.0f} bytes each"
            f" {found['lines_per_s']:8.0f} lines/s"
        )
    if options.out:
        write_json(options.out, document(rows))
    return int(any(found["lines_per_s"] < WANTED_PER_S for found in rows[:-1]))


def row(name: str, data: bytes) -> dict[str, Any]:
    """Lines per second of one log, through the reader: bytes in, samples out."""
    best_s = float("inf")
    for _ in range(TURNS):
        for cached in (tegrastats._core, tegrastats._engine):
            cached.cache_clear()
        reader = Reader()
        start_s = time.process_time()
        for _ in samples_of_file(io.BytesIO(data), reader):
            pass
        best_s = min(best_s, time.process_time() - start_s)
    return {
        "log": name,
        "lines": reader.lines,
        "bytes_per_line": len(data) / reader.lines,
        "lines_per_s": reader.lines / best_s,
    }


def random_log(lines: int) -> bytes:
    """Lines of a TX2 with L4T R32.7 run as root, every value drawn anew."""
    draw = random.Random(0).randrange  # noqa: S311
    zones = "PLL MCPU PMIC Tboard GPU BCPU thermal Tdiode".split()
    rails = "VDD_SYS_GPU VDD_SYS_SOC VDD_4V0_WIFI VDD_IN VDD_SYS_CPU VDD_SYS_DDR".split()
    text = ""
    for _ in range(lines):
        cores = ",".join(f"{draw(100)}%@{345 + draw(1700)}" for _ in range(6))
        temperatures = " ".join(f"{zone}@{20 + draw(70_000) / 1000}C" for zone in zones)
        power = " ".join(f"{rail} {draw(20_000)}/{draw(20_000)}" for rail in rails)
        text += (
            f"RAM {draw(7859)}/7859MB (lfb {draw(999)}x4MB) SWAP {draw(999)}/3929MB (cached "
            f"{draw(99)}MB) CPU [{cores}] EMC_FREQ {draw(100)}%@{draw(1867)} "
            f"GR3D_FREQ {draw(100)}%@{draw(1301)} APE 150 MTS fg {draw(9)}% bg {draw(9)}% "
            f"{temperatures} {power}\n"
        )
    return text.encode()


def document(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The results and where they were measured."""
    cpu = device_facts()["cpu"]
    return {
        "schema": "edgesynth.benchmark/1",
        "benchmark": "tegrastats",
        "command": "python benchmarks/tegrastats/run.py LOG... --out FILE",
        "cpu": cpu["model"],
        "python": platform.python_version(),
        "turns": TURNS,
        "results": rows,
    }


if __name__ == "__main__":
    raise SystemExit(main())

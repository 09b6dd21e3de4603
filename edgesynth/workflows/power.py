"""Power and energy: from a tegrastats log, or while a command runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgesynth.core.errors import MeasurementError, UserError, nearest, shown
from edgesynth_rt.files import write_bytes, write_json
from edgesynth_rt.host import HOST, device_facts
from edgesynth_rt.power_columns import Columns
from edgesynth_rt.power_log import FEW_SAMPLES, power_document
from edgesynth_rt.rails import TITLES
from edgesynth_rt.sampler import Sampler, tegrastats_sampler
from edgesynth_rt.tegrastats import parse_line
from edgesynth_rt.tegrastats_reader import Reader, readings, samples_of_file, samples_of_log

LIVE_INTERVAL_MS = 100.0
MIN_COVERAGE = 0.95
FORMS = (".svg", ".png", ".html", ".json")

_START_TIMEOUT_S = 15.0
_LOOK_S = 0.05
_STDERR = 2

Power = tuple[dict[str, Any], dict[str, Any]]
"""A power document and its trace, see `edgesynth_rt.power_log.power_document`."""


def power_of_log(
    log: str | Path, *, module: str | None = None, interval_ms: float | None = None
) -> Power:
    """Power of the tegrastats log at `log`; "-" reads standard input.

    `module` overrides what its rails tell; `interval_ms` is assumed where the lines have no time.
    Raises UserError when the file cannot be read or has no line of tegrastats.
    """
    _refuse_unknown_module(module)
    reader, columns = Reader(), Columns()
    stdin = str(log) == "-"
    samples = samples_of_file(sys.stdin.buffer, reader) if stdin else samples_of_log(log, reader)
    for sample in samples:
        columns.add(sample)
    source = "standard input" if stdin else str(log)
    if not len(columns):
        raise UserError(f"{shown(source)} has no line of tegrastats{_what_instead(reader)}")
    document, trace = power_document(columns, reader, module, interval_ms)
    _refuse_wrong_module(document, module)
    return {**document, "source": source, "device": None, "command": None, "validity": []}, trace


def power_of_command(
    arguments: Sequence[str], *, module: str | None = None, interval_ms: float | None = None
) -> Power:
    """Power while the command `arguments` runs, by the tegrastats on PATH.

    The command's standard output goes to standard error. The document's energy is that between its
    start and its end; `validity` says why the measurement does not count, and is empty when it
    does. Raises MissingError without tegrastats, UserError when the command cannot be run,
    MeasurementError when tegrastats fails.
    """
    _refuse_unknown_module(module)
    program = shutil.which(arguments[0])
    if program is None:
        raise UserError(f"command {shown(arguments[0])} was not found; is it on PATH?")
    interval_ms = interval_ms or LIVE_INTERVAL_MS
    reader, columns = Reader(), Columns()
    with tegrastats_sampler(readings, period_s=interval_ms / 1e3) as sampler:
        _wait_for_sample(sampler)
        start_s = time.monotonic()
        status = _run([program, *arguments[1:]])
        end_s = time.monotonic()
        sampler.wait_past(end_s)  # so that the end is inside
        _refuse_ended(sampler)
        for stamp_s, line in sampler.lines():
            for sample in reader.feed(f"{line}\n".encode(), stamp_s):
                columns.add(sample)
    device = device_facts()
    known = module or (device["module"] if device["module"] in TITLES else None)
    document, trace = power_document(columns, reader, known, interval_ms, (start_s, end_s))
    _refuse_wrong_module(document, module)
    document |= {
        # elsewhere than on a Jetson a program called tegrastats replays an older log
        "kind": "measured" if device["module"] != HOST else "replayed",
        "device": device,
        "source": "tegrastats",
        "command": {
            "arguments": list(arguments),
            "exit_status": status,
            "duration_s": end_s - start_s,
        },
        "validity": _validity(document),
    }
    return document, trace


def save_power(power: Power, out: Path) -> None:
    """Write the drawing (.svg, .png), the page (.html) or document and trace (.json) to `out`.

    Raises UserError for another ending, or where `out` cannot be written.
    """
    from edgesynth.device.power_figure import draw
    from edgesynth.device.power_page import page

    document, trace = power
    form = form_of(out)
    if form == ".json":
        write_json(out, {**document, "trace": trace})
    else:
        write_bytes(out, page(*power) if form == ".html" else draw(*power, form[1:]))


def form_of(out: Path) -> str:
    """The ending of `out`, lower case. Raises UserError when it is not one of FORMS."""
    form = out.suffix.lower()
    if form not in FORMS:
        raise UserError(f"--out {out} has to end with {', '.join(FORMS[:-1])} or {FORMS[-1]}")
    return form


def _wait_for_sample(sampler: Sampler) -> None:
    """Wait for the first line that tegrastats itself prints, before there is anything to measure.

    Raises MeasurementError when it ends before, or prints other things only.
    """
    until_s = time.monotonic() + _START_TIMEOUT_S
    while all(parse_line(line) is None for _, line in sampler.lines()):
        _refuse_ended(sampler)
        if time.monotonic() > until_s:
            said = [line for _, line in sampler.lines()]
            raise MeasurementError(
                f"tegrastats printed no line with values within {_START_TIMEOUT_S:g} s, but "
                f'"{shown(said[-1])}"; run it by hand'
            )
        time.sleep(_LOOK_S)


def _refuse_ended(sampler: Sampler) -> None:
    failure = sampler.failure()
    if failure:
        raise MeasurementError(f"{shown(failure, 300)}, so power is not measured; run it by hand")


def _run(command: list[str]) -> int:
    """Run the user's command to its end; it ends with us when we are interrupted."""
    try:
        process = subprocess.Popen(command, stdout=_STDERR)  # noqa: S603
    except OSError as error:
        raise UserError(f"command {command[0]} cannot be run: {error.strerror}") from None
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _validity(document: dict[str, Any]) -> list[str]:
    energy = document["energy"]
    if "not_measured" in energy:
        return [energy["not_measured"]]
    reasons = []
    if energy["samples"] < FEW_SAMPLES:
        reasons.append(
            f"{energy['samples']} samples are too few, {FEW_SAMPLES} are needed; run longer, or "
            "give a shorter --interval"
        )
    if energy["coverage"] < MIN_COVERAGE:
        reasons.append(
            f"samples cover {energy['coverage']:.0%} of the time, {MIN_COVERAGE:.0%} are needed"
        )
    return reasons


def _refuse_unknown_module(module: str | None) -> None:
    if module is not None and module not in TITLES:
        raise UserError(f'there is no module "{shown(module)}"; {nearest(module, list(TITLES))}')


def _refuse_wrong_module(document: dict[str, Any], module: str | None) -> None:
    """A module that the user named must fit; one that is not recognised is only said."""
    if module is not None and document["module"]["reason"]:
        raise UserError(f"--module {module} does not fit: {document['module']['reason']}")


def _what_instead(reader: Reader) -> str:
    if reader.foreign_examples:
        number, text = reader.foreign_examples[0]
        return f'; line {number} is "{shown(text, 40)}"'
    return "; its only line is cut off" if reader.cut else "; it is empty"

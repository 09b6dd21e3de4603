"""DyVEDeep (arXiv:1704.01137): claim beside obtained, per network, with baselines of the same run.

Every network gets each knob alone, all knobs together, and nothing but skipped zeros. Operations
are those of a scalar machine, deciding included; times are the compiled operator's on this machine.
The two are tuned for and told apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgesynth.core.progress import Progress, Silent
from edgesynth.core.provenance import command_line, versions
from edgesynth.core.reproduction import Check, spread
from edgesynth.dynamic.effort.knobs import KNOBS
from edgesynth.report.dyvedeep import write_dyvedeep_page
from edgesynth.synthesis.raising import fixed_threads
from edgesynth.workflows.adapt.effort_clock import WAYS
from edgesynth.workflows.reproduce.dyvedeep_recipe import EffortRecipe
from edgesynth.workflows.reproduce.dyvedeep_seed import (
    ALL,
    CLOCKED,
    COMPRESSED,
    FOR_TIME,
    METHODS,
    ZEROS,
    EffortRow,
    Job,
    run_job,
)
from edgesynth.workflows.reproduce.results import open_results, run_all
from edgesynth_rt.files import write_bytes, write_json
from edgesynth_rt.host import device_facts

NAME = "dyvedeep"
SCHEMA = "edgesynth.effort-reproduction/1"
CLAIM = (
    "2.1 to 2.6 times fewer scalar operations and 1.8 to 2.3 times faster than Caffe on a CPU, at "
    "under 0.5 % of accuracy lost; ImageNet's AlexNet, OverFeat, VGG-16, a weight-compressed "
    "AlexNet, and a network for CIFAR-10"
)
_TIMES_FEWER, _TIMES_FASTER, _LOST = 2.1, 1.8, 0.5
_COUNTED = (
    "times_fewer", "times_fewer_zero_skipping_alone", "times_fewer_with_zero_skipping",
)  # fmt: skip


def reproduce_dyvedeep(
    data: str,
    out: Path,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    workers: int = 1,
    recipe: EffortRecipe | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run all seeds and write `result.json` and `report.html` into the folder `out`.

    Networks and rows that `out` holds are not made again. Raises UserError for a folder of other
    settings.
    """
    recipe, progress = recipe or EffortRecipe(), progress or Silent()
    open_results(out, {"paper": NAME, "data": data, "recipe": recipe.document()})
    subjects = [*recipe.networks, *([COMPRESSED] if recipe.compressed else [])]
    # what is compressed may descend from one of the others
    for wave in (recipe.networks, subjects[len(recipe.networks) :]):
        jobs = [Job(seed, subject) for seed in seeds for subject in wave]
        missing = [job for job in jobs if not _rows_file(out, job).exists()]
        run_all(missing, partial(_run, data, out, recipe), workers, progress)
    document = _document(data, recipe, _rows(out, subjects))
    write_json(str(out / "result.json"), document)
    write_dyvedeep_page(document, out / "report.html")
    progress.say(f"{out / 'result.json'} and {out / 'report.html'} are written")
    return document


def _rows_file(out: Path, job: Job) -> Path:
    return out / "networks" / job.place / "rows.json"


def _run(data: str, out: Path, recipe: EffortRecipe, job: Job, progress: Progress | None) -> None:
    with fixed_threads(recipe.threads):
        rows = run_job(out / "networks", job, data, recipe, progress or Silent())
    write_bytes(str(_rows_file(out, job)), msgspec.json.format(msgspec.json.encode(rows)) + b"\n")


def _rows(out: Path, subjects: Sequence[str]) -> list[EffortRow]:
    """Of all seeds that the folder holds, in the order of the subjects."""
    found = []
    for subject in subjects:
        for file in sorted(out.glob(f"networks/s*/{Path(Job(0, subject).place).name}/rows.json")):
            found += msgspec.json.decode(file.read_bytes(), type=list[EffortRow])
    return found


def _document(data: str, recipe: EffortRecipe, rows: Sequence[EffortRow]) -> dict[str, Any]:
    subjects = {
        subject: summary_of([row for row in rows if row.subject == subject])
        for subject in dict.fromkeys(row.subject for row in rows)
    }
    checks = [
        check.document() for name, found in subjects.items() for check in _checks(name, found)
    ]
    document = {
        "schema": SCHEMA,
        "paper": {
            "name": NAME,
            "title": "DyVEDeep: Dynamic Variable Effort Deep Neural Networks",
            "arxiv": "1704.01137",
            "claimed": CLAIM,
            "differs": f"{data} and networks of its size; operations of convolutions, and the time "
            "of a compiled operator of our own, for which knobs are tuned once more",
        },
        "data": data,
        "command": command_line(),
        "settings": recipe.document(),
        "machine": device_facts(),
        "versions": versions("torch", "numpy", "onnxruntime"),
        "seeds": sorted({row.seed for row in rows}),
        "checks": checks,
        "holds": all(each["holds"] is not False for each in checks),
        "subjects": subjects,
        "rows": rows,
    }
    built: dict[str, Any] = msgspec.to_builtins(document)
    return built


def summary_of(rows: Sequence[EffortRow]) -> dict[str, Any]:
    """Means and ends over seeds of one network, by method."""
    methods = {}
    for method in (ZEROS, *METHODS):
        here = [row for row in rows if row.method == method]
        if here:
            methods[method] = {
                "lost_points": spread(row.lost_points for row in here),
                **{key: spread(row.operations[key] for row in here) for key in _COUNTED},
            }
    dense = [row for row in rows if row.method == ZEROS]
    return {
        "seeds": sorted(row.seed for row in dense),
        "accuracy": spread(row.accuracy["before"] for row in dense),
        "macs": spread(row.macs for row in dense),
        "of_it_convolutions": spread(row.operations["dense"] for row in dense),
        "methods": methods,
        "layers": _layers([row for row in rows if row.method == ALL]),
        "exact": [row.exact for row in dense if row.exact],
        "clocks": {
            method: _clock([row for row in rows if row.method == method]) for method in CLOCKED
        },
        "doubts": sorted({doubt for row in rows for doubt in row.doubts}),
    }


def _layers(rows: Sequence[EffortRow]) -> list[dict[str, Any]]:
    """Of `ALL`: means over seeds, and how often each knob is on."""
    found = []
    for layer in rows[0].layers if rows else ():
        here = [row for row in rows if layer in row.layers]
        knobs = [name for row in here for name in row.knobs.get(layer, {}) if name in KNOBS]
        found.append(
            {
                "layer": layer,
                "knobs": {name: knobs.count(name) for name in KNOBS if name in knobs},
                **{
                    key: float(np.mean([row.layers[layer][key] for row in here]))
                    for key in here[0].layers[layer]
                },
            }
        )
    return found


def _clock(rows: Sequence[EffortRow]) -> dict[str, Any]:
    """How many times faster than dense the layers with knobs are together, and the whole network,
    with the knobs of `rows`."""
    clocked = [row.clock for row in rows if row.clock and row.clock["layers"]]
    if not clocked:
        return {"why_not": next((row.not_clocked for row in rows if row.not_clocked), "no knobs")}
    return {
        part: {
            way: {
                "ms": spread(each[part]["ms"][way] for each in clocked),
                "times_faster": spread(
                    each[part]["times_faster_than_dense"][way] for each in clocked
                ),
            }
            for way in WAYS
        }
        for part in ("with_knobs", "whole")
    }


def _checks(subject: str, found: Mapping[str, Any]) -> list[Check]:
    checks = [_saves(subject, found), _exact(subject, found)]
    return [*checks, _faster(subject, found), _whole(subject, found)]


def _saves(subject: str, found: Mapping[str, Any]) -> Check:
    claim = (
        f"{subject}: at least {_TIMES_FEWER:g} times fewer scalar operations, deciding included, "
        f"at under {_LOST:g} points lost"
    )
    knobs, lost = found["methods"][ALL], found["methods"][ALL]["lost_points"]
    fewer, alone, both = (knobs[key] for key in _COUNTED)
    told = (
        f"{both.mean:.2f} times ({both.low:.2f} to {both.high:.2f}) with zeros skipped besides; by "
        f"knobs alone {fewer.mean:.2f}, by skipping zeros alone {alone.mean:.2f}; {lost.mean:.2f} "
        f"points lost ({lost.low:.2f} to {lost.high:.2f})"
    )
    return Check("saves", claim, both.mean >= _TIMES_FEWER and lost.mean < _LOST, told)


def _exact(subject: str, found: Mapping[str, Any]) -> Check:
    claim = f"{subject}: exact saturation changes no class, and leaves less than all operations"
    if not found["exact"]:
        return Check("exact", claim, None, "no layer takes it")
    same = all(each["same_class"] == each["images"] for each in found["exact"])
    left = max(each["of_operations"] for each in found["exact"])
    return Check("exact", claim, same and left < 1, f"at most {left:.3f} of the operations left")


def _faster(subject: str, found: Mapping[str, Any]) -> Check:
    claim = (
        f"{subject}: layers with knobs at least {_TIMES_FASTER:g} times faster than the same "
        f"compiled operator with everything computed, at under {_LOST:g} points lost"
    )
    clock, lost = found["clocks"][FOR_TIME], found["methods"][FOR_TIME]["lost_points"]
    if "why_not" in clock:
        return Check("faster", claim, None, f"not measured: {clock['why_not']}")
    ways = clock["with_knobs"]
    knobs, zeros, both = (
        ways[way]["times_faster"] for way in ("knobs", "zeros_skipped", "knobs_and_zeros_skipped")
    )
    best = max(knobs.mean, both.mean)
    told = (
        f"{knobs.mean:.2f} times ({knobs.low:.2f} to {knobs.high:.2f}) by knobs, {both.mean:.2f} "
        f"with zeros skipped besides, {zeros.mean:.2f} by skipping zeros alone; {lost.mean:.2f} "
        f"points lost ({lost.low:.2f} to {lost.high:.2f})"
    )
    return Check("faster", claim, best >= _TIMES_FASTER and lost.mean < _LOST, told)


def _whole(subject: str, found: Mapping[str, Any]) -> Check:
    """A comparison, no claim."""
    claim = f"{subject}: the whole network beside ONNX Runtime, one image, one thread"
    clock = found["clocks"][FOR_TIME]
    if "why_not" in clock:
        return Check("whole", claim, None, f"not measured: {clock['why_not']}")
    words = ", ".join(
        f"{way.replace('_', ' ')} {clock['whole'][way]['ms'].mean:.3f} ms" for way in WAYS
    )
    return Check("whole", claim, None, words)

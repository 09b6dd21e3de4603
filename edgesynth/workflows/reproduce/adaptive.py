"""Adaptive Neural Networks for Efficient Inference (arXiv:1702.07811): claim beside obtained.

Early exits and the choice among networks, with the baselines of the same run: one tuned threshold
for each exit (BranchyNet's entropy, maximum probability, margin), chance, and an oracle.
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
from edgesynth.data.source import load_dataset
from edgesynth.report.adaptive import write_adaptive_page
from edgesynth.synthesis.raising import fixed_threads
from edgesynth.workflows.reproduce.adaptive_recipe import (
    BUDGETS,
    CLAIMED_BUDGET,
    AdaptiveRecipe,
)
from edgesynth.workflows.reproduce.adaptive_seed import Row, run_seed
from edgesynth.workflows.reproduce.results import open_results, run_all
from edgesynth_rt.files import write_bytes, write_json

NAME = "adaptive"
SCHEMA = "edgesynth.adaptive-reproduction/1"
CLAIM = (
    "up to 2.8 times faster at under 1 % of top-5 accuracy lost against the best network, ImageNet"
)
_EXITS_TIMES, _CASCADE_TIMES, _OF_MAC_RATIO = 2.8, 3.5, 0.7
_LEVELS = (0.3, 0.5, 0.7, 1.0)
"""Points lost on test images at which methods are compared."""
_NOISE = 1.02
"""A ratio of costs up to this is no difference: 10,000 test images tell no finer."""
_WORTH_MS = 1.0
"""Wall-clock is held against MACs where a stage takes longer than this: below, calling the next one
counts as well."""


def reproduce_adaptive(
    data: str,
    out: Path,
    *,
    seeds: Sequence[int] = (0, 1, 2),
    workers: int = 1,
    recipe: AdaptiveRecipe | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Run all seeds and write `result.json` and `report.html` into the folder `out`.

    Seeds that `out` holds are not run again, nor are networks trained again. Raises UserError for
    a folder of other settings.
    """
    recipe, progress = recipe or AdaptiveRecipe(), progress or Silent()
    settings = {"paper": NAME, "data": data, "recipe": recipe.document()}
    open_results(out, settings)
    missing = [seed for seed in seeds if not _rows_file(out, seed).exists()]
    run_all(missing, partial(_run, data, out, recipe), workers, progress)
    files = sorted(out.glob("rows-s*.json"), key=lambda file: int(file.stem[6:]))
    rows = [row for file in files for row in msgspec.json.decode(file.read_bytes(), type=list[Row])]
    document = _document(data, recipe, rows)
    write_json(str(out / "result.json"), document)
    write_adaptive_page(document, out / "report.html")
    progress.say(f"{out / 'result.json'} and {out / 'report.html'} are written")
    return document


def _rows_file(out: Path, seed: int) -> Path:
    return out / f"rows-s{seed}.json"


def _run(
    data: str, out: Path, recipe: AdaptiveRecipe, seed: int, progress: Progress | None
) -> None:
    shown = progress or Silent()
    with fixed_threads(recipe.threads):
        dataset = load_dataset(data, seed=seed, progress=shown)
        rows = run_seed(out, seed, dataset, recipe, shown)
    write_bytes(_rows_file(out, seed), msgspec.json.format(msgspec.json.encode(rows)) + b"\n")


def _document(data: str, recipe: AdaptiveRecipe, rows: Sequence[Row]) -> dict[str, Any]:
    curves = curves_over_seeds(rows)
    checks = [each.document() for each in _checks(rows, curves)]
    document = {
        "schema": SCHEMA,
        "paper": {
            "name": NAME,
            "title": "Adaptive Neural Networks for Efficient Inference",
            "arxiv": "1702.07811",
            "claimed": CLAIM,
            "differs": "ImageNet, AlexNet, GoogLeNet and ResNet-50 on a GPU; here "
            f"{data} and networks of its size, MACs, and time on this processor",
        },
        "data": data,
        "command": command_line(),
        "settings": recipe.document(),
        "budgets": list(BUDGETS),
        "claimed_budget": CLAIMED_BUDGET,
        "versions": versions("torch", "numpy", "onnxruntime"),
        "seeds": sorted({row.seed for row in rows}),
        "checks": checks,
        "holds": all(each["holds"] is not False for each in checks),
        "curves": curves,
        "at_equal_accuracy": [
            {"subject": subject, "levels": at_equal_accuracy(curves[subject])} for subject in curves
        ],
        "rows": rows,
    }
    built: dict[str, Any] = msgspec.to_builtins(document)
    return built


Curve = list[dict[str, Any]]


def curves_over_seeds(rows: Sequence[Row]) -> dict[str, dict[str, Curve]]:
    """Subject -> method -> one entry for each budget that every seed has: means over seeds."""
    seeds = {row.seed for row in rows}
    found: dict[str, dict[str, Curve]] = {}
    for row in rows:
        found.setdefault(row.subject, {}).setdefault(row.method, [])
    for subject, methods in found.items():
        for method, curve in methods.items():
            mine = [row for row in rows if (row.subject, row.method) == (subject, method)]
            for key in dict.fromkeys(_key(row) for row in mine):
                here = [row for row in mine if _key(row) == key]
                if {row.seed for row in here} == seeds:
                    curve.append(_entry(here))
    return found


def _key(row: Row) -> tuple[float | None, str]:
    """What rows of several seeds have in common: the budget, or the one stage that answers."""
    return row.budget, next(iter(row.shares)) if row.method == "stage" else ""


def _entry(rows: Sequence[Row]) -> dict[str, Any]:
    clocked = [row.latency for row in rows if row.latency]
    keys = clocked[0] if clocked else {}
    return {
        "budget": rows[0].budget,
        "stage": _key(rows[0])[1] or None,
        "lost_points": msgspec.to_builtins(spread(row.lost_points for row in rows)),
        "times_fewer": msgspec.to_builtins(spread(row.times_fewer for row in rows)),
        "share_of_macs": float(np.mean([row.cost / row.full for row in rows])),
        "p99_of_macs": float(np.mean([row.p99 / row.full for row in rows])),
        "shares": {
            stage: float(np.mean([row.shares.get(stage, 0.0) for row in rows]))
            for stage in rows[0].shares
        },
        "latency": {key: float(np.mean([each[key] for each in clocked])) for key in keys} or None,
    }


def at_equal_accuracy(methods: Mapping[str, Curve]) -> list[dict[str, Any]]:
    """Share of the MACs that each method needs at the same points lost on test images.

    Interpolated between the budgets of its curve; absent where the curve does not reach.
    """
    found = []
    for level in _LEVELS:
        shares = {}
        for method, curve in methods.items():
            if method in ("stage", "oracle"):
                continue
            share = _share_at(curve, level)
            if share is not None:
                shares[method] = share
        found.append({"lost_points": level, "share_of_macs": shares})
    return found


def _share_at(curve: Curve, level: float) -> float | None:
    points = sorted((each["lost_points"]["mean"], each["share_of_macs"]) for each in curve)
    lost = [round(point[0], 6) for point in points]
    if not lost or not lost[0] <= level <= lost[-1]:
        return None
    shares = np.minimum.accumulate([point[1] for point in points])
    return float(np.exp(np.interp(level, lost, np.log(shares))))


def _checks(rows: Sequence[Row], curves: Mapping[str, Mapping[str, Curve]]) -> list[Check]:
    checks = []
    for subject, methods in curves.items():
        times = _CASCADE_TIMES if subject == "cascade" else _EXITS_TIMES
        checks.append(_saves(subject, methods, times))
        checks.append(_no_worse(subject, methods))
        checks.append(_bounded(subject, methods))
        if subject != "cascade":
            checks.append(_clocked(subject, methods))
    if "cascade" in curves and len(curves) > 1:
        checks.append(_beside_exits(curves))
    return checks


def _best(methods: Mapping[str, Curve]) -> dict[str, Any] | None:
    """The learned policies' entry at the claimed budget, the cheaper of chain and tree."""
    entries = [
        each
        for method, curve in methods.items()
        if method.startswith("learned")
        for each in curve
        if each["budget"] == CLAIMED_BUDGET
    ]
    return min(entries, key=lambda each: float(each["share_of_macs"]), default=None)


def _saves(subject: str, methods: Mapping[str, Curve], times: float) -> Check:
    claim = f"{subject}: at least {times:g} times fewer mean MACs at under 1 point lost"
    entry = _best(methods)
    if entry is None:
        return Check("saves", claim, None, "no learned policy meets the budget in every seed")
    fewer, lost = entry["times_fewer"], entry["lost_points"]
    found = (
        f"{fewer['mean']:.2f} times ({fewer['low']:.2f} to {fewer['high']:.2f}) at "
        f"{lost['mean']:.2f} points ({lost['low']:.2f} to {lost['high']:.2f})"
    )
    return Check("saves", claim, fewer["mean"] >= times and lost["mean"] < 1, found)


def _no_worse(subject: str, methods: Mapping[str, Curve]) -> Check:
    claim = f"{subject}: learned gates need no more MACs than the best tuned entropy thresholds"
    ratios = []
    for level in at_equal_accuracy(methods):
        shares = level["share_of_macs"]
        ours = [share for method, share in shares.items() if method.startswith("learned")]
        if ours and "entropy" in shares:
            ratios.append((level["lost_points"], min(ours) / shares["entropy"]))
    if not ratios:
        return Check("no-worse", claim, None, "no accuracy that both reach")
    words = ", ".join(f"{ratio:.3f} at {lost:g} points" for lost, ratio in ratios)
    holds = all(ratio <= _NOISE for _, ratio in ratios)
    return Check("no-worse", claim, holds, f"MACs over those of entropy: {words}")


def _bounded(subject: str, methods: Mapping[str, Curve]) -> Check:
    claim = f"{subject}: loses no more than chance with the same shares, no less than the oracle"
    entry, oracle = _best(methods), methods["oracle"][0]
    blind = [each for each in methods.get("chance", []) if each["budget"] == CLAIMED_BUDGET]
    if entry is None or not blind:
        return Check("bounds", claim, None, "no learned policy meets the budget in every seed")
    lost, random = entry["lost_points"]["mean"], blind[0]["lost_points"]["mean"]
    holds = oracle["lost_points"]["mean"] <= lost <= random + 1e-9
    found = (
        f"{lost:.2f} points lost, chance {random:.2f}; {entry['share_of_macs']:.3f} of the MACs, "
        f"oracle {oracle['share_of_macs']:.3f} at {oracle['lost_points']['mean']:.2f} points"
    )
    return Check("bounds", claim, holds, found)


def _clocked(subject: str, methods: Mapping[str, Curve]) -> Check:
    claim = f"{subject}: staged execution, batch 1, gains {_OF_MAC_RATIO:g} of the ratio of MACs"
    entry = _best(methods)
    latency = None if entry is None else entry["latency"]
    if latency is None:
        return Check("wall-clock", claim, None, "not measured")
    found = (
        f"{latency['speedup']:.2f} times faster where MACs are {latency['mac_ratio']:.2f} times "
        f"fewer ({latency['of_mac_ratio']:.2f} of it); mean {latency['staged_mean_ms']:.3f} ms, "
        f"p99 {latency['staged_p99_ms']:.3f} ms, whole {latency['whole_mean_ms']:.3f} ms, "
        f"p99 {latency['whole_p99_ms']:.3f} ms, first stage {latency['first_stage_ms']:.3f} ms"
    )
    if latency["first_stage_ms"] < _WORTH_MS:
        return Check("wall-clock", claim, None, f"{found}, which is under {_WORTH_MS:g} ms")
    return Check("wall-clock", claim, latency["of_mac_ratio"] >= _OF_MAC_RATIO, found)


def _beside_exits(curves: Mapping[str, Mapping[str, Curve]]) -> Check:
    """A comparison, no claim: the table says which is better."""
    words = []
    for subject, methods in curves.items():
        entry = _best(methods)
        if entry is not None:
            words.append(f"{subject} {entry['times_fewer']['mean']:.2f} times")
    claim = "choice among networks beside early exits alone, each against its own reference"
    return Check("cascade-and-exits", claim, None, ", ".join(words))

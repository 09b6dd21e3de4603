"""Records side by side: figures, ratios, and the uncertainty of the differences.

Each record is compared with the first one of its own kind. Measured and predicted records stand in
one table, labelled, but never in one difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edgesynth.core.metric import ACCURACY
from edgesynth.core.verdicts import record_values
from edgesynth_rt.statistics import MIN_SAMPLES, difference, share_difference

SCHEMA = "edgesynth.comparison/1"

#: rows of the table: key of the figure -> unit
ROWS = {
    "latency_p50_ms": "ms",
    "latency_mean_ms": "ms",
    "latency_p95_ms": "ms",
    "latency_p99_ms": "ms",
    "throughput_per_s": "1/s",
    "energy_mj": "mJ",
    "accuracy": "",
    "params": "",
    "macs": "",
    "size_bytes": "B",
}


def compare_records(
    labels: Sequence[str],
    records: Sequence[Mapping[str, Any]],
    latencies_ms: Sequence[Sequence[float] | None],
) -> dict[str, Any]:
    """A comparison document of records (`edgesynth.record/1`).

    `labels` names the columns. `latencies_ms` holds the raw latencies in the order of measuring,
    None where there are none; only they give an interval. Every ratio is value over base.
    """
    values = [_values(record) for record in records]
    bases = [_base(records, index) for index in range(len(records))]
    rows = []
    for key, unit in ROWS.items():
        figures = [value.get(key) for value in values]
        if any(figure is not None for figure in figures):
            ratios = [
                _ratio(figures[base], figure) if base != index else None
                for index, (base, figure) in enumerate(zip(bases, figures, strict=True))
            ]
            rows.append({"key": key, "unit": unit, "values": figures, "ratios": ratios})
    differences = []
    for index, base in enumerate(bases):
        if base != index:
            pair = {"base": labels[base], "other": labels[index], "kind": records[index]["kind"]}
            found = _differences(
                (records[base], records[index]), (latencies_ms[base], latencies_ms[index])
            )
            differences += [{**pair, **entry} for entry in found]
    return {
        "schema": SCHEMA,
        "columns": [
            {"label": label, "kind": record["kind"], "device": record["device"]["module"],
             "backend": record["backend"], "batch": record["batch"]}
            for label, record in zip(labels, records, strict=True)
        ],
        "rows": rows,
        "differences": differences,
        "notes": _notes(records),
        "records": list(records),
    }  # fmt: skip


def _values(record: Mapping[str, Any]) -> dict[str, float]:
    values = record_values(record)
    if record["kind"] == "predicted":
        del values["latency_p50_ms"]  # a prediction has no median; it stands in the mean's row
    return values


def _base(records: Sequence[Mapping[str, Any]], index: int) -> int:
    """Index of the first record of the same kind."""
    kinds = [record["kind"] for record in records]
    return kinds.index(kinds[index])


def _ratio(base: float | None, value: float | None) -> float | None:
    return None if base is None or value is None or base == 0 else value / base


def _differences(
    records: tuple[Mapping[str, Any], Mapping[str, Any]],
    latencies: tuple[Sequence[float] | None, Sequence[float] | None],
) -> list[dict[str, Any]]:
    """Differences with a 95 % interval between two records of one kind."""
    base, other = records
    found: list[dict[str, Any]] = []
    base_ms, other_ms = latencies
    if base_ms is not None and other_ms is not None and base["batch"] == other["batch"]:
        paired = _same_run(base, other) and len(base_ms) == len(other_ms)
        found += _latency_differences(base_ms, other_ms, paired)
    if all(_is_share(record["accuracy"]) for record in records):
        a, b = base["accuracy"], other["accuracy"]
        low, high = share_difference(
            round(a["value"] * a["n"]), a["n"], round(b["value"] * b["n"]), b["n"]
        )
        found.append(
            {
                "key": "accuracy",
                "difference": b["value"] - a["value"],
                "ci95": [low, high],
                "ratio": None,
                "ratio_ci95": None,
                "shown": not low <= 0 <= high,
                "paired": False,
            }
        )
    return found


def _is_share(accuracy: Mapping[str, Any]) -> bool:
    """Whether this is so many right of n; a mean average precision is not."""
    return "n" in accuracy and accuracy.get("metric", ACCURACY) == ACCURACY


def _latency_differences(
    base_ms: Sequence[float], other_ms: Sequence[float], paired: bool
) -> list[dict[str, Any]]:
    """Of median and mean; none where there are too few iterations for an interval."""
    if min(len(base_ms), len(other_ms)) < MIN_SAMPLES:
        return []
    found = []
    for statistic in ("p50", "mean"):
        result = difference(base_ms, other_ms, paired, statistic)
        found.append(
            {
                "key": f"latency_{statistic}_ms",
                "difference": result["difference_ms"],
                "ci95": result["ci95_ms"],
                "ratio": result["ratio"],
                "ratio_ci95": result["ratio_ci95"],
                "shown": result["shown"],
                "paired": paired,
            }
        )
    return found


def _same_run(base: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two records were measured in turns within one run."""
    runs = [(record.get("measurement") or {}).get("run") for record in (base, other)]
    return runs[0] is not None and runs[0] == runs[1]


def _notes(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What a reader must know before believing the differences."""
    notes = []
    if len({record["kind"] for record in records}) > 1:
        notes.append("measured and predicted figures are never put into one difference")
    measured = [record for record in records if record["kind"] == "measured"]
    if len({record["batch"] for record in measured}) > 1:
        notes.append("the batches differ, so latencies are of different work")
    if len({record["device"]["module"] for record in measured}) > 1:
        notes.append("the records are from different devices")
    if any(record["latency_ms"]["n"] < MIN_SAMPLES for record in measured):
        notes.append(f"fewer than {MIN_SAMPLES} iterations give no interval")
    if any(not _same_run(measured[0], record) for record in measured[1:]):
        notes.append(
            "not measured in one run: the intervals hold the noise within each run, not what "
            "changed on the machine between them; compare the bundles to measure them in turns"
        )
    return notes

"""Requirements judged on a record: what holds, what does not, and what nobody measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from edgesynth.core.requirement import Requirement, Verdict


def record_values(record: Mapping[str, Any]) -> dict[str, float]:
    """The record's figures by the keys that requirements use; what was not found is left out.

    A predicted latency is one figure without a distribution: it counts as mean and as median.
    """
    values: dict[str, float] = {"throughput_per_s": record["throughput_per_s"]}
    latency = record["latency_ms"]
    for statistic in ("mean", "p50", "p90", "p95", "p99"):
        if statistic in latency:
            values[f"latency_{statistic}_ms"] = latency[statistic]
    if record["kind"] == "predicted":
        values["latency_p50_ms"] = latency["mean"]
    values.update({key: cost for key, cost in record["cost"].items() if cost is not None})
    mean = (record.get("exits") or {}).get("mean_cost")
    if mean is not None and mean["unit"] == "macs" and mean["value"] is not None:
        values["macs"] = mean["value"]  # of the inputs as they left, not of all stages together
    if "gross_mj" in record["energy"] and not record["energy"].get("replayed"):
        values["energy_mj"] = record["energy"]["gross_mj"]
        values["inferences_per_joule"] = 1e3 / record["energy"]["gross_mj"]
    if "value" in record["accuracy"]:
        values["accuracy"] = record["accuracy"]["value"]
    return values


def judge_record(
    record: Mapping[str, Any], requirements: Iterable[Requirement]
) -> list[dict[str, Any]]:
    """A verdict document for each requirement.

    Where nothing was found, or on another device than the requirement names, `holds` is None and
    `reason` says why: a requirement that nobody measured is not met.
    """
    values = record_values(record)
    return [_judge(record, values, requirement) for requirement in requirements]


def all_hold(verdicts: Iterable[Mapping[str, Any]]) -> bool:
    """Whether every verdict is that its requirement holds."""
    return all(verdict["holds"] is True for verdict in verdicts)


def _judge(
    record: Mapping[str, Any], values: Mapping[str, float], requirement: Requirement
) -> dict[str, Any]:
    module = record["device"]["module"]
    if requirement.device not in (None, module):
        document = Verdict(requirement, None).document()
        return {**document, "reason": f"{record['kind']} on {module}, not on {requirement.device}"}
    verdict = requirement.judge(values)
    if verdict.value is None:
        return {**verdict.document(), "reason": _reason(record, requirement)}
    return verdict.document()


def _reason(record: Mapping[str, Any], requirement: Requirement) -> str:
    """Why the record has no such figure."""
    part = {"energy": "energy", "inferences_per_joule": "energy", "accuracy": "accuracy"}
    found = record.get(part.get(requirement.metric, ""), {})
    for key in ("not_measured", "not_predicted"):
        if key in found:
            return str(found[key])
    if found.get("replayed"):
        return "the power is that of a replayed log, so the energy is of no machine"
    if requirement.metric == "accuracy_loss":
        return "a record knows no parent; use accuracy"
    return f"a {record['kind']} record has no {requirement.metric}"

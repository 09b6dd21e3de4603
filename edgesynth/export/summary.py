"""What `export` wrote and `check` found, as lines for a person."""

from __future__ import annotations

from typing import Any

_MOST_OPERATORS = 16


def export_lines(document: dict[str, Any]) -> list[str]:
    """The document of `edgesynth.workflows.export.export` as text."""
    bundle, stages = document["bundle"], document["stages"]
    lines = [f"{bundle}  for {document['target_title']}"]
    for stage in stages:
        lines.append(
            f"  {stage['onnx']:<12} {size_text(stage['size_bytes'])}, opset {stage['opset']}, "
            f"IR {stage['ir_version']}, {stage['nodes']} nodes"
        )
    for tensor in stages[0]["inputs"]:
        lines.append(f"  {tensor['name']:<12} {_tensor(tensor)}, {_preprocessing(document)}")
    for tensor in stages[-1]["outputs"]:
        lines.append(f"  {tensor['name']:<12} {_tensor(tensor)}{_labels(document)}")
    lines.append(f"  {'cost':<12} {_cost(document['cost'])}")
    lines += [f"  {'operator':<12} {line}" for line in operator_lines(document["operators"])]
    lines += [f"  {'verified':<12} ONNX Runtime: {_agreement(each)}" for each in _agreed(document)]
    lines += [
        "next",
        f"  edgesynth check {bundle}",
        f"  edgesynth bench {bundle}",
    ]
    return lines


def check_rows(document: dict[str, Any]) -> list[tuple[str, str, str]]:
    """(verdict, check, detail) of the document of `edgesynth.workflows.check.check`."""
    return [
        (check["status"].upper(), check["name"], check["detail"]) for check in document["checks"]
    ]


def operator_lines(layers: list[dict[str, Any]]) -> list[str]:
    """A line for each of the first custom operators of a bundle, and how many more there are."""
    lines = [
        f"{each['node']} {each['type']}: estimate: {each['estimate']} is faster; {each['reason']}"
        for each in layers[:_MOST_OPERATORS]
    ]
    more = len(layers) - len(lines)
    return [*lines, *([f"and {more} more"] if more else [])]


def size_text(size_bytes: int) -> str:
    """Bytes in the largest decimal unit that leaves at least one: 1.7 MB."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} B"


def _tensor(tensor: dict[str, Any]) -> str:
    return f"{tensor['dtype']} {'x'.join(map(str, tensor['shape']))}"


def _preprocessing(document: dict[str, Any]) -> str:
    known = document["preprocessing"]
    if known is None:
        return "preprocessing not known (--mean and --std, or --data, say it)"
    mean, std = (", ".join(f"{value:.4g}" for value in known[key]) for key in ("mean", "std"))
    return f"(pixel * {known['scale']:.4g} - [{mean}]) / [{std}]"


def _labels(document: dict[str, Any]) -> str:
    labels = document["labels"]
    if not labels:
        return ""
    return f", {len(labels)} labels: {', '.join(labels[:3])}{', ...' if labels[3:] else ''}"


def _cost(cost: dict[str, int | None]) -> str:
    macs = cost["macs"]
    counted = "MACs not counted" if macs is None else f"{macs:,} MACs"
    return f"{cost['params']:,} parameters, {counted}"


def _agreed(document: dict[str, Any]) -> list[dict[str, Any]]:
    agreements: list[dict[str, Any]] = document["agreement"]
    return agreements


def _agreement(each: dict[str, Any]) -> str:
    top1 = f", top-1 {each['top1_agree']} of {each['samples']}" if each["samples"] else ""
    return f"{each['output']} agrees, max abs error {each['max_abs_error']:.2g}{top1}"

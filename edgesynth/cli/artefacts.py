"""How every kind of artefact looks in a terminal, see `workflows.inspect`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from edgesynth.cli.facts import facts
from edgesynth.cli.lineage import show_run
from edgesynth.cli.records import show_record
from edgesynth.report.words import in_words

if TYPE_CHECKING:
    from rich.console import Console

Document = Mapping[str, Any]


def show(document: Document, console: Console) -> None:
    """Print the inspection `document` by its kind."""
    shows: dict[str, Callable[[Document, Console], None]] = {
        "network": _show_network,
        "bundle": _show_bundle,
        "run": show_run,
        "search": _show_search,
        "generator": _show_generator,
        "onnx": _show_onnx,
        "record": lambda record, screen: show_record(record["record"], screen),
    }
    console.print(f"{document['artefact']} {document['path']}", style="bold", markup=False)
    shows[document["artefact"]](document, console)


def _show_search(document: Document, console: Console) -> None:
    search = document["search"]
    known = {
        "prototype": search["prototype"],
        "data": search["data"],
        "requirements": ", ".join(search["plan"].get("requirements", [])),
        "status": ": ".join(filter(None, (search["status"], search["stopped"]))),
        "networks tried": f"{document['candidates']}, {document['feasible']} met the requirement",
        "family": ", ".join(one["id"] for one in search["family"][1:]) or "none yet",
        "best": search["best"] or "none yet",
        "in the way": "; ".join(search["obstacles"]),
        "command": search["command"],
        "versions": in_words(search["versions"]),
    }
    facts(known.items(), console)


def _show_generator(document: Document, console: Console) -> None:
    card = document["generator"]
    known = {
        "prototype": card["name"],
        "requirements": ", ".join(card["requirements"]),
        "data": card["data"],
        "learned in": f"{card['cycles']} cycles",
        "command": card["command"],
    }
    facts(known.items(), console)
    table = Table(title="genes", title_justify="left")
    for heading in ("gene", "mean in its range", "deviation", "value at the mean"):
        table.add_column(heading, justify="left" if heading == "gene" else "right")
    for gene in document["genes"]:
        table.add_row(gene["gene"], f"{gene['mu']:.2f}", f"{gene['sd']:.2f}", str(gene["means"]))
    console.print(table)


def _show_network(document: Document, console: Console) -> None:
    cost, lineage = document["cost"], document["lineage"]
    known = {
        "name": document["name"],
        "architecture": f"{document['architecture']['source']} "
        + in_words(document["architecture"].get("arguments", {})),
        "input": _shape(document["input_shape"]) + f", {document['classes']} classes",
        "accuracy": _accuracy(document.get("accuracy", {}), document.get("data", "")),
        "cost": cost.get("not_counted") or _counts(cost),
        "live synapses": _live(document.get("synapses", {})),
        "weights": _storage(document.get("storage")),
        "exits": ", ".join(_exit(each) for each in document.get("exits", ())),
        "8-bit inputs": ", ".join(document.get("precision", {}).get("activations", {})),
        "generation": lineage.get("generation", 1),
        "parent": lineage.get("parent") or "none",
        "seed": lineage.get("seed"),
        "command": lineage.get("command"),
        "versions": in_words(lineage.get("versions", {})),
        "weights' file": f"sha256 {document['weights_sha256']}, verified",
    }
    facts(known.items(), console)
    table = Table("layer", "kind", title="kept channels", title_justify="left")
    for column in ("inputs", "outputs", "output shape", "params", "MACs"):
        table.add_column(column, justify="right")
    for layer in document["layers"]:
        table.add_row(*map(escape, _layer_cells(layer)))
    if document["layers"]:
        console.print(table)


def _exit(exit_: Document) -> str:
    """Where an exit stands, and its head as `adapt --exit` takes it."""
    return f"{exit_['layer']}:{exit_['convolutions']}x{exit_['channels']}"


def _layer_cells(layer: Document) -> list[str]:
    if "kind" not in layer:
        return [layer["name"], "", layer.get("kept_inputs") or "all",
                layer.get("kept_outputs") or "all", "", "", ""]  # fmt: skip
    sides = [
        f"{side['kept']:,} of {side['of']:,}" if side else "" for side in
        (layer["inputs"], layer["outputs"])
    ]  # fmt: skip
    counts = [f"{layer['params']:,}", f"{layer['macs']:,}"]
    return [layer["name"], layer["kind"], *sides, _shape(layer["output_shape"]), *counts]


def _show_bundle(document: Document, console: Console) -> None:
    provenance, golden = document["provenance"], document["golden"]
    known = {
        "name": document["name"],
        "id": document["id"],
        "hashes": document["hashes"],
        "task": document["task"],
        "target": document["target"],
        "labels": len(document["labels"]) or None,
        "accuracy": _accuracy(document["accuracy"], document["accuracy"].get("data", "")),
        "cost": _counts(document["cost"]),
        "precision": _precision(document["precision"]),
        "golden": f"{golden['samples']} samples, atol {golden['atol']:g}, rtol {golden['rtol']:g}",
        "parent": provenance.get("parent") or "none",
        "seed": provenance.get("seed"),
        "command": provenance["command"],
        "versions": in_words(provenance["versions"]),
    }
    facts(known.items(), console)
    if document["policy"]:
        _show_policy(document["policy"], console)
    if document["operator_layers"]:
        table = Table(
            "custom operator", "type", "weights", "faster by estimate", title_justify="left"
        )
        for layer in document["operator_layers"]:
            form = f"{layer['bits']} bits" if layer["bits"] else f"{layer['nonzero']:,} not zero"
            weights = f"{layer['weights']:,}, {form}"
            table.add_row(escape(layer["node"]), layer["type"], weights, layer["estimate"])
        console.print(table)
    for stage in document["stages"]:
        console.print(f"stage {stage['id']}", style="bold", markup=False)
        _show_onnx(stage["onnx"], console)


def _show_policy(policy: Document, console: Console) -> None:
    """Which stage answers for which input."""
    expected = (policy.get("expected") or {}).get("exits", {})
    table = Table("stage", "goes to", "gate", title=policy["kind"], title_justify="left")
    table.add_column("leave, expected", justify="right")
    for node in policy["nodes"]:
        gates = [f"{gate['kind']} {gate['threshold']:.6g}" for gate in node.get("gates", ())]
        share = expected.get(node["stage"])
        table.add_row(
            escape(node["stage"]),
            escape(", ".join(choice or "answer" for choice in node["choices"])),
            ", ".join(gates),
            "" if share is None else f"{100 * share:.1f} %",
        )
    console.print(table)


def _show_onnx(document: Document, console: Console) -> None:
    known: list[tuple[str, object]] = [
        ("IR", document["ir_version"]),
        ("opset", in_words(document["opsets"])),
        ("producer", document["producer"]),
        ("parameters", f"{document['params']:,}"),
        ("functions", ", ".join(document["functions"])),
    ]
    for side in ("inputs", "outputs"):
        for tensor in document[side]:
            words = f"{tensor['name']} {tensor['dtype']} {_shape(tensor['shape'])}"
            known.append((side[:-1], words))
    facts(known, console)
    table = Table("operator", title_justify="left")
    table.add_column("nodes", justify="right")
    for operator, count in document["operators"].items():
        table.add_row(escape(operator), f"{count:,}")
    console.print(table)


def _shape(shape: list[Any]) -> str:
    return "x".join(map(str, shape))


def _accuracy(accuracy: Document, data: str) -> str:
    known = [f"{key} {accuracy[key]:.4f}" for key in ("validation", "test") if accuracy.get(key)]
    return (", ".join(known) + (f" ({data})" if data else "")) if known else "unknown"


def _counts(cost: Document) -> str:
    names = {"params": "parameters", "macs": "MACs", "size_bytes": "bytes"}
    return ", ".join(f"{cost[k]:,} {n}" for k, n in names.items() if cost.get(k) is not None)


def _live(synapses: Document) -> str:
    return f"{synapses['live']:,} of {synapses['of']:,}" if synapses else ""


def _storage(storage: Document | None) -> str:
    if storage is None:
        return ""
    zeros = (
        f", {storage['quantized_zeros']:,} rounded to zero" if storage["quantized_zeros"] else ""
    )
    return (
        f"{storage['precision']}, {storage['weight_bytes']:,} bytes, "
        f"{storage['weight_bytes_with_index']:,} with index and scales{zeros}"
    )


def _precision(precision: Document | None) -> str:
    """How many layers of a bundle have which format, and as what they are in the file."""
    if precision is None:
        return ""
    kinds = [f"{layer['format']} as {layer['file']}" for layer in precision["layers"]]
    counted = [f"{kinds.count(kind)} layers {kind}" for kind in dict.fromkeys(kinds)]
    if precision["activations"]["bits"]:
        counted.append(f"activations {precision['activations']['file']}")
    return ", ".join(counted)

"""How a run looks in a terminal: its settings and its family tree, or one offspring replayed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.tree import Tree

from edgesynth.cli.facts import facts
from edgesynth.report.words import in_words

if TYPE_CHECKING:
    from rich.console import Console

Document = Mapping[str, Any]


def show_run(document: Document, console: Console) -> None:
    """Print the inspection `document` of a run."""
    run = document["run"]
    if run is not None:
        facts(
            {
                "parent": run["parent"],
                "data": run["data"],
                "status": ": ".join(filter(None, (run["status"], run["stopped"]))),
                "plan": in_words(run["plan"]),
                "command": run["command"],
                "versions": in_words(run["versions"]),
                "test accuracy": in_words(run["test_accuracy"]),
            }.items(),
            console,
        )
    ancestor = document["offspring"][0]
    console.print("accuracy at birth -> trained; how many times fewer than the ancestor's")
    branches: dict[str | None, Tree] = {}
    for one in document["offspring"]:
        label = _label(one, ancestor)
        above = branches.get(one["parent"])
        branches[one["id"]] = above.add(label) if above else Tree(label)
    console.print(branches[ancestor["id"]])


def show_replay(document: Document, console: Console) -> None:
    """Print the document of `workflows.replay`."""
    facts(
        {
            "replayed": document["id"],
            "weights": f"sha256 {document['weights_sha256']}, as recorded"
            if document["identical"]
            else f"sha256 {document['weights_sha256']}, recorded was "
            f"{document['recorded']['weights_sha256']}",
            "accuracy": f"{document['accuracy']:.4f}, "
            f"recorded was {document['recorded']['accuracy']:.4f}",
            "other versions": in_words(document["other_versions"]),
        }.items(),
        console,
    )
    if document["identical"]:
        console.print("bit-identical")
    else:
        console.print("NOT bit-identical")


def _label(one: Document, ancestor: Document) -> str:
    mate = f" x {one['mate']}" if one["mate"] else ""
    birth = one["accuracy_at_birth"]
    accuracy = (
        f"{one['accuracy']:.4f}" if birth is None else f"{birth:.4f} -> {one['accuracy']:.4f}"
    )
    marks = [mark for mark in ("selected", "rejected", "best") if one[mark]]
    fate = f" ({', '.join(marks)})" if marks else ""
    label = escape(f"{one['id']}{mate}{fate}  accuracy {accuracy}  {_costs(one, ancestor)}")
    if one["selected"] or one["best"]:
        return f"[bold]{label}[/bold]"
    return f"[dim]{label}[/dim]" if one["rejected"] else label


def _costs(one: Document, ancestor: Document) -> str:
    names = {"synapses": "synapses", "params": "params", "macs": "MACs"}
    if one is ancestor:
        return "  ".join(f"{one[key]:,} {name}" for key, name in names.items())
    ratios = [f"{ancestor[key] / max(one[key], 1):.2f}x {name}" for key, name in names.items()]
    return "  ".join(ratios)

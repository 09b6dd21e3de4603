"""`edgesynth demo`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgesynth.cli.common import Output, output_options, seed_option

if TYPE_CHECKING:
    from rich.console import Console


@click.command("demo")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder to fill.",
)
@click.option("--force", is_flag=True, help="Replace an earlier demo in --out.")
@seed_option
@output_options
def command(out: Path, force: bool, seed: int, output: Output) -> int:
    """The whole way on LeNet-5 and Fashion-MNIST, in under 4 minutes on 2 cores.

    Trains, evolves a smaller network, exports and checks it, measures it here, predicts it for TX1
    and TX2, and writes a report. Uses 12,000 training images, and all 10,000 test images.

    \b
    Example:
      edgesynth demo --out demo
    """
    from edgesynth.workflows.demo import DemoPlan, demo

    document = demo(out, plan=DemoPlan(seed=seed), force=force, progress=output.progress)
    output.result(document, lambda console: _show(document, console))
    return 0 if all(claim["holds"] for claim in document["claims"]) else 1


def _show(document: dict[str, Any], console: Console) -> None:
    from rich.table import Table

    parent, child = document["parent"], document["child"]
    table = Table(title=f"LeNet-5 on Fashion-MNIST ({document['seconds']:.0f} s)")
    table.add_column("")
    for heading in ("parent", "child", "ratio"):
        table.add_column(heading, justify="right")
    change = 100 * (child["test_accuracy"] - parent["test_accuracy"])
    accuracies = [f"{100 * of['test_accuracy']:.2f} %" for of in (parent, child)]
    table.add_row("test accuracy", *accuracies, f"{change:+.2f} pt")
    for label, name in (("parameters", "params"), ("MACs", "macs"), ("bytes", "size_bytes")):
        ratio = f"{parent[name] / child[name]:.2f}x"
        table.add_row(label, f"{parent[name]:,}", f"{child[name]:,}", ratio)
    p50 = "measured_latency_p50_ms"
    rows = [("p50 here, ms (measured)", parent[p50], child[p50])]
    for before, after in zip(parent["predicted"], child["predicted"], strict=True):
        device = before["device"]
        for label, name in (("ms", "latency_mean_ms"), ("mJ", "energy_mj")):
            if before[name] is not None:
                rows.append((f"{device}, {label} (predicted)", before[name], after[name]))
    for label, before, after in rows:
        table.add_row(label, f"{before:.3f}", f"{after:.3f}", f"{before / after:.2f}x")
    console.print(table)
    for claim in document["claims"]:
        mark = "[green]holds[/]" if claim["holds"] else "[red]FAILS[/]"
        console.print(f"{mark}  {claim['claim']}: {claim['found']}")
    console.print(f"report: {document['report']}")

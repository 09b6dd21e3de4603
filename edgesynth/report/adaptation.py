"""The page of an adaptation: what is saved, at what loss, where inputs leave and which ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgesynth.report import numbers
from edgesynth.report.blocks import Cell, Charts, Column, Facts, Paragraph, Section, Table
from edgesynth.report.page import render
from edgesynth.report.sections.adaptation_figures import budget_curve, example_images, exit_shares
from edgesynth_rt.files import write_bytes

Document = Mapping[str, Any]


def write_adaptation_page(document: Document, out: Path) -> None:
    """Write the page about `document` (schema `edgesynth.adaptation/1`) to `out`, in one step."""
    heading = f"{document['name']}: {document['method']} on {document['data']}"
    origin = f"one adaptation, {document['calibration']['n']:,} validation images"
    page = render(heading, adaptation_sections(document), [], origin)
    write_bytes(str(out), page.encode("utf-8"))


def adaptation_sections(document: Document) -> list[Section]:
    """The page without its HTML."""
    examples = example_images(document)
    found = [
        Section("found", "What is saved", [Paragraph(_lead(document), "lead"), _stages(document)]),
        Section("curves", "Budgets", [Charts([budget_curve(document), exit_shares(document)])]),
    ]
    if examples:
        found.append(Section("examples", "Which inputs leave where", [Charts(examples)]))
    if document.get("proposals"):
        found.append(Section("break-even", "Which exits can pay", [_break_even(document)]))
    return [*found, _provenance(document)]


def _lead(document: Document) -> str:
    chosen, unit = document["chosen"], document["cost"]["unit"]
    fewer, lost = chosen["times_fewer"], chosen["lost_points"]
    executed = document["executed"]
    return (
        f"On test images {fewer['test']:.2f} times less {unit} than {document['parent']['network']}"
        f", {lost['test']:.2f} points of accuracy lost (validation: {fewer['validation']:.2f} times"
        f", {lost['validation']:.2f} points). Executed for real with {executed['backend']}, "
        f"{executed['same_class']:,} of {executed['n']:,} test images got the simulated class."
    )


def _stages(document: Document) -> Table:
    unit, chosen = document["cost"]["unit"], document["chosen"]
    expected = chosen["policy"]["expected"]["exits"]
    columns = [
        Column("Stage"),
        Column("Behind"),
        Column(unit, number=True),
        Column("of it head", number=True),
        Column("Alone on test", number=True),
        Column("Leave, expected", number=True),
        Column("Leave, test", number=True),
        Column("Gate"),
    ]
    gates = [node.get("gates", []) for node in chosen["policy"]["nodes"]]
    rows = [
        [
            Cell(each["id"]),
            Cell(each.get("layer") or each.get("network") or "the network's end"),
            Cell(f"{each['trunk'] + each['head']:,.4g}"),
            Cell(f"{each['head']:,.4g}"),
            Cell(numbers.percent(each["accuracy"]["test"])),
            Cell(numbers.percent(expected.get(each["id"], 0.0), 1)),
            Cell(numbers.percent(chosen["test"]["shares"].get(each["id"], 0.0), 1)),
            Cell(", ".join(gate["kind"] for gate in mine) or "none"),
        ]
        for each, mine in zip(document["exits"], gates, strict=True)
    ]
    return Table(columns, rows)


def _break_even(document: Document) -> Table:
    """Every layer that an exit could stand behind."""
    taken = {each["layer"] for each in document["break_even"]}
    columns = [
        Column("Layer"),
        Column("Has run", number=True),
        Column("Head and gate", number=True),
        Column("Pays above", number=True),
        Column("Taken"),
    ]
    rows = [
        [
            Cell(each["layer"]),
            Cell(numbers.percent(each["before"], 1)),
            Cell(numbers.percent(each["price"], 1)),
            Cell("never" if each["share"] is None else numbers.percent(each["share"], 1)),
            Cell("yes" if each["layer"] in taken else ""),
        ]
        for each in document["proposals"]
    ]
    caption = "Shares of the whole network's MACs; an exit pays where more inputs leave than that"
    return Table(columns, rows, caption=caption)


def _provenance(document: Document) -> Section:
    pairs = [("command", Cell(document["command"], tone="code"))]
    known = {"seed": document["seed"], **document["versions"], **document.get("training", {})}
    pairs += [(name, Cell(str(value))) for name, value in known.items()]
    pairs += [("doubt", Cell(doubt)) for doubt in document["doubts"]]
    return Section("provenance", "Where this comes from", [Facts(pairs)])

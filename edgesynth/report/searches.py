"""The page of a comparison of searches: claim beside obtained, and every search of every seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgesynth.core.reproduction import Spread
from edgesynth.core.search_comparison import SearchRow, SearchSummary
from edgesynth.report import numbers
from edgesynth.report.blocks import Cell, Charts, Column, Paragraph, Section, Table
from edgesynth.report.charts import Chart
from edgesynth.report.charts.frame import Axis
from edgesynth.report.charts.scatter import Mark, Series, scatter
from edgesynth.report.scale import linear
from edgesynth.report.sections.axes import whole
from edgesynth.report.sections.reproduction_page import (
    claims_section,
    provenance_section,
    write_reproduction,
)
from edgesynth.report.sections.reproduction_tables import claims_table

_INKS = {"generator": "child", "random": "faint", "evolution": "third", "tpe": "fourth"}


def write_search_page(document: dict[str, Any], out: Path) -> None:
    """Write the page about `document` (`edgesynth.search-comparison/1`) to `out`, in one step."""
    origin = f"{len(document['rows'])} searches of {len(document['seeds'])} seeds"
    write_reproduction(document, sections_of(document), origin, out)


def sections_of(document: dict[str, Any]) -> list[Section]:
    """The page without its HTML."""
    summaries = msgspec.convert(document["summary"], list[SearchSummary])
    rows = msgspec.convert(document["rows"], list[SearchRow])
    missing = [Paragraph(f"{one['rival']} was not run: {one['reason']}", "note")
               for one in document["not_run"]]  # fmt: skip
    return [
        claims_section(document, claims_table(document["claims"])),
        Section("searches", "Searches at equal evaluations",
                [summary_table(summaries), Charts([progress_chart(rows)]), *missing]),
        Section("seeds", "Every seed", [rows_table(rows)]),
        provenance_section(document),
    ]  # fmt: skip


def summary_table(summaries: Sequence[SearchSummary]) -> Table:
    """Mean and ends over seeds of what each search ended with."""
    columns = [Column("Search")] + [
        Column(title, number=True)
        for title in ("Requirement met", "NetScore gain, dB", "Points lost",
                      "Fewer parameters", "Fewer MACs", "Inf/J on tx2, predicted",
                      "Faster here, measured")
    ]  # fmt: skip
    rows = [
        [
            Cell(one.search, tone="strong" if one.search == "generator" else ""),
            Cell(f"{one.holding} of {len(one.seeds)}"),
            *(Cell(_spread(each)) for each in (one.gain_db, one.lost_points)),
            *(Cell(_spread(each, "×")) for each in (one.fewer_params, one.fewer_macs,
              one.more_inferences_per_joule, one.faster)),
        ]
        for one in summaries
    ]  # fmt: skip
    note = "Best network of each search, fully trained, on test data, against the prototype: mean "
    note += "(lowest to highest). A search without a network that meets all gains nothing."
    return Table(columns, rows, caption=note)


def rows_table(rows: Sequence[SearchRow]) -> Table:
    """One row for each seed and search."""
    columns = [Column("Search"), Column("Seed", number=True)] + [
        Column(title, number=True)
        for title in ("Evaluations", "Of them feasible", "Test, %", "Prototype, %", "NetScore, dB",
                      "Parameters", "MACs", "Rank correlation")
    ] + [Column("Requirement")]  # fmt: skip
    cells = [
        [
            Cell(one.search),
            Cell(str(one.seed)),
            Cell(str(one.evaluations)),
            Cell(str(one.feasible)),
            Cell(f"{100 * one.test_accuracy:.2f}"),
            Cell(f"{100 * one.prototype_test_accuracy:.2f}"),
            Cell("–" if one.netscore is None else f"{one.netscore:.2f}"),
            Cell(f"{numbers.count(one.params)} ({numbers.factor(one.fewer_params)})"),
            Cell(f"{numbers.count(one.macs)} ({numbers.factor(one.fewer_macs)})"),
            Cell("–" if one.rank_correlation is None else f"{one.rank_correlation:.2f}"),
            Cell("met" if one.holds else "missed", tone="good" if one.holds else "bad"),
        ]
        for one in rows
    ]
    return Table(columns, cells)


def progress_chart(rows: Sequence[SearchRow]) -> Chart:
    """Best score after so many evaluations: mean over seeds, and their ends as a shade."""
    series, heights, longest = [], [], 1
    for name in dict.fromkeys(row.search for row in rows):
        curves = [row.best_so_far for row in rows if row.search == name]
        length = min(map(len, curves))
        longest = max(longest, length)
        marks, band = [], []
        for index in range(length):
            here = [curve[index] for curve in curves]
            marks.append(Mark(index + 1, sum(here) / len(here)))
            band.append((Mark(index + 1, min(here)), Mark(index + 1, max(here))))
            heights += here
        series.append(Series(name, _INKS.get(name, "fifth"), marks, "none", "steps", band=band))
    return scatter(
        "Best score so far",
        Axis("Networks tried", linear([1, longest]), whole),
        Axis("Score after short training (dB)", linear(heights), _plain),
        series,
        note="U less the penalties for what the requirement lacks, judged by what each search knew "
        "at its end.",
    )


def _plain(ticks: Sequence[float]) -> list[str]:
    return [f"{tick:g}" for tick in ticks]


def _spread(values: Spread | None, unit: str = "") -> str:
    if values is None:
        return "–"
    return f"{values.mean:.2f}{unit} ({values.low:.2f} to {values.high:.2f})"

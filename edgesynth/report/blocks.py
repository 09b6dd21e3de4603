"""What a page is made of: sections of charts, tables and paragraphs, free of HTML.

The sections are plain data, so that their content is tested without a browser; one template
turns them into HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from edgesynth.report.charts import Chart

Tone = Literal["", "good", "bad", "quiet", "code", "strong"]


@dataclass(frozen=True)
class Cell:
    """One cell: text, what the pointer shows, a tone, and a bar of `share` (0 to 1) behind it."""

    text: str
    tip: str = ""
    tone: Tone = ""
    share: float | None = None
    ink: str = ""
    indent: int = 0
    badge: str = ""


@dataclass(frozen=True)
class Column:
    """A heading; numbers are aligned to the right, `prose` may take several lines."""

    title: str
    number: bool = False
    prose: bool = False
    ink: str = ""


@dataclass(frozen=True)
class Table:
    """Rows under headings. A table with `summary` opens on a click and prints open.

    `ink` marks the caption of a table that is about one network.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    ink: str = ""
    summary: str = ""
    kind: str = ""
    template: Literal["table"] = field(default="table", init=False)


@dataclass(frozen=True)
class Charts:
    """Charts side by side where there is room."""

    charts: Sequence[Chart]
    template: Literal["charts"] = field(default="charts", init=False)


@dataclass(frozen=True)
class Beside:
    """A chart with the table of its figures to the right, or below on a narrow page."""

    chart: Chart
    table: Table
    template: Literal["beside"] = field(default="beside", init=False)


@dataclass(frozen=True)
class Fold:
    """Tables side by side under a summary that opens on a click, or `open` already."""

    summary: str
    tables: Sequence[Table]
    open: bool = False
    kind: str = ""
    template: Literal["fold"] = field(default="fold", init=False)


@dataclass(frozen=True)
class Paragraph:
    """A few sentences; a lead is set larger, a note smaller."""

    text: str
    look: Literal["", "lead", "note"] = ""
    template: Literal["paragraph"] = field(default="paragraph", init=False)


@dataclass(frozen=True)
class Tile:
    """One figure of the headline: how much better the child is, and both values.

    `detail` says of which kind the figure is: the split, the statistic, the precision.
    `before` and `after` are (text, value); `before` is None where there is nothing to compare with.
    """

    title: str
    detail: str
    figure: str
    after: tuple[str, float]
    before: tuple[str, float] | None = None
    kind: str = ""

    @property
    def number(self) -> str:
        """The first word of the figure, set large."""
        return self.figure.replace("\u00a0", " ").partition(" ")[0]

    @property
    def word(self) -> str:
        """The rest of the figure."""
        return self.figure.replace("\u00a0", " ").partition(" ")[2]

    def share(self, which: Literal["before", "after"]) -> float:
        """The length of the bar of one value, 0 to 1 of the longer one."""
        own = self.after if which == "after" or self.before is None else self.before
        largest = max(self.after[1], self.before[1] if self.before else 0.0)
        return own[1] / largest if largest > 0 else 0.0


@dataclass(frozen=True)
class Tiles:
    """The headline figures."""

    tiles: Sequence[Tile]
    template: Literal["tiles"] = field(default="tiles", init=False)


@dataclass(frozen=True)
class Facts:
    """Names and values, one pair a line; with `folded` they open on a click and print open."""

    pairs: Sequence[tuple[str, Cell]]
    heading: str = ""
    folded: bool = False
    template: Literal["facts"] = field(default="facts", init=False)


Block = Beside | Charts | Facts | Fold | Paragraph | Table | Tiles


@dataclass(frozen=True)
class Section:
    """A heading with its blocks; `id` is its anchor."""

    id: str
    title: str
    blocks: Sequence[Block]


def plain_cells(*texts: str) -> list[Cell]:
    """A row of plain cells."""
    return [Cell(text) for text in texts]

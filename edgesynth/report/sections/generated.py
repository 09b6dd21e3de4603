"""A generative search: every network that was tried, how the generator moved, and the family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgesynth.core.requirement import parse_requirement
from edgesynth.core.search import Candidate, Member, wilson
from edgesynth.report import numbers
from edgesynth.report.blocks import Block, Cell, Charts, Column, Paragraph, Section, Table
from edgesynth.report.charts import Chart
from edgesynth.report.charts.frame import Axis
from edgesynth.report.charts.scatter import Guide, Mark, Series, scatter
from edgesynth.report.generation import Generation
from edgesynth.report.pareto import pareto_front
from edgesynth.report.scale import Linear, WholeNumbers, linear, logarithmic
from edgesynth.report.sections.axes import counts, percents, whole
from edgesynth.report.words import capital

_INKS = ("child", "parent", "third", "fourth", "fifth", "faint")


def generated(one: Generation, number: int = 1, of: int = 1) -> list[Section]:
    """The sections of one search, the `number`th of `of`."""
    ending = "" if of == 1 else f"-{number}"
    behind = "" if of == 1 else f" of {one.name}"
    sections = [Section(f"family{ending}", f"Family{behind}", _family(one))]
    if one.tried:
        charts = [
            _cloud(one, "macs", "MACs", lambda c: c.macs),
            _cloud(one, "params", "parameters", lambda c: c.params),
            _scores(one),
        ]
        if any(c.foretold is not None for c in one.tried):
            charts.append(_foretold(one))
        sections.append(Section(f"candidates{ending}", f"Networks tried{behind}", [Charts(charts)]))
        moved = _distributions(one)
        if moved:
            words = (
                "Where in its range the generator draws each gene: the mean, and for widths one "
            )
            words += "standard deviation to both sides."
            blocks: list[Block] = [Paragraph(words, "note"), Charts(moved)]
            sections.append(
                Section(f"generator{ending}", f"Generator over the cycles{behind}", blocks)
            )
    return sections


def _family(one: Generation) -> list[Block]:
    prototype = one.prototype
    if prototype is None:
        return [Paragraph("No network has been fully trained yet.")]
    holding = sum(member.holds for member in one.family)
    low, high = wilson(holding, len(one.family))
    words = f"{holding} of {len(one.family)} networks meet every requirement"
    words += f" (95 % interval of the share: {low:.0%} to {high:.0%})." if one.family else "."
    blocks: list[Block] = [Paragraph(words, "lead")]
    if one.search.rank_correlation is not None:
        blocks.append(
            Paragraph(
                f"The inquisitor ranked {one.search.foretold} networks that it had not seen with a "
                f"rank correlation of {one.search.rank_correlation:.2f} with what they reached.",
                "note",
            )
        )
    blocks += [Paragraph(f"In the way: {line}") for line in one.search.obstacles]
    return [*blocks, _sizes(one), *_verdicts(one), *_boards(one)]


def _sizes(one: Generation) -> Table:
    """Every delivered network beside the prototype: how good it is and what it holds."""
    prototype = one.search.family[0]
    titles = (f"Test {one.search.metric}, %", "Validation, %", "NetScore, dB", "Parameters", "MACs",
              "Weights, kB")  # fmt: skip
    columns = [Column("Network"), *(Column(title, number=True) for title in titles)]
    rows = []
    for member in one.search.family:
        missed = sum(verdict["holds"] is not True for verdict in member.requirements)
        met = Cell("met", tone="good")
        if missed:
            met = Cell(f"misses {missed} of {len(member.requirements)}", tone="bad")
        rows.append(
            [
                _name(one, member),
                Cell(f"{100 * member.test_accuracy:.2f}"),
                Cell(f"{100 * member.accuracy:.2f}"),
                Cell("–" if member.netscore is None else f"{member.netscore:.2f}"),
                _fewer(member.params, prototype.params, member is prototype),
                _fewer(member.macs, prototype.macs, member is prototype),
                Cell(f"{member.weight_bytes / 1e3:,.1f}"),
                met,
            ]
        )
    caption = "All fully trained; ratios are against the prototype."
    return Table([*columns, Column("Requirement")], rows, caption=caption)


def _boards(one: Generation) -> list[Block]:
    """What boards are predicted to need for each network, or were measured to need."""
    prototype = one.search.family[0]
    devices = list(dict.fromkeys(d for member in one.search.family for d in member.predictions))
    measured = any(member.measured for member in one.search.family)
    titles = [f"{word} on {d}, predicted" for d in devices for word in ("Latency", "Inf/J")]
    titles += ["Latency, measured"] if measured else []
    if not titles:
        return []
    rows = []
    for member in one.search.family:
        cells = [_name(one, member)]
        for device in devices:
            there, base = member.predictions.get(device, {}), prototype.predictions.get(device, {})
            latency = there.get("latency_mean_ms")
            cells.append(Cell("–" if latency is None else numbers.milliseconds(latency)))
            joule = there.get("inferences_per_joule")
            cells.append(Cell("–") if joule is None else _more(joule, base, member is prototype))
        if measured:
            own = member.measured.get("latency_p50_ms")
            cells.append(Cell("–" if own is None else numbers.milliseconds(own)))
        rows.append(cells)
    columns = [Column("Network"), *(Column(title, number=True) for title in titles)]
    caption = "On boards; predicted at fp16 and batch 1. Inf/J: inferences per joule."
    return [Table(columns, rows, caption=caption)]


def _verdicts(one: Generation) -> list[Block]:
    """What each network has of what is required."""
    asked = [str(verdict["requirement"]) for verdict in one.search.family[0].requirements]
    if not asked:
        return []
    rows = []
    for member in one.search.family:
        found = {str(verdict["requirement"]): verdict for verdict in member.requirements}
        rows.append([_name(one, member), *(_verdict(found.get(text, {})) for text in asked)])
    columns = [Column("Network"), *(Column(text, number=True) for text in asked)]
    return [Table(columns, rows, caption="What is required, and what each has of it; accuracy on "
                                         "validation data.")]  # fmt: skip


def _verdict(found: dict[str, Any]) -> Cell:
    value = found.get("value")
    text = "–" if value is None else numbers.plain(value) if value < 1000 else numbers.count(value)
    return Cell(text, tone="good" if found.get("holds") is True else "bad")


def _name(one: Generation, member: Member) -> Cell:
    best = member.id == one.search.best
    return Cell(member.id + (" (best)" if best else ""), tone="strong" if best else "")


def _fewer(value: float, base: float, own: bool) -> Cell:
    text = numbers.count(value)
    return Cell(text if own or value <= 0 else f"{text} ({numbers.factor(base / value)})")


def _more(value: float, base: dict[str, float], own: bool) -> Cell:
    before = base.get("inferences_per_joule")
    text = numbers.plain(value)
    return Cell(text if own or not before else f"{text} ({numbers.factor(value / before)})")


def _cloud(one: Generation, key: str, name: str, cost: Callable[[Candidate], int]) -> Chart:
    """Every network by `cost` and accuracy, with the requirement's border."""
    points = [(float(cost(c)), c.accuracy) for c in one.tried]
    front = [one.tried[index] for index in pareto_front(points)]

    def mark(c: Candidate) -> Mark:
        words = f"{c.id}: {numbers.percent(c.accuracy)}, {numbers.count(cost(c))} {name}"
        return Mark(cost(c), c.accuracy, words)

    series = [
        Series("Pareto front", "front", [mark(c) for c in front], "none", "steps"),
        Series("misses something", "faint", [mark(c) for c in one.tried if not c.feasible]),
        Series("meets the requirement", "child", [mark(c) for c in one.tried if c.feasible]),
    ]
    if one.reference is not None:
        series.append(Series("prototype", "parent", [mark(one.reference)], "square"))
    everyone = [mark for each in series for mark in each.marks]
    return scatter(
        f"{capital(one.search.metric)} against {name}",
        Axis(f"{name[0].upper()}{name[1:]} (log)", logarithmic([m.x for m in everyone]), counts),
        Axis(f"Validation {one.search.metric}, short training",
             linear([m.y for m in everyone], floor=0, ceiling=1), percents),
        [each for each in series if each.marks],
        guides=_border(one, key),
        note="Every network that was tried, shortly trained; the dotted lines are the requirement.",
    )  # fmt: skip


def _border(one: Generation, key: str) -> list[Guide]:
    """The requirement's bounds on the x axis (`key`), and on accuracy after a short training."""
    guides = []
    full = one.prototype.accuracy if one.prototype else None
    short = one.reference.accuracy if one.reference else None
    for text in one.search.plan.get("requirements", ()):
        requirement = parse_requirement(str(text))
        if requirement.key == key:
            guides.append(Guide("x", requirement.limit, requirement.text))
        elif requirement.metric == "accuracy_loss" and short is not None:
            guides.append(Guide("y", short - requirement.limit / 100, requirement.text))
        elif requirement.metric == "accuracy" and short is not None and full is not None:
            guides.append(Guide("y", short - (full - requirement.limit), requirement.text))
    return guides


def _scores(one: Generation) -> Chart:
    """Utility by cycle."""
    defined = [(c, c.utility) for c in one.tried if c.utility is not None]

    def marks(feasible: bool) -> list[Mark]:
        return [
            Mark(c.cycle, utility, f"{c.id}: {utility:.2f} dB")
            for c, utility in defined
            if c.feasible == feasible
        ]

    means = [
        Mark(cycle.number, cycle.mean_utility, f"cycle {cycle.number}: {cycle.mean_utility:.2f} dB")
        for cycle in one.search.cycles
        if cycle.mean_utility is not None
    ]
    series = [
        Series("misses something", "faint", marks(feasible=False)),
        Series("meets the requirement", "child", marks(feasible=True)),
        Series("mean of the cycle", "front", means, "none", "straight"),
    ]
    heights = [utility for _, utility in defined] or [0.0]
    last = max((c.cycle for c in one.tried), default=1)
    return scatter(
        "Utility by cycle",
        Axis("Cycle", WholeNumbers(0.5, last + 0.5), whole),
        Axis("U (dB)", linear(heights), lambda ticks: [f"{tick:g}" for tick in ticks]),
        [each for each in series if each.marks],
        note=f"U is {one.search.plan.get('utility', 'netscore')} after the short training.",
    )


def _foretold(one: Generation) -> Chart:
    """What the inquisitor foretold and what came."""
    pairs = [(c, c.foretold) for c in one.tried if c.foretold is not None]
    marks = [
        Mark(said, c.accuracy, f"{c.id}: foretold {numbers.percent(said)}") for c, said in pairs
    ]
    ends = [min(m.x for m in marks), max(m.x for m in marks)]
    same = [Mark(end, end) for end in ends]
    series = [
        Series("foretold and found alike", "front", same, "none", "straight", dashed=True),
        Series("networks not seen before", "child", marks),
    ]
    return scatter(
        "Foretold and found accuracy",
        Axis("Foretold by the inquisitor", linear(ends, floor=0, ceiling=1), percents),
        Axis("Found", linear([m.y for m in (*marks, *same)], floor=0, ceiling=1), percents),
        series,
        note="Each was foretold before the network was trained.",
    )


def _distributions(one: Generation) -> list[Chart]:
    """One chart for every stage: the mean of each gene over the cycles."""
    cycles = [cycle for cycle in one.search.cycles if cycle.mu]
    if not cycles:
        return []
    charts = []
    stages = sorted({int(gene["stage"]) for gene in one.search.genes})
    for stage in stages:
        series = []
        here = [
            (place, str(gene["kind"]))
            for place, gene in enumerate(one.search.genes)
            if int(gene["stage"]) == stage
        ]
        for order, (place, kind) in enumerate(here):
            marks = [
                Mark(c.number, min(max(c.mu[place], 0.0), 1.0), f"{kind}: {c.mu[place]:.2f}")
                for c in cycles
            ]
            band = [
                (Mark(c.number, max(0.0, c.mu[place] - c.sd[place])),
                 Mark(c.number, min(1.0, c.mu[place] + c.sd[place])))
                for c in cycles
            ]  # fmt: skip
            ink = _INKS[order % len(_INKS)]
            wanted = band if kind == "width" else []
            series.append(Series(kind, ink, marks, "dot", "straight", band=wanted))
        charts.append(
            scatter(
                f"Stage {stage + 1}",
                Axis("Cycle", WholeNumbers(0.5, cycles[-1].number + 0.5), whole),
                Axis("Share of the gene's range", Linear(0.0, 1.0), percents),
                series,
            )
        )
    return charts

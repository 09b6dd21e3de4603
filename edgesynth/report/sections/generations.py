"""A synthesis run: how accuracy and cost change over the generations, and every offspring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import msgspec

from edgesynth.core.history import Offspring
from edgesynth.report import numbers
from edgesynth.report.blocks import Block, Cell, Charts, Column, Section, Table
from edgesynth.report.charts import Chart
from edgesynth.report.charts.frame import Axis
from edgesynth.report.charts.scatter import Guide, Mark, Series, Shape, scatter
from edgesynth.report.lineage import Evolution
from edgesynth.report.pareto import pareto_front
from edgesynth.report.record import Verdict
from edgesynth.report.scale import WholeNumbers, linear, logarithmic
from edgesynth.report.sections.axes import counts, percents, times, whole
from edgesynth.report.sections.family import family_tree
from edgesynth.report.words import capital

_FOLDED_FROM = 13


def generations(run: Evolution, number: int = 1, of: int = 1) -> Section:
    """The family tree, charts and the table of offspring of `run`, the `number`th of `of` runs."""
    best = run.best
    charts = [family_tree(run), _training(run)]
    if len(run.descent(best)) > 1:
        charts.append(_shrinking(run))
    charts.append(_front(run, "params", "parameters", lambda one: one.params))
    charts.append(_front(run, "macs", "MACs", lambda one: one.macs))
    blocks: list[Block] = [Charts(charts), offspring_table(run)]
    title = "Generations" if of == 1 else f"Generations of {run.name}"
    return Section("generations" if of == 1 else f"generations-{number}", title, blocks)


def offspring_table(run: Evolution) -> Table:
    """Every offspring in the order of its birth; the selected ones stand out."""
    columns = [Column("Id"), Column("Parent")] + [
        Column(title, number=True)
        for title in ("At birth, %", "Trained, %", "Parameters", "MACs", "Size, kB", "Synapses",
                      "Clusters", "Epochs", "Seconds")
    ] + [Column("Fate")]  # fmt: skip
    longest = max(one.seconds for one in run.offspring)
    seconds = numbers.column([o.seconds for o in run.offspring], numbers.decimals_for(longest))
    sizes = numbers.column([one.size_bytes / 1e3 for one in run.offspring], 1)
    rows = [
        _offspring_row(run, one, size, time)
        for one, size, time in zip(run.offspring, sizes, seconds, strict=True)
    ]
    return Table(
        columns,
        rows,
        caption=f"{capital(run.metric)} on validation data.",
        summary=f"All {len(rows)} offspring" if len(rows) >= _FOLDED_FROM else "",
    )


def _offspring_row(run: Evolution, one: Offspring, size_kb: str, seconds: str) -> list[Cell]:
    birth = "–" if one.accuracy_at_birth is None else f"{one.accuracy_at_birth * 100:.2f}"
    best = one.id == run.best.id
    texts = [
        " × ".join(one.parents) or "–",
        birth,
        f"{one.accuracy * 100:.2f}",
        f"{one.params:,}",
        f"{one.macs:,}",
        size_kb,
        f"{one.synapses:,}",
        f"{one.clusters:,}",
        str(one.epochs),
        seconds,
    ]
    return [
        Cell(one.id, tone="strong" if best else ""),
        *map(Cell, texts),
        Cell(_fate(run, one), tone="" if one.selected or best else "quiet"),
    ]


def _fate(run: Evolution, one: Offspring) -> str:
    if one.id == run.best.id:
        return "best"
    if one.parent is None:
        return "ancestor"
    if one.rejected:
        return "rejected"
    return "selected" if one.selected else "not selected"


def _training(run: Evolution) -> Chart:
    """Accuracy by generation: born below, trained up; siblings stand side by side."""
    born, trained = _by_generation(run)
    chosen = {one.id for one in run.selected}
    stems = [(born[key], trained[key]) for key in born]
    beside = [key for key in trained if key not in chosen]
    series = [
        Series("", "faint", [born[key] for key in beside if key in born], "ring"),
        Series("other offspring", "faint", [trained[key] for key in beside]),
        Series("at birth", "child", [born[key] for key in born if key in chosen], "ring"),
        Series("after training", "child", [trained[one.id] for one in run.selected[1:]]),
        *_landmarks(run, lambda one: trained[one.id]),
    ]
    across = [mark.x for mark in trained.values()]
    accuracies = [mark.y for mark in (*born.values(), *trained.values())]
    return scatter(
        f"{capital(run.metric)} at birth and after training",
        Axis("Generation", WholeNumbers(min(across) - 0.5, max(across) + 0.5), whole),
        Axis(f"Validation {run.metric}", linear(accuracies, floor=0.0, ceiling=1.0), percents),
        [one for one in series if one.marks],
        stems=stems,
        note="At birth an offspring has only the weights that it inherited.",
    )


def _landmarks(run: Evolution, mark: Callable[[Offspring], Mark]) -> list[Series]:
    """The ancestor and the best offspring, drawn last and named."""
    named = [replace(mark(run.ancestor), label=run.ancestor.id)]
    series = [Series("ancestor", "parent", named, "square")]
    if run.best is not run.ancestor:
        named = [replace(mark(run.best), label=run.best.id)]
        series.append(Series("best", "child", named, "diamond"))
    return series


def _by_generation(run: Evolution) -> tuple[dict[str, Mark], dict[str, Mark]]:
    """Marks by id, at birth and trained; the selected ones stand in the middle."""
    chosen = {one.id for one in run.selected}
    crowds = Counter(one.generation for one in run.offspring)
    step = min(0.16, 0.8 / max(crowds.values()))
    turns: Counter[int] = Counter()
    born, trained = {}, {}
    for one in run.offspring:
        offset = 0.0
        if one.id not in chosen:
            turns[one.generation] += 1
            turn = turns[one.generation]
            offset = step * ((turn + 1) // 2) * (1 if turn % 2 else -1)
        x = one.generation + offset
        trained[one.id] = Mark(x, one.accuracy, f"{one.id}: {numbers.percent(one.accuracy)}")
        if one.accuracy_at_birth is not None:
            words = f"{one.id} at birth: {numbers.percent(one.accuracy_at_birth)}"
            born[one.id] = Mark(x, one.accuracy_at_birth, words)
    return born, trained


def _shrinking(run: Evolution) -> Chart:
    """How many times smaller than the ancestor each generation on the path is."""
    line = run.descent(run.best)
    quantities: list[tuple[str, Shape, Callable[[Offspring], int]]] = [
        ("synapses", "dot", lambda one: one.synapses),
        ("params", "square", lambda one: one.params),
        ("MACs", "diamond", lambda one: one.macs),
    ]
    series = []
    for name, shape, value in quantities:
        pairs = [(one, value(run.ancestor) / value(one)) for one in line if value(one) > 0]
        marks = [
            Mark(one.generation, ratio, f"{one.id}, {name}: {numbers.factor(ratio)}")
            for one, ratio in pairs
        ]
        if marks:
            last = marks[-1]
            marks[-1] = replace(last, label=f"{numbers.factor(last.y)} {name}")
            series.append(Series(name, "child", marks, shape, "straight"))
    ratios = [mark.y for one in series for mark in one.marks]
    across = WholeNumbers(line[0].generation - 0.3, line[-1].generation + 0.15)
    return scatter(
        "Reduction against the ancestor",
        Axis("Generation", across, whole),
        Axis("Times fewer (log)", logarithmic(ratios), times),
        series,
        ends_named=True,
        note=f"Along the line from the ancestor to {run.best.id}.",
    )


def _front(run: Evolution, key: str, name: str, cost: Callable[[Offspring], int]) -> Chart:
    """All offspring by `cost` and accuracy, the Pareto front, and what was selected."""
    points = [(float(cost(one)), one.accuracy) for one in run.offspring]
    front = [run.offspring[index] for index in pareto_front(points)]

    def mark(one: Offspring) -> Mark:
        words = f"{one.id}: {numbers.percent(one.accuracy)}, {numbers.count(cost(one))} {name}"
        return Mark(cost(one), one.accuracy, words)

    chosen = run.selected
    known = {one.id for one in chosen}
    beside = [mark(one) for one in run.offspring if one.id not in known]
    series = [
        Series("Pareto front", "front", [mark(one) for one in front], "none", "steps"),
        Series("other offspring", "faint", beside),
        Series("selected", "child", [mark(one) for one in chosen], "dot", "straight", dashed=True),
        *_landmarks(run, mark),
    ]
    return scatter(
        f"{capital(run.metric)} against {name}",
        Axis(f"{name[0].upper()}{name[1:]} (log)", logarithmic([x for x, _ in points]), counts),
        Axis(
            f"Validation {run.metric}", linear([y for _, y in points], floor=0, ceiling=1), percents
        ),
        [one for one in series if one.marks],
        guides=_required(run, key),
        note="On the front no offspring is both cheaper and more accurate.",
    )


def _required(run: Evolution, key: str) -> list[Guide]:
    """The requirements of the run that bound the x axis (`key`) or the accuracy."""
    guides = []
    for document in run.best.requirements:
        verdict = msgspec.convert(document, Verdict)
        if verdict.key == key:
            guides.append(Guide("x", verdict.limit, verdict.requirement))
        elif verdict.key == "accuracy":
            guides.append(Guide("y", verdict.limit, verdict.requirement))
        elif verdict.key == "accuracy_loss_points":
            limit = run.ancestor.accuracy - verdict.limit / 100
            guides.append(Guide("y", limit, verdict.requirement))
    return guides

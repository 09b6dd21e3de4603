"""The first screen: what the child needs and delivers beside its parent."""

from __future__ import annotations

from collections.abc import Callable

from edgesynth.report import numbers
from edgesynth.report.blocks import Block, Paragraph, Section, Tile, Tiles
from edgesynth.report.record import Accuracy, Cost
from edgesynth.report.subjects import Cast, Setting, Subject
from edgesynth.report.words import capital

_MOST_BOARDS = 5


def headline(cast: Cast) -> Section:
    """Tiles of accuracy, cost and measured figures; predicted ones in a row of their own."""
    known = [*_accuracy(cast), *_costs(cast)]
    for setting in cast.settings("measured"):
        known += _of_setting(cast, setting)
    blocks: list[Block] = [Paragraph(_sentence(cast), "lead"), Tiles(known)]
    boards = [_of_setting(cast, setting) for setting in cast.settings("predicted")]
    predicted = [tile for board in boards[:_MOST_BOARDS] for tile in board]
    if predicted:
        blocks.append(Tiles(predicted))
    return Section("result", "Result", blocks)


def accuracy_of(subject: Subject) -> tuple[float, str] | None:
    """The accuracy that counts most, and what it was measured on: a record's, else the run's."""
    for accuracy in _accuracies(subject):
        if accuracy.value is not None:
            return accuracy.value, accuracy.split or ""
    if subject.test_accuracy is not None:
        return subject.test_accuracy, "test"
    if subject.offspring is not None:
        return subject.offspring.accuracy, "validation"
    return None


def _accuracies(subject: Subject) -> list[Accuracy]:
    ordered = sorted(subject.findings, key=lambda f: f.record.kind != "measured")
    return [finding.record.accuracy for finding in ordered]


def _metric(subject: Subject) -> str:
    """What the accuracy of `subject` is."""
    known = [found.metric for found in _accuracies(subject) if found.value is not None]
    return known[0] if known else subject.metric


def _compared(cast: Cast) -> tuple[float, float, str] | None:
    """(parent's accuracy, child's accuracy, split), of one split; None where there is none."""
    if cast.parent is None:
        return None
    before, after = accuracy_of(cast.parent), accuracy_of(cast.child)
    if before and after and before[1] == after[1]:
        return before[0], after[0], after[1]
    if cast.parent.offspring and cast.child.offspring:
        return cast.parent.offspring.accuracy, cast.child.offspring.accuracy, "validation"
    return None


def _sentence(cast: Cast) -> str:
    child, parent = cast.child, cast.parent
    if parent is None:
        return "One network; there is nothing to compare it with."
    parts = []
    for quantity, before, after in (
        ("parameters", parent.cost.params, child.cost.params),
        ("MACs", parent.cost.macs, child.cost.macs),
    ):
        if before and after and before != after:
            parts.append(f"{numbers.change(before, after)} {quantity}")
    sentences = [" and ".join(parts)] if parts else []
    compared = _compared(cast)
    if compared is not None:
        lost = (compared[0] - compared[1]) * 100
        verb = "lost" if lost >= 0 else "gained"
        sentences.append(f"{abs(lost):.2f} points of {compared[2]} {_metric(cast.child)} {verb}")
    return f"{child.name} against {parent.name}: {'; '.join(sentences) or 'costs unknown'}."


def _accuracy(cast: Cast) -> list[Tile]:
    compared = _compared(cast)
    if compared is not None:
        before, after, split = compared
        old = (f"{before * 100:.2f}", before)
        new = (numbers.percent(after), after)
        return [Tile(capital(_metric(cast.child)), split, numbers.points(after - before), new, old)]
    alone = accuracy_of(cast.child)
    if alone is None:
        return []
    text = numbers.percent(alone[0])
    return [Tile(capital(_metric(cast.child)), alone[1], text, (text, alone[0]))]


def _costs(cast: Cast) -> list[Tile]:
    old, new = cast.parent.cost if cast.parent else Cost(), cast.child.cost
    count, size = numbers.count, numbers.size
    return [
        *_tile(("Parameters", ""), (old.params, new.params), count, ("fewer", "more")),
        *_tile(("MACs", "one inference"), (old.macs, new.macs), count, ("fewer", "more")),
        *_tile(("Size", "fp32"), (old.size_bytes, new.size_bytes), size, ("smaller", "larger")),
    ]


def _of_setting(cast: Cast, setting: Setting) -> list[Tile]:
    """Latency, and energy where there is one, of the child's record in `setting`."""
    old = cast.parent.finding(setting) if cast.parent else None
    new = cast.child.finding(setting)
    if new is None:
        return []
    model = new.record.model
    latency_detail = f"p50, {setting.precision}"
    energy_detail = f"per inference, {setting.precision}"
    if setting.kind == "predicted":
        latency_detail = f"{setting.precision}, {numbers.error(model.latency_error_percent)}"
        energy_detail = f"{setting.precision}, {numbers.error(model.energy_error_percent)}"
    before = old.record if old else None
    return [
        *_tile(
            (f"Latency, {setting.where}", latency_detail),
            (before.latency_ms.typical if before else None, new.record.latency_ms.typical),
            numbers.milliseconds,
            ("faster", "slower"),
            setting.kind,
        ),
        *_tile(
            (f"Energy, {setting.where}", energy_detail),
            (before.energy.gross_mj if before else None, new.record.energy.gross_mj),
            numbers.millijoules,
            ("less", "more"),
            setting.kind,
        ),
    ]


def _tile(
    title: tuple[str, str],
    values: tuple[float | None, float | None],
    write: Callable[[float], str],
    words: tuple[str, str],
    kind: str = "",
) -> list[Tile]:
    """The tile of (before, after) under (title, detail); none where the second is not known."""
    before, after = values
    if after is None:
        return []
    new = (write(after), after)
    if not before or not after:
        return [Tile(*title, new[0], new, kind=kind)]
    figure = numbers.change(before, after, *words)
    return [Tile(*title, figure, new, (write(before), before), kind)]

"""The tables of a reproduction."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from edgesynth.core.equal_accuracy import SAME_SIZE, is_larger
from edgesynth.core.reproduction import Spread, Summary
from edgesynth.report import numbers
from edgesynth.report.blocks import Block, Cell, Column, Table, Tone, plain_cells

_VERDICTS: dict[bool | None, tuple[str, Tone]] = {
    True: ("holds", "good"),
    False: ("fails", "bad"),
    None: ("not known", "quiet"),
}


def checks_table(checks: Sequence[Mapping[str, Any]]) -> Table:
    """What this project asks of itself, and what was found."""
    rows = [
        [Cell(_VERDICTS[each["holds"]][0], tone=_VERDICTS[each["holds"]][1]),
         Cell(each["claim"]), Cell(each["found"])]
        for each in checks
    ]  # fmt: skip
    columns = [Column("Verdict"), Column("Claim", prose=True), Column("Obtained", prose=True)]
    return Table(columns, rows, caption="What is asked of edgesynth here")


def claims_table(claims: Sequence[Mapping[str, Any]]) -> Table:
    """What the papers' abstracts state, on their networks and data."""
    rows = [
        plain_cells(each["title"], f"arXiv:{each['arxiv']}", each["network"], each["data"],
                    each["device"], each["claimed"], each["status"])
        for each in claims
    ]  # fmt: skip
    titles = ("Paper", "Source", "Network", "Data", "Device", "Claimed", "Here")
    columns = [Column(title, prose=title not in ("Source", "Network")) for title in titles]
    return Table(columns, rows, caption="What the papers claim")


def equal_accuracy_table(document: Mapping[str, Any]) -> Table:
    """How small each rival is at the same accuracy."""
    compared = document["equal_accuracy"]
    names = list(dict.fromkeys(name for each in compared for name in each["sizes"]))
    columns = [Column("Measure"), Column("Lost, pt", number=True)]
    columns += [Column(name, number=True) for name in names]
    columns.append(Column("edgesynth / best baseline", number=True))
    rows = []
    for each in compared:
        sizes = each["sizes"]
        cells = [Cell(each["measure"].replace("_", " ")), Cell(f"{each['lost_points']:g}")]
        for name in names:
            size = sizes.get(name)
            best = name in (each["ours"], each["baseline"])
            text = "–" if size is None else f"{size:,.0f}"
            cells.append(Cell(text, tone="strong" if best else ""))
        ratio = each["ratio"]
        tone: Tone = "" if ratio is None else "bad" if is_larger(ratio) else "good"
        rows.append([*cells, Cell("–" if ratio is None else f"{ratio:.2f}", tone=tone)])
    caption = (
        "Read off each rival's curve of size and mean test accuracy, straight over the logarithm "
        "of the size; nothing below the smallest network. At most 1 in the last column, to within "
        f"{100 * SAME_SIZE:g} %: edgesynth is at least as small as the best baseline."
    )
    return Table(columns, rows, caption=caption)


def generations_table(document: Mapping[str, Any], summaries: Sequence[Summary]) -> list[Block]:
    """Sizes and accuracy of every rival by generation, then latency and predictions."""
    titles = ("Synapses", "Clusters", "Dense", "MACs", "Bytes", "With index", "Born, %",
              "Trained, %", "Test, %", "min to max", "Lost, pt")  # fmt: skip
    columns = [Column("Rival"), Column("Generation", number=True)]
    columns += [Column(title, number=True) for title in titles]
    keys = ("synapses", "clusters", "params", "macs", "weight_bytes", "weight_bytes_with_index")
    rows = [
        [Cell(one.rival), Cell(str(one.generation)),
         *(Cell(numbers.factor(one.fewer[key].mean), tip=_range(one.fewer[key])) for key in keys),
         Cell("–" if one.accuracy_at_birth is None else f"{100 * one.accuracy_at_birth.mean:.2f}"),
         Cell(f"{100 * one.accuracy.mean:.2f}"), Cell(f"{100 * one.test_accuracy.mean:.2f}"),
         Cell(f"{100 * one.test_accuracy.low:.2f} to {100 * one.test_accuracy.high:.2f}"),
         Cell(f"{one.lost_points.mean:.2f}".replace("-", "−"))]
        for one in summaries
    ]  # fmt: skip
    caption = (
        "Times fewer than the ancestor; accuracy born and trained is that of validation data. Mean "
        "of the seeds."
    )
    return [Table(columns, rows, caption=caption), *_speed(document, summaries)]


def _range(values: Spread) -> str:
    return f"{values.low:.2f} to {values.high:.2f}"


def _speed(document: Mapping[str, Any], summaries: Sequence[Summary]) -> list[Block]:
    """Measured and predicted apart, never in one table."""
    measured = [
        plain_cells(one.rival, str(one.generation),
                    "–" if one.faster is None else numbers.factor(one.faster.mean),
                    "–" if one.faster is None else _range(one.faster))
        for one in summaries
    ]  # fmt: skip
    columns = [Column("Rival"), *(Column(title, number=True) for title in
               ("Generation", "Faster than the ancestor", "min to max"))]  # fmt: skip
    boards = sorted({board for row in document["rows"] for board in row.get("predicted", {})})
    cells = [_predicted(document["rows"], one, boards) for one in summaries]
    titles = [t for board in boards for t in (f"{board} latency", f"{board} inferences/J")]
    heads = [Column("Rival"), *(Column(title, number=True) for title in ("Generation", *titles))]
    gaps = {b: why for row in document["rows"] for b, why in row.get("not_predicted", {}).items()}
    caption = (
        "Roofline at fp16 of the dense layers, to which single dead synapses make no difference."
    )
    return [
        Table(columns, measured, kind="measured", summary="Latency here",
              caption="p50 of ONNX Runtime, one thread, batch 1, in turns with the ancestor."),
        Table(heads, cells, kind="predicted", summary="Latency and energy on boards",
              caption=" ".join([caption, *(f"{b}: {why}." for b, why in gaps.items())])),
    ]  # fmt: skip


def _predicted(
    rows: Sequence[Mapping[str, Any]], one: Summary, boards: Sequence[str]
) -> list[Cell]:
    mine = [r for r in rows if (r["rival"], r["generation"]) == (one.rival, one.generation)]
    texts = []
    for board in boards:
        values = [row["predicted"][board]["fp16"] for row in mine]
        texts.append(numbers.milliseconds(statistics.mean(v["latency_mean_ms"] for v in values)))
        joules = [v["inferences_per_joule"] for v in values if "inferences_per_joule" in v]
        texts.append(f"{statistics.mean(joules):,.0f}" if joules else "–")
    return plain_cells(one.rival, str(one.generation), *texts)


def factors_table(document: Mapping[str, Any]) -> Table:
    """{fp32, fp16} x {ancestor, child}."""
    factors = document["factors"]
    boards = list(factors[0]["predicted_latency_ms"])
    rows = [
        plain_cells(each["network"], f"g{each['generation']:02d}", each["engine_precision"],
                    numbers.percent(each["test_accuracy"]),
                    *(numbers.milliseconds(each["predicted_latency_ms"][b]) for b in boards))
        for each in factors
    ]  # fmt: skip
    columns = [Column(t) for t in ("Network", "Generation", "Engine")]
    columns += [Column(t, number=True) for t in ("Test accuracy", *boards)]
    return Table(columns, rows, caption="What precision gives and what structure gives.",
                 kind="predicted")  # fmt: skip

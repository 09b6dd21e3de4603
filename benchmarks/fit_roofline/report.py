"""The fit's errors as the text that is printed and stored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

#: What the project set out to reach, with networks held out: (quantity, board) -> percent.
GOALS = {
    ("latency", "tx1"): 20,
    ("latency", "nano"): 20,
    ("latency", "tx2"): 20,
    ("energy", "tx2"): 25,
}
_HEAD = (
    f"{'board':11} {'precision':9} {'source':24} {'rows':>4} {'networks':>8} "
    f"{'fitted':>8} {'network out':>12} {'family out':>11}"
)


def text_of(results: dict[str, Any]) -> str:
    """Everything that the fit has to say about itself."""
    sections = [
        "Mean absolute percentage errors. fitted: on the rows of the fit. network out: on rows of"
        "\na network held out of the fit on all boards. family out: its whole family held out.",
        _errors("Latency of one batch in TensorRT", results["latency"]),
        _errors("Energy per inference, from predicted latency", results["energy"]),
        _errors(
            "Energy per inference, from published latency", results["energy_from_published_latency"]
        ),
        _goals(results),
        _boards(results["boards_held_out"]),
        _frameworks(results["frameworks"]),
    ]
    return "\n\n".join(sections)


def _errors(title: str, errors: Sequence[dict[str, Any]]) -> str:
    lines = [title, _HEAD]
    for e in errors:
        same = [o for o in errors if (o["board"], o["precision"]) == (e["board"], e["precision"])]
        if e["source"] == "all" and len(same) == 2:
            continue  # the line of its only source says the same
        facts = f"{e['board']:11} {e['precision']:9} {e['source']:24} {e['rows']:4}"
        figures = f"{e['fitted_percent']:7.1f}% {e['network_held_out_percent']:11.1f}%"
        lines.append(f"{facts} {e['networks']:8} {figures} {e['family_held_out_percent']:10.1f}%")
    return "\n".join(lines)


def _goals(results: dict[str, Any]) -> str:
    lines = ["Goals, with networks held out"]
    for (quantity, board), goal in GOALS.items():
        for error in results[quantity]:
            if (error["board"], error["source"]) == (board, "all"):
                found = error["network_held_out_percent"]
                verdict = "reached" if found <= goal else "MISSED"
                facts = f"{quantity:8} {board:5} {error['precision']}"
                lines.append(f"{facts}  {found:5.1f}% of {goal}%  {verdict}")
    return "\n".join(lines)


def _boards(boards: Sequence[dict[str, Any]]) -> str:
    lines = ["Latency with all rows of a board held out, its architecture known from another"]
    for b in boards:
        known = " and ".join(b["known_from"])
        facts = f"{b['board']:11} {b['precision']:9} {b['rows']:4} rows"
        lines.append(f"{facts} {b['percent']:6.1f}%  from {known}")
    return "\n".join(lines)


def _frameworks(frameworks: Sequence[dict[str, Any]]) -> str:
    lines = [
        "TX1 in Caffe, not fitted: slower than the prediction, which is for TensorRT, by a common"
        "\nfactor; and the mean error after it. Nearly the same factor at both clocks: the model"
        "\nscales with frequency."
    ]
    for f in frameworks:
        lines.append(
            f"{f['framework']:18} {f['precision']}  {f['power_mode']:7} {f['rows']:3} rows  "
            f"factor {f['factor']:5.2f}  {f['percent']:5.1f}%"
        )
    return "\n".join(lines)

"""A power trace drawn by matplotlib, as SVG or PNG."""

from __future__ import annotations

import io
from typing import Any

_SIZE_IN = (9.0, 4.2)
_BOARD_COLOUR = "#1f2933"


def draw(document: dict[str, Any], trace: dict[str, Any], form: str) -> bytes:
    """The board's and the rails' power over time, and the GPU's load, as `svg` or `png` bytes.

    The same document and trace give the same bytes.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    load = trace["gpu_load_percent"]
    with mpl.rc_context({"svg.hashsalt": "edgesynth", "font.size": 9}):
        figure = Figure(figsize=_SIZE_IN, layout="constrained")
        axes = figure.subplots(
            2 if load else 1,
            1,
            sharex=True,
            squeeze=False,
            gridspec_kw={"height_ratios": [4, 1] if load else [1]},
        )[:, 0]
        _draw_power(axes[0], document, trace)
        if load:
            axes[1].fill_between(trace["time_s"], _gapped(load), step="post", color="#7b8794", lw=0)
            axes[1].set(ylabel="GPU busy (%)", ylim=(0, 100))
            axes[1].spines[["top", "right"]].set_visible(False)
        axes[-1].set_xlabel(f"time (s), {_time_source(document)}")
        figure.align_ylabels()
        stream = io.BytesIO()
        figure.savefig(
            stream, format=form, dpi=150, metadata={"Date": None} if form == "svg" else {}
        )
    return stream.getvalue()


def _draw_power(axes: Any, document: dict[str, Any], trace: dict[str, Any]) -> None:
    times_s = trace["time_s"]
    marker = "." if len(times_s) == 1 else None  # a line of one point cannot be seen
    total = document["module"]["total"] or []
    if trace["board_mw"] is not None:
        label = "board" + (" = " + total[0] if len(total) == 1 else "")
        watts = _gapped(trace["board_mw"], 1e-3)
        axes.plot(times_s, watts, color=_BOARD_COLOUR, lw=1.8, marker=marker, label=_plain(label))
    for name, values in trace["rails_mw"].items():
        if [name] != total:
            watts = _gapped(values, 1e-3)
            axes.plot(times_s, watts, lw=1.0, alpha=0.9, marker=marker, label=_plain(name))
    axes.set(ylabel="power (W)", title=_plain(_title(document)))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    low, _ = axes.get_ylim()
    axes.set_ylim(bottom=min(low, 0.0))


def _title(document: dict[str, Any]) -> str:
    title = document["module"]["title"] or "unknown module"
    figures = document["board_power_mw"]
    power = f", mean {figures['mean'] / 1e3:.3f} W" if figures else ""
    kind = "" if document["kind"] == "log" else f" ({document['kind']})"
    return f"{title}{power}{kind}"


def _time_source(document: dict[str, Any]) -> str:
    time = document["time"]
    if time["source"] == "assumed":
        return f"assumed: one line every {time['period_s']:g} s"
    return {"arrival": "stamped on arrival", "prefix": "from the stamps before the lines"}.get(
        time["source"], "from tegrastats' stamps"
    )


def _gapped(values: list[float | None], scale: float = 1.0) -> list[float]:
    """NaN for a missing value, where matplotlib breaks the line."""
    return [float("nan") if value is None else value * scale for value in values]


def _plain(text: str) -> str:
    """Text that matplotlib does not read as mathematics."""
    return text.replace("$", r"\$")

"""Options of the commands that measure, and how they become a plan."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from edgesynth.workflows.measuring import MeasuringPlan

F = TypeVar("F", bound=Callable[..., Any])
_BACKENDS = ["auto", "onnxruntime", "tensorrt"]
_POWER = ["auto", "tegrastats", "ina3221", "nvml", "rapl", "none"]


def _percentiles(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[float, ...]:
    """`75,99.9`, as trtexec writes them."""
    try:
        percents = tuple(float(part) for part in value.split(",")) if value else ()
    except ValueError:
        message = f'"{value}" is not a list of percentiles such as 75,99.9'
        raise click.BadParameter(message, ctx, param) from None
    if not all(0 < percent < 100 for percent in percents):
        raise click.BadParameter(f'one of "{value}" is not between 0 and 100', ctx, param)
    return percents


def _share(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """`2%` or `0.02`."""
    if value is None:
        return None
    try:
        share = float(value[:-1]) / 100 if value.endswith("%") else float(value)
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise click.BadParameter(f'"{value}" is no share such as 2% or 0.02', ctx, param)
    return share


def engine_options(command: F) -> F:
    """Add the options of TensorRT engines; the command receives them as `engine`."""

    @click.option(
        "--precision",
        type=click.Choice(["fp32", "fp16", "int8"]),
        default="fp32",
        show_default=True,
        help="What layers of an engine may compute in.",
    )
    @click.option(
        "--workspace",
        type=click.IntRange(1, 1 << 20),
        default=256,
        show_default=True,
        metavar="MIB",
        help="Scratch memory of an engine's layer.",
    )
    @click.option("--plugins", metavar="FILE", help="Library of plugins for an engine.")
    @click.option(
        "--operators",
        type=click.Choice(["auto", "all", "none"]),
        default="auto",
        show_default=True,
        help="Layers that plugins compute: those that are faster so here, all that can be, none.",
    )
    @click.option("--cache", metavar="FOLDER", help="Where engines are kept.")
    @click.option("--spin", is_flag=True, help="Wait for the GPU in a busy loop.")
    @functools.wraps(command)
    def wrapped(*args: Any, **options: Any) -> Any:
        from edgesynth.workflows.backends import EnginePlan

        engine = EnginePlan(
            precision=options.pop("precision"),
            workspace_mib=options.pop("workspace"),
            plugins=options.pop("plugins"),
            cache=options.pop("cache"),
            spin=options.pop("spin"),
            operators=options.pop("operators"),
        )
        return command(*args, engine=engine, **options)

    return wrapped  # type: ignore[return-value]


def measuring_options(command: F) -> F:
    """Add the measuring options; the command receives them as `plan`, a `MeasuringPlan`."""

    @click.option(
        "--backend",
        type=click.Choice(_BACKENDS),
        default="auto",
        show_default=True,
        help="What runs the bundle; auto is onnxruntime, or on a board TensorRT where it has it.",
    )
    @click.option(
        "--duration",
        type=click.FloatRange(0, 3600),
        default=3.0,
        show_default=True,
        help="Seconds of measuring for each bundle, at least.",
    )
    @click.option(
        "--warm-up",
        type=click.FloatRange(0, 3.6e6),
        default=200.0,
        show_default=True,
        help="Milliseconds of running before measuring, at least.",
    )
    @click.option(
        "--iterations",
        type=click.IntRange(10),
        default=10,
        show_default=True,
        help="Measured inferences of each bundle, at least.",
    )
    @click.option(
        "--threads",
        type=click.IntRange(0, 1024),
        default=1,
        show_default=True,
        help="For one inference; 0 is every core.",
    )
    @click.option("--batch", type=click.IntRange(1), help="For a dynamic batch; 1 otherwise.")
    @click.option(
        "--percentile", callback=_percentiles, metavar="P,P,...", help="Besides 90,95,99."
    )
    @click.option(
        "--power",
        type=click.Choice(_POWER),
        default="auto",
        show_default=True,
        help="Where energy is read; none leaves it out.",
    )
    @click.option(
        "--idle",
        type=click.FloatRange(0, 3600),
        metavar="S",
        help="Measure idle power first.  [default: 10 with a named --power, else 0]",
    )
    @click.option(
        "--until-ci",
        callback=_share,
        metavar="2%",
        help="Measure until the energy's 95 % interval is this narrow.",
    )
    @click.option("--lock-clocks", is_flag=True, help="Hold the clocks with jetson_clocks (root).")
    @engine_options
    @click.option("--data", help="Measure accuracy on the test split of this data set.")
    @functools.wraps(command)
    def wrapped(*args: Any, **options: Any) -> Any:
        return command(*args, plan=_plan(options), **options)

    return wrapped  # type: ignore[return-value]  # fmt: skip


def _plan(options: dict[str, Any]) -> MeasuringPlan:
    """Take the measuring options out of `options`."""
    from edgesynth.workflows.measuring import MeasuringPlan

    return MeasuringPlan(
        warm_up_ms=options.pop("warm_up"),
        duration_s=options.pop("duration"),
        iterations=options.pop("iterations"),
        threads=options.pop("threads"),
        batch=options.pop("batch"),
        percentiles=options.pop("percentile"),
        seed=options.pop("seed"),
        backend=options.pop("backend"),
        engine=options.pop("engine"),
        power=options.pop("power"),
        idle_s=options.pop("idle"),
        until_ci=options.pop("until_ci"),
        lock_clocks=options.pop("lock_clocks"),
        data=options.pop("data"),
    )

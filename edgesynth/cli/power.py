"""`edgesynth power`."""

from __future__ import annotations

from pathlib import Path

import click

from edgesynth.cli.common import Output, output_options

_COMMAND = "edgesynth.power.command"


class _LogOrCommand(click.Command):
    """Keeps what follows `--` apart, for it is somebody else's command line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own, dash, command = args, "", []
        if "--" in args:
            place = args.index("--")
            own, dash, command = args[:place], "--", args[place + 1 :]
        ctx.meta[_COMMAND] = command if dash else None
        return super().parse_args(ctx, own)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return ["[OPTIONS]", "LOG | -- COMMAND..."]


@click.command("power", cls=_LogOrCommand)
@click.argument("log", required=False)
@click.option("--module", help="The board, where its rails do not tell: tx1, nano, tx2, ...")
@click.option(
    "--interval",
    "interval_ms",
    type=click.FloatRange(1, 3_600_000),
    help="Milliseconds: assumed of a log without times (1000), asked of tegrastats (100).",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Also draw it: FILE.svg, .png, .html or .json."
)
@output_options
@click.pass_context
def command(
    context: click.Context,
    log: str | None,
    module: str | None,
    interval_ms: float | None,
    out: Path | None,
    output: Output,
) -> int:
    """Power and energy of a tegrastats LOG ("-": standard input), or while COMMAND runs.

    Board power follows the module's own rule: which rail is the total, or which ones add up.
    COMMAND's standard output goes to stderr. Ends with 1 when COMMAND fails, with 5 when it is too
    short to measure.

    \b
    Example:
      edgesynth power tegrastats.txt --out power.html
      edgesynth power -- python3 infer.py
    """
    from edgesynth.core.errors import CheckError, MeasurementError, UserError
    from edgesynth.device.power_text import show_power
    from edgesynth.workflows.power import form_of, power_of_command, power_of_log, save_power

    arguments = context.meta[_COMMAND]
    if (log is None) == (not arguments):
        raise UserError("name one of: a tegrastats LOG, or -- and a COMMAND to run")
    if out is not None:
        form_of(out)  # a wrong ending is told before anything runs
    if log is not None:
        power = power_of_log(log, module=module, interval_ms=interval_ms)
    else:
        power = power_of_command(arguments, module=module, interval_ms=interval_ms)
    if out is not None:
        save_power(power, out)
    document, trace = power
    output.result(document, lambda console: show_power(document, trace, console))
    if document["validity"]:
        return MeasurementError.exit_code
    return CheckError.exit_code if (document["command"] or {}).get("exit_status") else 0

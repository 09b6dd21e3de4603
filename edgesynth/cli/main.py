"""`edgesynth`: finds the command's file, runs it, turns errors into one line and an exit code."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback

import click

from edgesynth_rt import __version__

COMMANDS = [
    "demo",
    "train",
    "evolve",
    "generate",
    "adapt",
    "export",
    "check",
    "build",
    "bench",
    "power",
    "predict",
    "deploy",
    "report",
    "compare",
    "reproduce",
    "inspect",
    "doctor",
]

EXIT_CODES = """\b
Exit codes: 0 done; 1 a check or requirement does not hold; 2 wrong usage or bad input;
3 device unreachable; 4 something is missing (the message says how to get it);
5 the measurement is invalid; 130 interrupted."""


class _CommandPerFile(click.Group):
    """Loads `edgesynth.cli.NAME` when the command NAME is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"edgesynth.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each with its whole first sentence, which click would cut to a line."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._summary(ctx, name)) for name in COMMANDS])

    def _summary(self, ctx: click.Context, name: str) -> str:
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=200) if command else ""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        from edgesynth.core.errors import nearest

        if args and not args[0].startswith("-") and args[0] not in COMMANDS:
            ctx.fail(f'no command "{args[0]}"; {nearest(args[0], list(COMMANDS))}')
        return super().resolve_command(ctx, args)


@click.group(
    cls=_CommandPerFile,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="edgesynth")
def cli() -> None:
    """Makes a trained network meet an operational requirement on a Jetson, and proves it."""


def main() -> None:
    """Entry point of the `edgesynth` command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    from edgesynth_rt.errors import EdgesynthError

    try:
        return _run_command(arguments)
    except EdgesynthError as error:
        if {"-v", "--verbose"}.intersection(arguments):
            traceback.print_exc()
        return _fail(arguments, str(error), error.exit_code)
    except click.ClickException as error:
        if "--json" in arguments:
            return _fail(arguments, error.format_message(), 2)
        error.show()
        return 2
    except (KeyboardInterrupt, click.Abort):
        return _fail(arguments, "interrupted; what was finished is kept", 130)
    except MemoryError:
        return _fail(arguments, "out of memory; use a smaller --batch or network", 2)
    except OSError as error:  # what no workflow explains better
        place = f"{error.filename}: " if error.filename else ""
        return _fail(arguments, f"{place}{error.strerror or error}", 2)


def _run_command(arguments: list[str]) -> int:
    """The command's own exit code; 0 when the reader of its output went away, as `head` does."""
    try:
        result = cli.main(arguments, prog_name="edgesynth", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as ending:  # click and rich end with 1 when a pipe is closed
        return ending.code if isinstance(ending.code, int) and ending.code != 1 else 0
    return result if isinstance(result, int) else 0


def _fail(arguments: list[str], message: str, code: int) -> int:
    print(f"edgesynth: {message}", file=sys.stderr)
    if "--json" in arguments:
        print(json.dumps({"schema": "edgesynth.error/1", "error": message, "exit_code": code}))
    return code


if __name__ == "__main__":
    main()

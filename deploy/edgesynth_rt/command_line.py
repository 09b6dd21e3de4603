"""The runtime's own command line on a board (Python 3.6).

One JSON document on standard output, also for an error; talk on standard error. Exit codes are
those of `edgesynth`: 0 done, 1 a check does not hold, 2 wrong usage or bad input, 4 something is
missing, 5 the measurement is invalid, 130 interrupted.
"""

import argparse
import json
import os
import sys

from edgesynth_rt import __version__, board_commands
from edgesynth_rt.engine_build import PRECISIONS, WORKSPACE_MIB
from edgesynth_rt.errors import EdgesynthError, UserError
from edgesynth_rt.operator_choice import MODES
from edgesynth_rt.powered import SOURCES

_INTERRUPTED = 130


def main(arguments):
    """Run one command line; returns the exit code."""
    try:
        options = _parser().parse_args(arguments)
        _print(options.run(options, say))
        return 0
    except EdgesynthError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted; what was finished is kept", _INTERRUPTED)
    except MemoryError:
        return _fail("out of memory; use a smaller --batch or --workspace", UserError.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def say(line):
    """One line of talk."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _print(document):
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
    sys.stdout.flush()


def _fail(message, code):
    say("edgesynth_rt: %s" % message)
    _print({"schema": "edgesynth.error/1", "error": message, "exit_code": code})
    return code


class _Parser(argparse.ArgumentParser):
    """Tells wrong usage as every other error is told."""

    def error(self, message):
        raise UserError("%s; see `%s --help`" % (message, self.prog))


def _parser():
    parser = _Parser(prog="edgesynth_rt.pyz", description="Bundles of edgesynth on a board.")
    parser.add_argument("--version", action="version", version="edgesynth_rt " + __version__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    commands.required = True
    probe = _command(commands, "probe", "what this board is and has", board_commands.probe)
    probe.add_argument("--root", default="/", help="where sysfs is, such as a copied tree")
    verify = _command(
        commands, "verify", "check a bundle's files and numbers", board_commands.verify
    )
    _bundle(verify)
    _backend(verify, ("auto", "onnxruntime", "tensorrt", "none"))
    build = _command(commands, "build", "build, verify and cache the engines", board_commands.build)
    _bundle(build)
    _engine(build)
    build.add_argument("--force", action="store_true", help="also where the cache has them")
    run = _command(
        commands, "run", "compute the outputs of inputs in an .npz file", board_commands.run
    )
    _bundle(run)
    _backend(run, ("auto", "onnxruntime", "tensorrt"))
    run.add_argument("--inputs", required=True, metavar="FILE", help="arrays by tensor name")
    run.add_argument("--out", required=True, metavar="FILE", help="where outputs go, an .npz file")
    _bench(_command(commands, "bench", "measure a bundle", board_commands.bench))
    power = _command(commands, "power", "power of the rails for some seconds", board_commands.power)
    power.add_argument("--duration", type=_number(0.1, 86400), default=10.0, help="seconds")
    power.add_argument("--power", choices=SOURCES[:-1], default="auto")
    return parser


def _command(commands, name, text, run):
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    return command


def _bundle(command):
    command.add_argument("bundle", metavar="BUNDLE", help="folder or .tar file")


def _backend(command, choices):
    command.add_argument("--backend", choices=choices, default="auto")
    _engine(command)


def _engine(command):
    command.add_argument("--precision", choices=PRECISIONS, default="fp32")
    command.add_argument(
        "--workspace", type=_whole(1, 1 << 20), default=WORKSPACE_MIB, metavar="MIB"
    )
    command.add_argument("--batch", type=_whole(1, 1 << 20), help="for a dynamic batch")
    command.add_argument("--plugins", metavar="FILE", help="library of plugins")
    command.add_argument(
        "--operators",
        choices=MODES,
        default="auto",
        help="which layers plugins compute: what is faster here, all that can be, or none",
    )
    command.add_argument("--cache", metavar="FOLDER", help="where engines are kept")
    command.add_argument("--spin", action="store_true", help="wait for the GPU in a busy loop")
    command.add_argument(
        "--mapped", action="store_true", help="let the GPU use the host's memory, without copies"
    )


def _bench(command):
    _bundle(command)
    _backend(command, ("auto", "onnxruntime", "tensorrt"))
    command.add_argument("--warm-up", type=_number(0, 3.6e6), default=200.0, metavar="MS")
    command.add_argument("--duration", type=_number(0, 86400), default=3.0, metavar="S")
    command.add_argument("--iterations", type=_whole(10, 1 << 40), default=10)
    command.add_argument("--percentile", type=_percentiles, default=(), metavar="P,P,...")
    command.add_argument("--threads", type=_whole(0, 1024), default=1, help="of onnxruntime")
    command.add_argument("--power", choices=SOURCES, default="auto")
    command.add_argument("--idle", type=_number(0, 3600), metavar="S", help="idle power first")
    command.add_argument("--until-ci", type=_share, metavar="2%", help="of energy, to run until")
    command.add_argument("--lock-clocks", action="store_true", help="with jetson_clocks, as root")
    command.add_argument("--data", metavar="FILE", help="images and labels, an .npz file")
    command.add_argument("--data-name", default="pushed", help="what the record calls the data")
    command.add_argument("--out", metavar="FILE", help="record to write, latencies beside it")


def _whole(least, most):
    return _range(int, "a whole number", least, most)


def _number(least, most):
    return _range(float, "a number", least, most)


def _range(kind, name, least, most):
    def convert(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(
                "%s is not %s from %s to %s" % (text, name, least, most)
            )
        return value

    return convert


def _percentiles(text):
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if not values or not all(0 < value < 100 for value in values):
        raise argparse.ArgumentTypeError("%s is no list of percentiles such as 75,99.9" % text)
    return values


def _share(text):
    try:
        value = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError("%s is no share such as 2%% or 0.02" % text)
    return value

"""What each kernel costs on the boards, from NVIDIA's compilers and without a GPU; a gate.

    python kernels/kernel_resources.py build/kernels/host [--json]

Which kernels there are is read from the objects of that emulated build: what a launcher
instantiates is what ships. NVRTC makes PTX of them, ptxas a cubin for every architecture, and its
report is held against `kernels/OPERATOR/resources.toml`. Exit code 1 when a kernel spills, needs
more than its budget, or could not be launched at all.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nvrtc import Nvrtc

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KERNELS = Path(__file__).resolve().parent
_WARP = 32
_REGISTER_UNIT = 256  # registers are handed to a warp in units of this many
_SHARED_UNIT = 256


@dataclass(frozen=True)
class Multiprocessor:
    """Limits of one SM. CUDA C++ Programming Guide, Technical Specifications per Compute Capability
    (12.x, appendix); the sizes of shared memory in bytes."""

    registers: int
    registers_per_block: int
    shared: int
    warps: int
    blocks: int
    shared_per_block: int = 48 << 10


ARCHITECTURES = {
    53: Multiprocessor(65536, 32768, 64 << 10, 64, 32),
    62: Multiprocessor(65536, 32768, 64 << 10, 64, 32),
    72: Multiprocessor(65536, 65536, 96 << 10, 64, 32),
    87: Multiprocessor(65536, 65536, 164 << 10, 48, 16),
}
BUDGETED = (53, 62)  # the boards whose two SMs the budgets are made for


@dataclass(frozen=True)
class Report:
    """One kernel on one architecture."""

    operator: str
    kernel: str
    architecture: int
    threads: int
    """Of the largest block, from `__launch_bounds__`; 0 where a kernel has none."""
    registers: int
    spilled_bytes: int
    stack_bytes: int
    static_shared_bytes: int
    dynamic_shared_bytes: int
    blocks_per_sm: int
    warps_per_sm: int
    """Resident at once, with blocks of `threads`."""


def launched_kernels(objects: Iterable[Path]) -> list[str]:
    """The qualified names, with template arguments, of all kernels that `objects` hold."""
    names: set[str] = set()
    for path in objects:
        symbols = subprocess.run(  # noqa: S603
            ["nm", "--demangle", "--defined-only", str(path)],  # noqa: S607
            check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        for line in symbols.splitlines():
            _, kind, symbol = line.split(maxsplit=2) if line[0] != " " else ("", "", "")
            name = _name_of(symbol)
            if kind in "TWt" and re.search(r"Kernel(<|$)", name):
                names.add(name)
    return sorted(names)


def _name_of(symbol: str) -> str:
    """`void a::B<(c)1>(int)` -> `a::B<(c)1>`: up to the first parenthesis outside of <>."""
    depth = 0
    for at, character in enumerate(symbol):
        depth += (character == "<") - (character == ">")
        if character == "(" and depth == 0:
            return symbol[:at].removeprefix("void ")
    return symbol


def occupancy(sm: Multiprocessor, threads: int, registers: int, shared: int) -> int:
    """Blocks that are resident on one SM at once; 0 when a single one cannot be launched."""
    warps = -(-threads // _WARP)
    per_warp = -(-max(registers, 1) * _WARP // _REGISTER_UNIT) * _REGISTER_UNIT
    shared = -(-shared // _SHARED_UNIT) * _SHARED_UNIT
    if per_warp * warps > sm.registers_per_block or shared > sm.shared_per_block:
        return 0
    # Four schedulers share the registers evenly, so warps fit in multiples of four.
    fitting_warps = sm.registers // per_warp // 4 * 4
    by_shared = sm.shared // shared if shared else sm.blocks
    return min(sm.blocks, sm.warps // warps, fitting_warps // warps, by_shared)


_ENTRY = re.compile(r"Compiling entry function '(\w+)' for 'sm_(\d+)'")
_STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers")
_SHARED = re.compile(r"(\d+) bytes smem")


def parse_ptxas(text: str) -> Iterator[tuple[str, dict[str, int]]]:
    """(mangled name, figures) for every entry function in what `ptxas -v` said."""
    parts = _ENTRY.split(text)[1:]
    for name, _, report in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        stack, used, shared = _STACK.search(report), _USED.search(report), _SHARED.search(report)
        if stack is None or used is None:
            raise ValueError(f"ptxas reports nothing usable on {name}: {report!r}")
        yield (
            name,
            {
                "registers": int(used.group(1)),
                "stack": int(stack.group(1)),
                "spilled": int(stack.group(2)) + int(stack.group(3)),
                "shared": int(shared.group(1)) if shared else 0,
            },
        )


def _launch_bounds(ptx: str) -> dict[str, int]:
    """Mangled name -> threads of the largest block, for the kernels that state it."""
    found = re.findall(r"\.entry (\w+)\([^{]*?\.maxntid (\d+)(?:, (\d+))?(?:, (\d+))?", ptx)
    return {name: int(x) * int(y or 1) * int(z or 1) for name, x, y, z in found}


def report(operator: str, build: Path, tools: Path) -> list[Report]:
    """Compile the kernels of `operator` for every architecture.

    Raises:
        RuntimeError: a compiler refuses them; the message is the compiler's.
    """
    objects = (build / operator / "CMakeFiles" / f"es_{operator}.dir").glob("*.o")
    names = launched_kernels(objects)
    if not names:
        raise RuntimeError(f"{build} holds no kernel of {operator}; build it first: make kernels")
    budgets = load_budgets(operator)
    nvrtc = Nvrtc(tools)
    reports = []
    for architecture, sm in ARCHITECTURES.items():
        header = f"{operator}/{operator}.cuh"
        ptx, mangled = nvrtc.compile(header, names, architecture, [KERNELS])
        bounds = _launch_bounds(ptx)
        for entry, figures in parse_ptxas(nvrtc.ptxas(ptx, architecture)):
            name, threads = mangled[entry], bounds.get(entry, 0)
            dynamic = int(budgets.get(_plain(name), {}).get("dynamic_shared_bytes", 0))
            shared = figures["shared"] + dynamic
            blocks = occupancy(sm, threads or 1024, figures["registers"], shared)
            reports.append(
                Report(
                    operator=operator,
                    kernel=name.removeprefix("edgesynth::"),
                    architecture=architecture,
                    threads=threads,
                    registers=figures["registers"],
                    spilled_bytes=figures["spilled"],
                    stack_bytes=figures["stack"],
                    static_shared_bytes=figures["shared"],
                    dynamic_shared_bytes=dynamic,
                    blocks_per_sm=blocks,
                    warps_per_sm=blocks * -(-threads // _WARP),
                )
            )
    return reports


def _plain(name: str) -> str:
    """`edgesynth::Kernel<float>` -> `Kernel`."""
    return name.split("<", maxsplit=1)[0].rsplit("::", 1)[-1]


def load_budgets(operator: str) -> dict[str, dict[str, Any]]:
    """Kernel -> budget, from resources.toml of the operator."""
    with (KERNELS / operator / "resources.toml").open("rb") as stream:
        return tomllib.load(stream)


def violations(one: Report, budgets: dict[str, dict[str, Any]]) -> list[str]:
    """What is wrong with this kernel, one line each."""
    budget = budgets.get(_plain(one.kernel))
    found = []
    if one.threads == 0:
        found.append("has no __launch_bounds__, so nothing is known about its blocks")
    if one.spilled_bytes or one.stack_bytes:
        found.append(f"spills {one.spilled_bytes} bytes, stack frame {one.stack_bytes} bytes")
    if one.blocks_per_sm == 0:
        found.append("cannot be launched: its block needs more registers or shared memory than is")
    if budget is None:
        found.append(f"has no budget in kernels/{one.operator}/resources.toml")
    elif one.architecture in BUDGETED:
        if one.registers > budget["registers"]:
            found.append(f"uses {one.registers} registers, budget {budget['registers']}")
        if one.warps_per_sm < budget["warps_per_sm"]:
            found.append(f"has {one.warps_per_sm} warps per SM, budget {budget['warps_per_sm']}")
    return [f"{one.kernel} on sm_{one.architecture} {text}" for text in found]


def operators() -> list[str]:
    """The folders below kernels/ that hold an operator."""
    return sorted(path.parent.name for path in KERNELS.glob("*/resources.toml"))


def _table(reports: list[Report]) -> str:
    columns = ("kernel", "sm", "threads", "regs", "spill", "shared", "blocks/SM", "warps/SM")
    rows = [
        (one.kernel, one.architecture, one.threads, one.registers, one.spilled_bytes,
         one.static_shared_bytes + one.dynamic_shared_bytes, one.blocks_per_sm, one.warps_per_sm)
        for one in reports
    ]  # fmt: skip
    width = max(len(str(row[0])) for row in rows) + 2
    lines = [columns, *rows]
    return "\n".join(
        str(line[0]).ljust(width) + "".join(str(cell).rjust(11) for cell in line[1:])
        for line in lines
    )


def main(words: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=Path)
    parser.add_argument("--tools", type=Path, default=KERNELS.parent / "build" / "kernel-tools")
    parser.add_argument("--operator", action="append", help="default: all")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args(words)
    reports, wrong = [], []
    for operator in arguments.operator or operators():
        some = report(operator, arguments.build, arguments.tools)
        budgets = load_budgets(operator)
        reports += some
        wrong += [line for one in some for line in violations(one, budgets)]
    print(json.dumps([asdict(one) for one in reports], indent=1) if arguments.json
          else _table(reports))  # fmt: skip
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

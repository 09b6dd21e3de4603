"""NVIDIA's compilers on every kernel: it compiles for the boards, spills nothing, and fits."""

from __future__ import annotations

from pathlib import Path

import pytest

import kernel_resources as resources
from kernel_builds import KERNELS, OPERATORS, build, run, tools

pytestmark = pytest.mark.timeout(1200)  # NVIDIA's compilers take a minute, more on a busy machine


@pytest.mark.parametrize("operator", OPERATORS)
def test_kernels_compile_for_the_boards_and_keep_their_budget(operator: str) -> None:
    reports = resources.report(operator, build("host"), tools())
    assert {one.architecture for one in reports} == {53, 62, 72, 87}
    budgets = resources.load_budgets(operator)
    assert [line for one in reports for line in resources.violations(one, budgets)] == []
    unused = set(budgets) - {one.kernel.split("<")[0] for one in reports}
    assert not unused, f"budgets of kernels that no launcher uses: {unused}"


@pytest.mark.parametrize("operator", OPERATORS)
def test_nvcc_compiles_launchers_and_kernels(operator: str) -> None:
    """NVIDIA's whole compiler, which knows sm_75 and later: Turing, and Thor's sm_110."""
    nvcc = tools() / "nvidia" / "cu13" / "bin" / "nvcc"
    for source in sorted((KERNELS / operator).glob("*.cu")):
        if source.name == "benchmark.cu":
            continue
        run(
            nvcc, "-std=c++14", f"-I{KERNELS}", "-c", source, "-o", "/dev/null",
            "-gencode", "arch=compute_75,code=sm_75", "-gencode", "arch=compute_110,code=sm_110",
            "-Werror", "all-warnings", "-Xcompiler", "-Wall,-Wextra,-Werror,-Wno-unknown-pragmas",
        )  # fmt: skip


# (threads, registers, shared bytes) -> blocks per SM, from NVIDIA's occupancy calculator for 6.2
@pytest.mark.parametrize(
    ("threads", "registers", "shared", "blocks"),
    [
        (256, 32, 0, 8),  # 64 warps: full
        (256, 33, 0, 6),  # 40 registers are handed out: 48 warps fit
        (256, 64, 0, 4),  # 32 warps
        (128, 32, 16 << 10, 4),  # shared memory: 64 KiB per SM
        (32, 16, 0, 32),  # at most 32 blocks
        (1024, 32, 0, 2),  # exactly the 32768 registers that a block may have
        (1024, 33, 0, 0),  # more than those: it cannot be launched
        (64, 16, (48 << 10) + 1, 0),  # more shared memory than a block may have
    ],
)
def test_occupancy(threads: int, registers: int, shared: int, blocks: int) -> None:
    sm = resources.ARCHITECTURES[62]
    assert resources.occupancy(sm, threads, registers, shared) == blocks


REPORT = """
ptxas info    : Compiling entry function '_Z1aKernelv' for 'sm_53'
ptxas info    : Function properties for _Z1aKernelv
    16 bytes stack frame, 12 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 40 registers, 1024 bytes smem, 360 bytes cmem[0]
"""


def test_the_gate_sees_spills_and_broken_budgets() -> None:
    ((name, figures),) = resources.parse_ptxas(REPORT)
    assert name == "_Z1aKernelv"
    assert figures == {"registers": 40, "stack": 16, "spilled": 20, "shared": 1024}
    one = resources.Report("a", "aKernel<float>", 53, 0, 40, 20, 16, 1024, 0, 0, 0)
    assert resources.violations(one, {"aKernel": {"registers": 32, "warps_per_sm": 8}}) == [
        "aKernel<float> on sm_53 has no __launch_bounds__, so nothing is known about its blocks",
        "aKernel<float> on sm_53 spills 20 bytes, stack frame 16 bytes",
        "aKernel<float> on sm_53 cannot be launched: its block needs more registers or shared "
        "memory than is",
        "aKernel<float> on sm_53 uses 40 registers, budget 32",
        "aKernel<float> on sm_53 has 0 warps per SM, budget 8",
    ]
    assert "has no budget" in resources.violations(one, {})[-1]


def test_gpu_targets_say_in_one_line_that_there_is_no_gpu() -> None:
    if Path("/dev/nvidia0").exists() or Path("/proc/device-tree/compatible").exists():
        pytest.skip("this machine has a GPU, or is a board: run make gpu-test")
    for target in ("test", "bench"):
        assert run(KERNELS / "gpu.sh", target) == "skipped: no NVIDIA GPU on this machine\n"

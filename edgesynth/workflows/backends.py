"""Which backend runs a bundle on this machine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edgesynth_rt.bundle import Bundle
from edgesynth_rt.engine_build import WORKSPACE_MIB
from edgesynth_rt.onnxruntime_runner import OnnxRuntimeRunner
from edgesynth_rt.tensorrt_backend import TensorRTBackend


@dataclass(frozen=True)
class EnginePlan:
    """How TensorRT engines are built and run, by trtexec's names where it has them."""

    precision: str = "fp32"
    workspace_mib: int = WORKSPACE_MIB
    plugins: str | None = None
    """Library of plugins for the bundle's own operators."""
    cache: str | None = None
    """Folder of engines; by default below ~/.cache."""
    spin: bool = False
    """Wait for the GPU in a busy loop."""
    operators: str = "auto"
    """Which layers become plugins, see `edgesynth_rt.operator_choice`."""


class Runner(Protocol):
    """What runs one bundle, see `edgesynth_rt.onnxruntime_runner`."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def batch(self) -> int | None: ...

    @property
    def precision(self) -> str | None: ...

    def run(self, inputs: dict[str, Any]) -> dict[str, Any]: ...

    def prepared(self, inputs: list[dict[str, Any]]) -> Callable[[], Any]: ...


def open_runners(
    bundles: Sequence[Bundle],
    backend: str,
    *,
    threads: int = 1,
    batch: int | None = None,
    engine: EnginePlan | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> tuple[list[Runner], dict[str, Any]]:
    """A runner for each bundle on one backend ("auto" is ONNX Runtime), and versions for a record.

    Several share the processor or the GPU. Raises MissingError where the backend is not here,
    UserError or CheckError where it does not take a bundle.
    """
    if backend != "tensorrt":
        shared = len(bundles) > 1
        return [OnnxRuntimeRunner(bundle, threads, shared) for bundle in bundles], {}
    plan = engine or EnginePlan()
    tensorrt = TensorRTBackend(plan.plugins, plan.cache, plan.spin, say)
    opened = [
        tensorrt.open(bundle, plan.precision, plan.workspace_mib, batch, operators=plan.operators)
        for bundle in bundles
    ]
    return [runner for runner, _ in opened], tensorrt.software()

"""NVIDIA's own ONNX parser and builder on a machine without a GPU, in a process of its own.

It belongs to TensorRT-RTX, a generation with TensorRT 11: that it takes a file proves the graph,
its shapes and types; limits of older versions are the business of `rules.py`.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

REMEDY = "install with:\npip install 'edgesynth[nvidia-parser]'"
TIMEOUT_S = 180.0


@dataclass(frozen=True)
class ParserVerdict:
    """What NVIDIA's parser and builder made of one file."""

    status: Literal["passed", "failed", "not checked"]
    detail: str


def is_installed() -> bool:
    """True where the wheels with NVIDIA's parser are there; they are not loaded for this."""
    return all(
        importlib.util.find_spec(name) is not None
        for name in ("tensorrt_rtx_bindings", "tensorrt_rtx_libs")
    )


def nvidia_check(path: Path, *, timeout_s: float = TIMEOUT_S) -> ParserVerdict:
    """Parse the ONNX file at `path` and build an engine from it, outside of this process."""
    if not is_installed():
        return ParserVerdict("not checked", f"NVIDIA's parser is not here; {REMEDY}")
    command = [sys.executable, "-m", "edgesynth.export.nvidia_probe", str(path.resolve())]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),  # the same edgesynth as here
        "PYTHONSAFEPATH": "1",
    }
    try:
        done = subprocess.run(  # noqa: S603 - this interpreter, arguments as a list
            command, capture_output=True, timeout=timeout_s, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return ParserVerdict(
            "not checked", f"NVIDIA's builder was still at work after {timeout_s:g} s"
        )
    if done.returncode:
        return _crashed(done)
    return _verdict(json.loads(done.stdout.decode().splitlines()[-1]))


def _verdict(report: dict[str, Any]) -> ParserVerdict:
    name = f"TensorRT-RTX {report['version']}"
    if not report["parsed"]:
        errors = [_told(error) for error in report["errors"]] or report["log"]
        return ParserVerdict("failed", f"{name} does not parse it: {'; '.join(errors[:3])}")
    if report["engine_bytes"] is None:
        reason = "; ".join(report["log"][:3]) or "no reason given"
        return ParserVerdict("failed", f"{name} parses it but builds no engine: {reason}")
    return ParserVerdict(
        "passed",
        f"{name} parsed {report['layers']} layers and built an engine for "
        f"{report['capability']} ({report['engine_bytes']:,} bytes)",
    )


def _told(error: dict[str, str]) -> str:
    place = f'node "{error["node"]}" ({error["operator"]})' if error["operator"] else "the file"
    what = "not supported" if error["what"] in ("", "false") else error["what"]
    return f"{place}: {what}"


def _crashed(done: subprocess.CompletedProcess[bytes]) -> ParserVerdict:
    if done.returncode < 0:
        return ParserVerdict("failed", f"NVIDIA's parser ended with signal {-done.returncode}")
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    reason = lines[-1] if lines else f"exit code {done.returncode}"
    if "ImportError" in reason or "OSError" in reason:
        return ParserVerdict("not checked", f"NVIDIA's parser does not load: {reason}")
    return ParserVerdict("failed", f"NVIDIA's parser failed: {reason}")

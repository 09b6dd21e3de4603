"""CUDA's run-time compiler and its assembler, called on a machine that may have no GPU."""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path


class Nvrtc:
    """NVRTC 12.9 and ptxas 12.9 from a folder that fetch_tools.py filled."""

    def __init__(self, tools: Path) -> None:
        nvidia = tools / "nvidia"
        self._include = nvidia / "cuda_runtime" / "include"
        self._ptxas = nvidia / "cuda_nvcc" / "bin" / "ptxas"
        libraries = nvidia / "cuda_nvrtc" / "lib"
        if not self._ptxas.is_file():
            raise RuntimeError(f"{tools} has no compilers; run: python kernels/fetch_tools.py")
        for builtins in libraries.glob("libnvrtc-builtins.so*"):
            ctypes.CDLL(str(builtins), mode=os.RTLD_GLOBAL)  # NVRTC looks for it by name alone
        self._library = ctypes.CDLL(str(libraries / "libnvrtc.so.12"))

    def compile(
        self, header: str, names: Sequence[str], architecture: int, include: Sequence[Path]
    ) -> tuple[str, dict[str, str]]:
        """PTX of the kernels `names`, which `header` defines, and mangled name -> name.

        Raises:
            RuntimeError: they do not compile; the message is the compiler's log.
        """
        source = f'#include "{header}"\n'.encode()
        program = ctypes.c_void_p()
        self._call(
            "nvrtcCreateProgram", ctypes.byref(program), source, b"kernels.cu", 0, None, None
        )
        try:
            for name in names:
                self._call("nvrtcAddNameExpression", program, name.encode())
            options = [
                "-std=c++14",
                "-lineinfo",
                "-default-device",
                f"-arch=compute_{architecture}",
            ]
            options += [f"-I{folder}" for folder in [*include, self._include]]
            encoded = (ctypes.c_char_p * len(options))(*(word.encode() for word in options))
            status = self._library.nvrtcCompileProgram(program, len(options), encoded)
            if status != 0:
                log = self._text("nvrtcGetProgramLog", program)
                raise RuntimeError(f"{header} does not compile for sm_{architecture}:\n{log}")
            return self._text("nvrtcGetPTX", program), self._mangled(program, names)
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))

    def ptxas(self, ptx: str, architecture: int) -> str:
        """Assemble; what `ptxas -v` says.

        Raises:
            RuntimeError: it does not assemble.
        """
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "kernels.ptx"
            source.write_text(ptx)
            done = subprocess.run(  # noqa: S603
                [str(self._ptxas), "-v", f"-arch=sm_{architecture}", str(source),
                 "-o", str(source.with_suffix(".cubin"))],
                check=False, capture_output=True, text=True,
            )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"ptxas refuses sm_{architecture}:\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def _mangled(self, program: ctypes.c_void_p, names: Sequence[str]) -> dict[str, str]:
        lowered = {}
        for name in names:
            text = ctypes.c_char_p()
            self._call("nvrtcGetLoweredName", program, name.encode(), ctypes.byref(text))
            lowered[(text.value or b"").decode()] = name
        return lowered

    def _text(self, function: str, program: ctypes.c_void_p) -> str:
        size = ctypes.c_size_t()
        self._call(f"{function}Size", program, ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        self._call(function, program, buffer)
        return buffer.value.decode(errors="replace")

    def _call(self, function: str, *arguments: object) -> None:
        status = getattr(self._library, function)(*arguments)
        if status != 0:
            self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
            reason = self._library.nvrtcGetErrorString(status).decode()
            raise RuntimeError(f"{function}: {reason}")

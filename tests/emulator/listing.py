"""Every specialisation that the CUDA engine can launch."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from emulator.build import FOLDER
from upsample.engines.cuda.runtime.launch import Kernel


@cache
def listed(file: str) -> tuple[Kernel, ...]:
    """Return those of one .cu file, whose name its engine module has."""
    kernels = tuple(import_module(f"upsample.engines.cuda.{file}").kernels())
    if len(set(kernels)) != len(kernels) or {k.file for k in kernels} != {file}:
        raise AssertionError(f"upsample.engines.cuda.{file}.kernels() lists a kernel twice, or another file's")
    return kernels


def every() -> tuple[Kernel, ...]:
    """Return those of all files."""
    return tuple(k for path in sorted(FOLDER.glob("*.cu")) for k in listed(path.stem))

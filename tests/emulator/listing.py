"""Every specialisation that the CUDA engine can launch."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import walk_packages

from emulator.build import FOLDER
from upsample.engines import cuda
from upsample.engines.cuda.runtime.launch import Kernel


@cache
def _by_file() -> dict[str, tuple[Kernel, ...]]:
    """Return what each module's `kernels` lists, by the .cu file that has them."""
    found: dict[str, tuple[Kernel, ...]] = {}
    for about in walk_packages(cuda.__path__, f"{cuda.__name__}."):
        module = import_module(about.name)
        if "kernels" not in vars(module):
            continue
        kernels = tuple(module.kernels())
        files = {k.file for k in kernels}
        if len(set(kernels)) != len(kernels) or len(files) != 1 or files & found.keys():
            raise AssertionError(f"{about.name}.kernels() lists a kernel twice, or those of another module's file")
        found[files.pop()] = kernels
    return found


def listed(file: str) -> tuple[Kernel, ...]:
    """Return those of one .cu file."""
    return _by_file()[file]


def every() -> tuple[Kernel, ...]:
    """Return those of all files."""
    return tuple(k for path in sorted(FOLDER.glob("*.cu")) for k in listed(path.stem))

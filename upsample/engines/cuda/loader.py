"""Compiles kernels by CuPy, once a device and specialisation; CuPy keeps what it compiled on disk."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from upsample.engines.cuda.launch import Kernel

__all__ = ["ADDED_BY_CUPY", "OPTIONS", "folder", "function", "source", "text"]

OPTIONS = ("-std=c++17", "--fmad=true")
"""Of every compilation."""

ADDED_BY_CUPY = ("-ftz=true", "--device-as-default-execution-space")
"""What the tests, which compile without CuPy, add too."""


@lru_cache(maxsize=1)
def folder() -> Traversable:
    """Return where the kernels are."""
    return resources.files("upsample.kernels")


@lru_cache(maxsize=16)
def source(file: str) -> str:
    """Return the text of a .cu file, so numbered that the compiler's errors name the file and its lines."""
    return f'#line 1 "{file}.cu"\n' + (folder() / f"{file}.cu").read_text(encoding="utf-8")


def text(kernel: Kernel) -> str:
    """Return the program of a specialisation: its macros, then the file.

    The macros are no options of the compiler, since for each new set of options CuPy first asks the compiler for its
    version, 12 ms a time even where the kernel itself is found on disk.
    """
    return "".join(f"#define {name} {value}\n" for name, value in kernel.macros) + source(kernel.file)


@lru_cache(maxsize=1)
def _headers() -> str:
    """A digest of the headers: CuPy's key for its files on disk knows only the text and the options."""
    texts = sorted((p.name, p.read_text(encoding="utf-8")) for p in folder().iterdir() if p.name.endswith(".cuh"))
    return sha256(repr(texts).encode()).hexdigest()[:16]


@lru_cache(maxsize=4096)
def function(kernel: Kernel, device: int) -> Any:
    """Return a kernel's function on a device, which must be the current one.

    Raises
    ------
    RuntimeError
        It does not compile, with the compiler's words: a fault of this package, or of the installation's headers.
    """
    import cupy

    assert cupy.cuda.runtime.getDevice() == device
    options = (*OPTIONS, f"-I{folder()}", f"-DHEADERS_{_headers()}")
    try:
        return cupy.RawModule(code=text(kernel), options=options).get_function(kernel.entry)
    except cupy.cuda.compiler.CompileException as error:
        hint = 'CUDA\'s headers are missing: pip install "cupy-cuda12x[ctk]" or "cupy-cuda13x[ctk]"\n'
        why = (hint if "open source file" in str(error) else "") + str(error)
        raise RuntimeError(f"upsample: the kernel {kernel} does not compile on this machine:\n{why}") from error

"""Compiles kernels by CuPy, once a device and specialisation; CuPy keeps what it compiled on disk."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upsample.engines.cuda.runtime.launch import Kernel

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["ADDED_BY_CUPY", "OPTIONS", "folder", "function", "source", "text"]

OPTIONS = ("-std=c++17", "--fmad=false")
"""Of every compilation. Only `fused` (kernels/common.cuh) fuses, so that bits do not depend on the compiler."""

ADDED_BY_CUPY = ("-ftz=true", "--device-as-default-execution-space")
"""What the tests, which compile without CuPy, add too."""


@lru_cache(maxsize=1)
def folder() -> Traversable:
    """Return where the kernels are: in the package, or, in a checkout on Python's path, beside it."""
    from importlib import resources  # with 20 modules that only a GPU needs

    try:
        return resources.files("upsample.kernels")
    except ModuleNotFoundError:
        beside = Path(str(resources.files("upsample"))).parent / "kernels"
        if (beside / "common.cuh").is_file():
            return beside
        raise


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
    from hashlib import sha256

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
    except Exception as error:
        hint = _hint(str(error), cupy.cuda.runtime.runtimeGetVersion() // 1000)
        if not hint and not isinstance(error, cupy.cuda.compiler.CompileException):
            raise
        raise RuntimeError(f"upsample: the kernel {kernel} does not compile on this machine:\n{hint}{error}") from error


def _hint(words: str, major: int) -> str:
    """Return a line that says what to install, where CuPy finds no compiler or the compiler no headers."""
    missing = "CUDA's compiler NVRTC is" if "nvrtc" in words.lower() and "open source file" not in words else ""
    if "open source file" in words or "CUDA headers" in words:
        missing = "CUDA's headers are"
    return f'{missing} missing: pip install "cupy-cuda{major}x[ctk]"\n' if missing else ""

"""Compile kernels by CuPy, once for each device and specialization; CuPy caches the binaries on disk."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from upsample.engines.cuda.runtime.launch import Kernel

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

__all__ = ["ADDED_BY_CUPY", "OPTIONS", "folder", "function", "source", "text"]

OPTIONS = ("-std=c++17", "--fmad=false")
"""Options of every compilation. Only `fused` (kernels/common.cuh) fuses, so that bits do not depend on the compiler."""

ADDED_BY_CUPY = ("-ftz=true", "--device-as-default-execution-space")
"""Options that CuPy adds; the tests, which compile without CuPy, add them too."""


@lru_cache(maxsize=1)
def folder() -> Traversable:
    """Return the folder of the kernels: in the package, or beside it in a checkout on Python's path."""
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
    """Return the text of a .cu file after a `#line`, so that the compiler's errors name the file and its lines."""
    return f'#line 1 "{file}.cu"\n' + (folder() / f"{file}.cu").read_text(encoding="utf-8")


def text(kernel: Kernel) -> str:
    """Return the program of a specialization: its macros, then the file.

    The macros are not options of the compiler. For each new set of options CuPy queries the compiler's version, which
    takes 12 ms even if the kernel is on disk.
    """
    return "".join(f"#define {name} {value}\n" for name, value in kernel.macros) + source(kernel.file)


@lru_cache(maxsize=1)
def _headers() -> str:
    """Return a digest of the headers, because CuPy's key of files on disk covers only the text and the options."""
    from hashlib import sha256

    texts = sorted((p.name, p.read_text(encoding="utf-8")) for p in folder().iterdir() if p.name.endswith(".cuh"))
    return sha256(repr(texts).encode()).hexdigest()[:16]


@lru_cache(maxsize=4096)
def function(kernel: Kernel, device: int) -> Any:
    """Return a kernel's function on a device, which must be the current one.

    Raises
    ------
    RuntimeError
        The kernel does not compile; the message has the compiler's text. A fault of this package, or of the
        installation's headers.
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
    """Return a line that says what to install if CuPy finds no compiler, or the compiler no headers."""
    missing = "CUDA's compiler NVRTC is" if "nvrtc" in words.lower() and "open source file" not in words else ""
    if "open source file" in words or "CUDA headers" in words:
        missing = "CUDA's headers are"
    return f'{missing} missing: pip install "cupy-cuda{major}x[ctk]"\n' if missing else ""

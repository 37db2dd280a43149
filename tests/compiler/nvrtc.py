"""NVRTC from pip's wheels by its C API: CUDA 12 and CUDA 13 in one process."""

from __future__ import annotations

import ctypes as C
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from upsample.engines.cuda.runtime.launch import Kernel
from upsample.engines.cuda.runtime.loader import ADDED_BY_CUPY, OPTIONS, folder, text

__all__ = ["VERSIONS", "Compiled", "compiled", "compiled_text", "compiled_with", "missing", "release"]

VERSIONS = ("12", "13")
"""CUDA's major versions."""

_PLACES = {
    "12": ("cuda_nvrtc/lib/libnvrtc.so.12", "cuda_runtime/include"),
    "13": ("cu13/lib/libnvrtc.so.13", "cu13/include"),
}
"""Where the wheels put the library and the headers, under the folder `nvidia`."""

_WHEELS = {
    "12": "nvidia-cuda-nvrtc-cu12 nvidia-cuda-runtime-cu12",
    "13": '"nvidia-cuda-nvrtc==13.*" "nvidia-cuda-runtime==13.*"',
}


_HARMLESS = re.compile(
    r"^ptxas warning : .* out of range\. \.minnctapersm will be ignored$"
    r"|^nvrtc: warning: Architectures prior to .* are deprecated and may be removed in a future release$",
    re.MULTILINE,
)
"""Launch bounds ask for more blocks than a small multiprocessor has room for; and Volta is old."""


@dataclass(frozen=True)
class Compiled:
    """Machine code, and what the compiler and the assembler said about it."""

    cubin: bytes
    log: str


def missing(version: str) -> str | None:
    """Return None, or in words what is needed and not there."""
    if _place(version) is None:
        return f"nvrtc of CUDA {version} and its headers are not installed: pip install {_WHEELS[version]}"
    return None


def release(version: str) -> str:
    """Return the version in full, as 12.9."""
    major, minor = C.c_int(), C.c_int()
    _library(version).nvrtcVersion(C.byref(major), C.byref(minor))
    return f"{major.value}.{minor.value}"


def compiled(kernel: Kernel, *, version: str, arch: str) -> Compiled:
    """Compile a specialisation as the loader and CuPy do, for an architecture such as ``sm_90``.

    All entries of the file are compiled; those that depend on no macro, or on the same ones, are the same.
    """
    return compiled_text(text(kernel), str(kernel), version=version, arch=arch)


def compiled_text(program: str, name: str, *, version: str, arch: str) -> Compiled:
    """Compile a program with the loader's and CuPy's options.

    Raises
    ------
    RuntimeError
        It does not compile, or not without warnings: with the compiler's words.
    """
    return compiled_with(program, name, (*OPTIONS, f"-I{folder()}"), version=version, arch=arch)


def compiled_with(program: str, name: str, options: Sequence[str], *, version: str, arch: str) -> Compiled:
    """Compile a program with other options than the loader's, and with those that CuPy adds."""
    place = _place(version)
    assert place is not None, missing(version)
    lib, handle = _library(version), C.c_void_p()
    given = [*options, *ADDED_BY_CUPY, f"-arch={arch}", "--ptxas-options=-v", f"-I{place[1]}"]
    encoded = (C.c_char_p * len(given))(*(option.encode() for option in given))
    _check(lib, lib.nvrtcCreateProgram(C.byref(handle), program.encode(), b"program.cu", 0, None, None))
    try:
        status = lib.nvrtcCompileProgram(handle, len(given), encoded)
        log = _read(lib, handle, "ProgramLog").rstrip(b"\0").decode()
        if status or "warning" in _HARMLESS.sub("", log):
            raise RuntimeError(f"{name} for {arch} by CUDA {version}, {' '.join(given)}:\n{log[:6000]}")
        return Compiled(_read(lib, handle, "CUBIN"), log)
    finally:
        lib.nvrtcDestroyProgram(C.byref(handle))


@cache
def _place(version: str) -> tuple[Path, Path] | None:
    spec = importlib.util.find_spec("nvidia")
    for base in (spec.submodule_search_locations or ()) if spec else ():
        library, headers = (Path(base) / part for part in _PLACES[version])
        if library.exists() and (headers / "cuda_fp16.h").exists():
            return library, headers
    return None


@cache
def _library(version: str) -> C.CDLL:
    place = _place(version)
    assert place is not None, missing(version)
    lib = C.CDLL(str(place[0]))
    lib.nvrtcGetErrorString.restype = C.c_char_p
    for name in ("ProgramLog", "CUBIN"):
        getattr(lib, f"nvrtcGet{name}").argtypes = [C.c_void_p, C.c_char_p]
        getattr(lib, f"nvrtcGet{name}Size").argtypes = [C.c_void_p, C.POINTER(C.c_size_t)]
    return lib


def _read(lib: C.CDLL, handle: C.c_void_p, what: str) -> bytes:
    size = C.c_size_t()
    _check(lib, getattr(lib, f"nvrtcGet{what}Size")(handle, C.byref(size)))
    made = C.create_string_buffer(size.value)
    _check(lib, getattr(lib, f"nvrtcGet{what}")(handle, made))
    return made.raw


def _check(lib: C.CDLL, status: int) -> None:
    if status:
        raise RuntimeError(f"NVRTC: {lib.nvrtcGetErrorString(status).decode()}")

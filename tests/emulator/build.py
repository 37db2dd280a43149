"""Compiles a .cu file for the CPU: all of its specialisations in one shared library, with or without sanitizers."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from upsample.engines.cuda.runtime.launch import Kernel

HERE = Path(__file__).resolve().parent
_USER = os.getuid() if hasattr(os, "getuid") else "user"
CACHE = Path(os.environ.get("UPSAMPLE_EMULATOR_CACHE") or f"{tempfile.gettempdir()}/upsample-emulator-{_USER}")
"""Libraries by a digest of all that went into them."""

FOLDER = Path(str(files("upsample.kernels")))
"""The .cu and .cuh files."""

SANITIZERS = {"plain": "", "address": "address,undefined", "thread": "thread"}

_FLAGS = [
    "-std=c++17",
    "-shared",
    "-fPIC",
    "-fno-gnu-unique",
    "-fvisibility-inlines-hidden",
    "-O1",
    "-g1",
    "-fno-omit-frame-pointer",
    "-ffp-contract=off",
    "-march=x86-64-v3",
    "-Wall",
    "-Wno-unknown-pragmas",
    "-Wno-unused-function",
    "-Wno-unused-variable",
    "-pthread",
]


def missing() -> str | None:
    """Return None, or in words what is needed and not there."""
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return "the emulator runs on Linux on x86-64 alone"
    if shutil.which("g++") is None:
        return "g++, which the emulator needs, is not installed"
    if not any((d / "cuda_fp16.h").exists() for d in _include_dirs()):
        return "CUDA's headers, which the emulator needs, are not installed: pip install nvidia-cuda-runtime-cu12"
    if importlib.util.find_spec("cupy") is None:
        return "CuPy, whose nv/target the emulator needs, is not installed: pip install cupy-cuda12x"
    return None


def _include_dirs() -> list[Path]:
    dirs = [HERE / "include"]
    nvidia = importlib.util.find_spec("nvidia")
    for base in (nvidia.submodule_search_locations or ()) if nvidia else ():
        dirs += [Path(base) / sub for sub in ("cuda_runtime/include", "cu13/include")]
    cupy = importlib.util.find_spec("cupy")
    if cupy and cupy.origin:
        dirs.append(Path(cupy.origin).parent / "_core/include/cupy/_cccl/libcudacxx")
    return [d for d in dirs if d.is_dir()]


def library(source: Path, kernels: Iterable[Kernel], sanitizer: str) -> Path:
    """Return the shared library of some specialisations of a .cu file."""
    text = _unit(source, sorted(set(kernels), key=str))
    flags = [*_FLAGS, *_sanitizer_flags(sanitizer), *(f"-I{d}" for d in (*_include_dirs(), FOLDER))]
    key = hashlib.sha256(repr((text, flags)).encode())
    for path in (source, *sorted(FOLDER.glob("*.cuh")), *sorted((HERE / "include").rglob("*.h"))):
        key.update(path.read_bytes())
    made = CACHE / f"{source.stem}-{sanitizer}-{key.hexdigest()[:20]}.so"
    if not made.exists():
        _compile(text, flags, made)
    return made


def planted(file: str, fault: tuple[str, str]) -> Path:
    """Return a copy of a .cu file in which one text, which occurs once, is replaced by another.

    A text that is in one of its headers alone is replaced there: the copy has that header's text in place of its name.
    """
    old, new = fault
    text = (FOLDER / f"{file}.cu").read_text()
    for header in FOLDER.glob("*.cuh") if old not in text else ():
        if old in (shared := header.read_text()):
            text = text.replace(f'#include "{header.name}"\n', shared)
    if text.count(old) != 1:
        raise ValueError(f"{file}.cu has {text.count(old)} times {old!r}: a fault needs a place that is named exactly")
    changed = text.replace(old, new)
    folder = CACHE / f"faulty-{hashlib.sha256(changed.encode()).hexdigest()[:20]}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{file}.cu").write_text(changed)
    return folder / f"{file}.cu"


def _unit(source: Path, kernels: list[Kernel]) -> str:
    """The text to compile: the file once a specialisation, each in a namespace of its own."""
    macros = re.findall(r"^#ifndef (\w+)$", source.read_text(), re.MULTILINE)
    lines = ['#include "cuda_on_cpu.h"', *(f'#include "{p.name}"' for p in sorted(FOLDER.glob("*.cuh")))]
    groups: dict[tuple[tuple[str, str], ...], list[Kernel]] = {}
    for kernel in kernels:
        unknown = {name for name, _ in kernel.macros} - set(macros)
        if unknown:
            raise ValueError(f"{kernel}: {source.name} has no macros {unknown} (a macro needs #ifndef for its default)")
        groups.setdefault(kernel.macros, []).append(kernel)
    for number, (bound, group) in enumerate(groups.items()):
        lines += [f"#define {name} {value}" for name, value in bound]
        lines += [f"namespace s{number} {{", f'#include "{source}"', "}"]
        lines += [f"#undef {name}" for name in macros]
        lines += [f'COC_KERNEL("{kernel}", s{number}::{kernel.entry})' for kernel in group]
    return "\n".join(lines) + "\n"


def _sanitizer_flags(sanitizer: str) -> list[str]:
    name = SANITIZERS[sanitizer]
    flags = [f"-fsanitize={name}"] if name else []
    if "undefined" in name:
        flags += ["-fsanitize=float-cast-overflow", "-fno-sanitize-recover=undefined,float-cast-overflow"]
    if "address" in name:
        flags += ["-fsanitize-sections=coc_shared"]
    return flags


def _compile(text: str, flags: list[str], made: Path) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
        unit, out = Path(scratch) / "unit.cpp", Path(scratch) / "unit.so"
        unit.write_text(text)
        command = [os.environ.get("CXX", "g++"), *flags, str(unit), "-o", str(out)]
        clean = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        done = subprocess.run(command, capture_output=True, text=True, env=clean)
        if done.returncode or done.stderr.strip():
            raise RuntimeError(f"{shlex.join(command)}\n{done.stderr[:6000]}")
        out.replace(made)

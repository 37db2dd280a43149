"""Puts the double in CuPy's place."""

from __future__ import annotations

import sys
import types
from importlib.util import find_spec
from typing import Any

import numpy as np

from double import arrays, cuda

__all__ = ["install"]


def _module(name: str, **held: Any) -> Any:
    made: Any = types.ModuleType(name)
    made.__dict__.update(held)
    sys.modules[name] = made
    return made


def install() -> None:
    """Make ``import cupy`` the double, in this process and from now on."""
    if "cupy" in sys.modules:
        raise RuntimeError("CuPy is imported already: the double needs a process of its own")
    real = find_spec("cupy")  # the emulator's headers are in its folder
    cupy = arrays.module_like("cupy", np)
    cupy.__spec__ = real
    cupy.__dict__.update(arrays.FUNCTIONS, ndarray=arrays.ndarray, __version__="14.2.0", __path__=[])
    cupy.__all__ = sorted({*cupy.__all__, *arrays.FUNCTIONS, "ndarray"})  # type: ignore[attr-defined]
    sys.modules["cupy"] = cupy
    made: Any = cupy
    for name, home in (("linalg", np.linalg), ("fft", np.fft), ("random", np.random)):
        part = arrays.module_like(f"cupy.{name}", home)
        sys.modules[part.__name__] = part
        setattr(made, name, part)
    runtime = _module(
        "cupy.cuda.runtime",
        getDevice=lambda: cuda._state.device,
        getDeviceCount=lambda: cuda.DEVICES,
        getDeviceProperties=_properties,
        runtimeGetVersion=lambda: 13000,
        driverGetVersion=lambda: 13000,
        memGetInfo=lambda: (0, 0),
        CUDARuntimeError=cuda.CUDARuntimeError,
        is_hip=False,
    )
    compiler = _module("cupy.cuda.compiler", CompileException=cuda.CompileException)
    device = _module("cupy.cuda.device", Device=cuda.Device)
    made.cuda = _module(
        "cupy.cuda",
        Device=cuda.Device,
        Event=cuda.Event_,
        MemoryPointer=arrays.MemoryPointer,
        MemoryPool=cuda.MemoryPool,
        Stream=cuda.Stream,
        UnownedMemory=cuda.UnownedMemory,
        alloc_pinned_memory=cuda.alloc_pinned_memory,
        compiler=compiler,
        device=device,
        get_current_stream=cuda.get_current_stream,
        get_elapsed_time=lambda a, b: (b.time - a.time) * 1e3,
        nvrtc=types.SimpleNamespace(getVersion=lambda: (13, 0)),
        runtime=runtime,
        set_allocator=cuda.set_allocator,
        using_allocator=cuda.using_allocator,
    )
    made.RawKernel, made.RawModule = cuda.RawKernel, cuda.RawModule
    made.get_default_memory_pool = cuda.MemoryPool


def _properties(number: int) -> dict[str, Any]:
    return {
        "multiProcessorCount": 4,
        "sharedMemPerBlockOptin": 227 << 10,
        "l2CacheSize": 1 << 20,
        "name": b"double",
        "major": 9,
        "minor": 0,
    }

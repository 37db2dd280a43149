"""The CUDA engine's device on NumPy arrays: every launch runs on the emulator, its arguments checked."""

from __future__ import annotations

import ctypes as C
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from emulator import build
from emulator.listing import listed
from emulator.preloaded import SANITIZER
from upsample.arrays import Array
from upsample.engines.cuda.runtime.device import Tables, is_aligned
from upsample.engines.cuda.runtime.flags import BYTES, Flags
from upsample.engines.cuda.runtime.launch import INDEX_LIMIT, Kernel, Launch


class _Parameter(C.Structure):
    _fields_ = [("size", C.c_uint), ("pointee", C.c_uint), ("kind", C.c_char), ("is_const", C.c_bool)]


class Library:
    """Specialisations of a .cu file, compiled for the CPU."""

    def __init__(self, path: Path) -> None:
        lib = C.CDLL(str(path))
        lib.coc_name.restype, lib.coc_arg.restype = C.c_char_p, _Parameter
        sizes = C.POINTER(C.c_uint)
        lib.coc_launch.argtypes = [C.c_int, sizes, sizes, C.c_size_t, C.POINTER(C.c_void_p), C.c_uint, C.c_int]
        lib.coc_smem_limit.argtypes = [C.c_size_t]
        lib.coc_smem_limit(227 << 10)
        self._lib = lib
        self._number = {lib.coc_name(i).decode(): i for i in range(lib.coc_count())}

    def __contains__(self, kernel: Kernel) -> bool:
        return str(kernel) in self._number

    def launch(self, launch: Launch, given: tuple[Any, ...], order: int) -> None:
        """Run; `order` 0: threads and blocks forward, 1: backward, any other: shuffled."""
        number = self._number[str(launch.kernel)]
        parameters = [self._lib.coc_arg(number, i) for i in range(self._lib.coc_nargs(number))]
        arguments = (*given, *launch.scalars)
        if len(arguments) != len(parameters):
            raise TypeError(f"{launch.kernel}: {len(arguments)} arguments for {len(parameters)} parameters")
        kept = [_argument(launch.kernel, i, a, p) for i, (a, p) in enumerate(zip(arguments, parameters, strict=True))]
        pointers = (C.c_void_p * len(kept))(*(C.addressof(k) for k in kept))
        grid, block = (C.c_uint * 3)(*launch.grid), (C.c_uint * 3)(*launch.block)
        self._lib.coc_launch(number, grid, block, launch.shared, pointers, order, 1)


def _argument(kernel: Kernel, i: int, value: Any, parameter: _Parameter) -> Any:
    """What cuLaunchKernel would read, refused where a GPU would misread it."""
    where = f"{kernel}, argument {i}"
    if parameter.kind == b"p":
        if value is None:
            return C.c_void_p(0)
        if isinstance(value, np.uint64):  # an address, of a repeated call with torch tensors
            return C.c_void_p(int(value))
        if not isinstance(value, np.ndarray) or not value.flags.c_contiguous:
            raise TypeError(f"{where}: an array without gaps is wanted")
        if parameter.pointee % value.itemsize and value.itemsize % parameter.pointee:
            raise TypeError(f"{where}: items of {value.itemsize} bytes for a pointer to {parameter.pointee}")
        if value.ctypes.data % value.itemsize:
            raise TypeError(f"{where}: values of {value.itemsize} bytes that begin at {value.ctypes.data:#x}")
        if not parameter.is_const and not value.flags.writeable:
            raise TypeError(f"{where}: a read-only array for a pointer that is not const")
        return C.c_void_p(value.ctypes.data)
    if parameter.kind == b"s":
        if not (isinstance(value, np.ndarray) and value.shape == () and value.nbytes == parameter.size):
            raise TypeError(f"{where}: a struct of {parameter.size} bytes is wanted, not {value!r}")
    elif not isinstance(value, np.generic) or (value.nbytes, value.dtype.kind) != (
        parameter.size,
        parameter.kind.decode(),
    ):
        raise TypeError(f"{where}: {value!r} for a {parameter.size}-byte {parameter.kind.decode()!r}")
    return C.create_string_buffer(value.tobytes(), value.nbytes)


class EmulatedDevice:
    """See `upsample.engines.cuda.runtime.device.Device`; memory is filled with ones (NaN) before a kernel writes it.

    Kernels are compiled for the sanitizer of the process.

    Parameters
    ----------
    order : int
        In which order threads and blocks run, see `Library.launch`.
    index_limit, processors : int
        As a GPU has them; a low limit makes small arrays take the 64-bit kernels.
    fault : tuple of two str
        A text in the .cu file and its replacement.

    Attributes
    ----------
    launches : list of Launch
        What ran.
    """

    def __init__(
        self,
        *,
        order: int = 0,
        index_limit: int = INDEX_LIMIT,
        processors: int = 4,
        fault: tuple[str, str] | None = None,
    ) -> None:
        why = build.missing()
        if why is not None:
            pytest.skip(why)
        self.index_limit, self.processors, self.shared_limit = index_limit, processors, 227 << 10
        self.xp: ModuleType = np
        self.order, self.launches = order, list[Launch]()
        self._fault = fault
        self._tables = Tables(np.ascontiguousarray)
        flags = np.zeros(BYTES, dtype=np.uint8)
        self.flags = Flags(flags, flags)

    def wait(self) -> None:
        pass

    def borrow(self, x: Any) -> Any:
        return np.ascontiguousarray(x) if not x.flags.c_contiguous or is_aligned(x) else x.copy()

    def view(self, x: Array) -> Any:
        return x

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        made = np.empty(shape, dtype)
        made.reshape(-1).view(np.uint8)[...] = 0xFF
        return made

    def result(self, xp: ModuleType, shape: tuple[int, ...], dtype: Any, like: Array) -> Any:
        return self.empty(shape, dtype)

    def tables(self, make: Callable[..., tuple[np.ndarray[Any, Any], ...]], *key: Hashable) -> tuple[Any, ...]:
        return self._tables.get(make, key)

    def launch(self, launch: Launch, *given: Any) -> None:
        if launch.is_empty:
            return
        self.launches.append(launch)
        _library(launch.kernel, self._fault).launch(launch, given, self.order)


@cache
def _library(kernel: Kernel, fault: tuple[str, str] | None) -> Library:
    """The library with all specialisations of the kernel's file, or with this one alone where a fault is planted."""
    if fault is not None:
        return Library(build.library(build.planted(kernel.file, fault), (kernel,), SANITIZER))
    wanted = listed(kernel.file)
    if kernel not in wanted:
        raise LookupError(f"{kernel} is not among the specialisations that its module lists")
    return _loaded(kernel.file, wanted)


@cache
def _loaded(file: str, kernels: tuple[Kernel, ...]) -> Library:
    return Library(build.library(build.FOLDER / f"{file}.cu", kernels, SANITIZER))

"""Where launches go: a GPU through CuPy, or, in the tests, an emulator on the CPU.

An op's `run` reads ``with device.of(x) as gpu:`` and then asks `gpu` for its arrays, tables and launches. Inside, the
array's device and stream are the current ones: CuPy's own stream for CuPy arrays, torch's for torch tensors, which
CuPy reads and writes through DLPack without a copy.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.cuda.launch import INDEX_LIMIT, Launch
from upsample.engines.cuda.loader import function

__all__ = ["Device", "Tables", "emulated", "emulating", "of"]

_KEPT_BYTES = 1 << 26
"""Bytes of tables that each device keeps."""

_SHARED_UNASKED = 48 << 10
"""Bytes of shared memory that every kernel may have; for more, it must be told."""


class Device(Protocol):
    """What an op's `run` asks for.

    Attributes
    ----------
    xp : module
        The namespace of its arrays.
    index_limit : int
        Offsets from here on need 64-bit indices.
    processors : int
        Multiprocessors, for launches that are sized by them.
    shared_limit : int
        Bytes of shared memory that a block can have.
    """

    xp: ModuleType
    index_limit: int
    processors: int
    shared_limit: int

    def borrow(self, x: Array) -> Any:
        """Return the array as the kernels read it: in row-major order without gaps, copied only where it is not."""

    def view(self, x: Array) -> Any:
        """Return the array as it lies in memory, gaps and all."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Make scratch memory."""

    def result(self, xp: ModuleType, shape: tuple[int, ...], dtype: Any, like: Array) -> Array:
        """Make an uninitialised array of the caller's library."""

    def tables(self, make: Callable[..., tuple[np.ndarray[Any, Any], ...]], *key: Hashable) -> tuple[Any, ...]:
        """Return ``make(*key)`` on the device, kept for later calls."""

    def launch(self, launch: Launch, *given: Any) -> None:
        """Run a launch on arrays (None is a null pointer); nothing where its grid is empty."""


class Tables:
    """Tables on a device: the ones used last, up to so many bytes.

    So the first call of a geometry uploads its tables, and one past the limit waits for the device when old ones are
    freed; calls after it do neither, and can be captured in a CUDA graph.
    """

    def __init__(self, upload: Callable[[np.ndarray[Any, Any]], Any]) -> None:
        self._upload = upload
        self._kept: OrderedDict[Hashable, tuple[Any, ...]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, make: Callable[..., tuple[np.ndarray[Any, Any], ...]], key: tuple[Hashable, ...]) -> tuple[Any, ...]:
        """Return the tables of a key, made and uploaded at its first use."""
        name = (make, *key)
        with self._lock:
            found = self._kept.get(name)
            if found is not None:
                self._kept.move_to_end(name)
                return found
            found = tuple(self._upload(table) for table in make(*key))
            self._kept[name] = found
            self._bytes += sum(table.nbytes for table in found)
            dropped = []
            while self._bytes > _KEPT_BYTES and len(self._kept) > 1:
                dropped.append(self._kept.popitem(last=False)[1])
                self._bytes -= sum(table.nbytes for table in dropped[-1])
        del dropped  # not under the lock, since freeing waits for the device
        return found


class CupyDevice:
    """A GPU."""

    def __init__(self, number: int) -> None:
        import cupy

        self.index_limit = INDEX_LIMIT
        self._cupy, self._number = cupy, number
        self.xp = cupy
        properties = cupy.cuda.runtime.getDeviceProperties(number)
        self.processors = int(properties["multiProcessorCount"])
        self.shared_limit = int(properties["sharedMemPerBlockOptin"])
        self._tables = Tables(self._upload)

    def _upload(self, table: np.ndarray[Any, Any]) -> Any:
        """Copy by a stream of its own, and wait for that alone: any stream may read the table from then on.

        The memory is no pool's, for a pool would give it to others as soon as the table is dropped, while launches of
        other streams still read it; freeing it waits for them.
        """
        cuda = self._cupy.cuda
        with cuda.using_allocator(None), cuda.Stream(non_blocking=True) as stream:
            made = self._cupy.asarray(np.ascontiguousarray(table))
            stream.synchronize()
        return made

    def borrow(self, x: Array) -> Any:
        """See `Device`."""
        return self._cupy.ascontiguousarray(self.view(x))

    def view(self, x: Array) -> Any:
        """See `Device`."""
        if isinstance(x, self._cupy.ndarray):
            return x
        import torch
        from torch.utils.dlpack import to_dlpack  # Tensor.__dlpack__ minds streams and devices, which `of` has set

        tensor: Any = x
        tensor = tensor.detach().resolve_conj().resolve_neg()
        if tensor.dtype == torch.bfloat16:  # CuPy has no such dtype; the kernels only ask for the bits
            tensor = tensor.view(torch.int16)
        elif tensor.dtype == torch.bool:  # older DLPacks have none
            tensor = tensor.view(torch.uint8)
        return self._cupy.from_dlpack(to_dlpack(tensor))

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """See `Device`."""
        return self._cupy.empty(shape, dtype)

    def result(self, xp: ModuleType, shape: tuple[int, ...], dtype: Any, like: Array) -> Array:
        """See `Device`."""
        made: Array = xp.empty(shape, dtype=dtype, device=arrays.device_of(like))
        return made

    def tables(self, make: Callable[..., tuple[np.ndarray[Any, Any], ...]], *key: Hashable) -> tuple[Any, ...]:
        """See `Device`."""
        return self._tables.get(make, key)

    def launch(self, launch: Launch, *given: Any) -> None:
        """See `Device`."""
        if launch.is_empty:
            return
        run = function(launch.kernel, self._number)
        if launch.shared > _SHARED_UNASKED and launch.shared > run.max_dynamic_shared_size_bytes:
            run.max_dynamic_shared_size_bytes = launch.shared
        run(launch.grid, launch.block, (*given, *launch.scalars), shared_mem=launch.shared)


_emulator: ContextVar[Device | None] = ContextVar("upsample_cuda_emulator", default=None)
emulated: Callable[[], Device | None] = _emulator.get
"""Return the emulator that is in use, or None."""
_devices: dict[int, CupyDevice] = {}


@contextmanager
def emulating(device: Device) -> Iterator[None]:
    """Within this block, the engine takes NumPy arrays and launches on `device`; for tests."""
    token = _emulator.set(device)
    try:
        yield
    finally:
        _emulator.reset(token)


@contextmanager
def of(x: Array) -> Iterator[Device]:
    """Yield the device of an array; within, it and the array's stream are the current ones."""
    emulator = _emulator.get()
    if emulator is not None:
        yield emulator
        return
    import cupy

    if isinstance(x, cupy.ndarray):
        with cupy.cuda.Device(x.device.id):
            yield _numbered(x.device.id)
        return
    import torch

    tensor: Any = x
    number = tensor.device.index
    with cupy.cuda.Device(number), _foreign(torch.cuda.current_stream(number).cuda_stream):
        yield _numbered(number)


class _Handle:
    """A CUDA stream of another library, as CUDA's protocol for streams has it; older torch lacks the method."""

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.pointer


@lru_cache(maxsize=256)
def _foreign(pointer: int) -> Any:
    """Return CuPy's object for a stream that it does not own."""
    import cupy

    return cupy.cuda.Stream.from_external(_Handle(pointer))


def _numbered(number: int) -> CupyDevice:
    made = _devices.get(number)
    if made is None:
        made = _devices.setdefault(number, CupyDevice(number))
    return made

"""The device that runs launches: a GPU through CuPy, or in tests an emulator on the CPU.

An op's `run` reads ``with device.of(x) as gpu:`` and then asks `gpu` for its arrays, tables and launches. Inside, the
array's device and stream are the current ones: CuPy's own stream for CuPy arrays, torch's for torch tensors, which
CuPy reads and writes through DLPack without a copy. Scratch memory comes from the array's own library.
"""

from __future__ import annotations

import math
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, lru_cache
from types import ModuleType
from typing import Any, Protocol

import numpy as np

from upsample import arrays
from upsample.arrays import Array
from upsample.engines.cuda.runtime.flags import BYTES, Flags
from upsample.engines.cuda.runtime.launch import INDEX_LIMIT, Launch
from upsample.engines.cuda.runtime.loader import function

__all__ = ["Device", "Tables", "address", "emulated", "emulating", "is_aligned", "of", "synchronize"]

_CACHED_BYTES = 1 << 26
"""Most bytes of tables that each device caches."""

_SHARED_DEFAULT = 48 << 10
"""Bytes of shared memory that a kernel may use without setting an attribute first; a limit of CUDA."""


class Device(Protocol):
    """A GPU as an op's `run` uses it; tests replace it by an emulator.

    Attributes
    ----------
    xp : module
        The namespace of the device's arrays.
    index_limit : int
        Least offset that needs 64-bit indices.
    processors : int
        Number of multiprocessors; it decides the grids of launches.
    shared_limit : int
        Most bytes of shared memory of a block.
    flags : Flags
        Flags that kernels set and the host reads.
    """

    xp: ModuleType
    index_limit: int
    processors: int
    shared_limit: int
    flags: Flags

    def wait(self) -> None:
        """Wait for the launches of the current stream."""

    def borrow(self, x: Array) -> Any:
        """Return a C-contiguous array of the values, each aligned to its size; a copy only if `x` is not so already."""

    def view(self, x: Array) -> Any:
        """Return a view of the array's memory with its strides."""

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Allocate scratch memory."""

    def result(self, xp: ModuleType, shape: tuple[int, ...], dtype: Any, like: Array) -> Array:
        """Allocate an uninitialized array of the caller's library."""

    def tables(self, make: Callable[..., tuple[np.ndarray[Any, Any], ...]], *key: Hashable) -> tuple[Any, ...]:
        """Return ``make(*key)`` on the device; later calls reuse the tables."""

    def launch(self, launch: Launch, *given: Any) -> None:
        """Run a launch on arrays (None is a null pointer); do nothing if its grid is empty."""


class Tables:
    """A cache of tables on a device: least recently used first out, bounded in bytes.

    The first call of a geometry uploads its tables. If the cache then exceeds its bound, the call waits for the device
    when old tables are freed. Later calls do neither, and a CUDA graph can capture them.
    """

    def __init__(self, upload: Callable[[np.ndarray[Any, Any]], Any]) -> None:
        self._upload = upload
        self._cached: OrderedDict[Hashable, tuple[Any, ...]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, make: Callable[..., tuple[np.ndarray[Any, Any], ...]], key: tuple[Hashable, ...]) -> tuple[Any, ...]:
        """Return the tables of a key; the first use makes and uploads them."""
        name = (make, *key)
        with self._lock:
            tables = self._cached.get(name)
            if tables is not None:
                self._cached.move_to_end(name)
                return tables
            tables = tuple(self._upload(table) for table in make(*key))
            self._cached[name] = tables
            self._bytes += sum(table.nbytes for table in tables)
            dropped = []
            while self._bytes > _CACHED_BYTES and len(self._cached) > 1:
                dropped.append(self._cached.popitem(last=False)[1])
                self._bytes -= sum(table.nbytes for table in dropped[-1])
        del dropped  # outside of the lock, because freeing waits for the device
        return tables


def address(memory: Any) -> int:
    """Return the address at which an array of a device begins."""
    return int(memory.ctypes.data if hasattr(memory, "ctypes") else memory.data.ptr)


def is_aligned(memory: Any) -> bool:
    """Tell whether values are aligned to their size, as kernels need; views as complex128 often are not."""
    return address(memory) % int(memory.dtype.itemsize) == 0


class CupyDevice:
    """A GPU, for CuPy arrays."""

    def __init__(self, number: int) -> None:
        import cupy

        self.index_limit = INDEX_LIMIT
        self._cupy, self._number = cupy, number
        self.xp = cupy
        properties = cupy.cuda.runtime.getDeviceProperties(number)
        self.processors = int(properties["multiProcessorCount"])
        self.shared_limit = int(properties["sharedMemPerBlockOptin"])
        self._tables = Tables(self._upload)
        self.flags = self._pinned()

    def _pinned(self) -> Flags:
        """Return flags in pinned host memory, which kernels write directly: unified addressing maps all of it."""
        cuda = self._cupy.cuda
        memory = cuda.alloc_pinned_memory(BYTES)
        unowned = cuda.UnownedMemory(memory.ptr, BYTES, memory, self._number)
        seen = self._cupy.ndarray((BYTES,), np.uint8, cuda.MemoryPointer(unowned, 0))
        return Flags(np.frombuffer(memory, np.uint8, BYTES), seen)

    def wait(self) -> None:
        """See `Device`."""
        self._cupy.cuda.get_current_stream().synchronize()

    def _upload(self, table: np.ndarray[Any, Any]) -> Any:
        """Copy a table to the device on a stream of its own, and wait for it, so that any stream may read the table.

        The memory comes from no pool. A pool would reuse it as soon as the table is dropped, while launches of other
        streams still read it; freeing the memory waits for them.
        """
        cuda = self._cupy.cuda
        if cuda.get_current_stream().is_capturing():
            raise RuntimeError(
                "upsample: the first call of a geometry uploads its tables, which a CUDA graph cannot capture; make one"
                " such call before the capture"
            )
        with cuda.using_allocator(None), cuda.Stream(non_blocking=True) as stream:
            uploaded = self._cupy.asarray(np.ascontiguousarray(table))
            stream.synchronize()
        return uploaded

    def borrow(self, x: Any) -> Any:
        """See `Device`."""
        if x.flags.c_contiguous and not is_aligned(x):
            return x.copy()
        return self._cupy.ascontiguousarray(x)

    def view(self, x: Array) -> Any:
        """See `Device`."""
        return x

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """See `Device`."""
        return self._cupy.empty(shape, dtype)

    def result(self, xp: ModuleType, shape: tuple[int, ...], dtype: Any, like: Array) -> Array:
        """See `Device`."""
        result: Array = xp.empty(shape, dtype=dtype, device=arrays.device_of(like))
        return result

    def tables(self, make: Callable[..., tuple[np.ndarray[Any, Any], ...]], *key: Hashable) -> tuple[Any, ...]:
        """See `Device`."""
        return self._tables.get(make, key)

    def launch(self, launch: Launch, *given: Any) -> None:
        """See `Device`."""
        if not launch.is_empty:
            run = self.prepared(launch)
            run(launch.grid, launch.block, (*given, *launch.scalars), shared_mem=launch.shared)

    def prepared(self, launch: Launch) -> Any:
        """Return the function of a launch, after a request for the shared memory that it needs."""
        run = function(launch.kernel, self._number)
        if launch.shared > _SHARED_DEFAULT and launch.shared > run.max_dynamic_shared_size_bytes:
            run.max_dynamic_shared_size_bytes = launch.shared
        return run

    def within(self, play: Callable[[tuple[Any, ...]], Any], given: tuple[Any, ...]) -> Any:
        """Return ``play(given)``, called on this device and the current stream of the arrays' library."""
        cuda = self._cupy.cuda
        if cuda.runtime.getDevice() == self._number:
            return play(given)
        with cuda.Device(self._number):
            return play(given)

    def fresh(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Allocate the result of a repeated call."""
        return self._cupy.empty(shape, dtype)

    def scratch(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Allocate scratch memory of a repeated call."""
        return self._cupy.empty(shape, dtype)

    def addresses(self, memory: list[Any]) -> list[Any]:
        """Convert arrays to arguments of a launch."""
        return memory


class TorchDevice(CupyDevice):
    """A GPU, for torch tensors: all memory except that of tables comes from torch's allocator.

    `of` sets `allocate` as CuPy's allocator, so that temporaries of CuPy operations come from torch too. torch's
    allocator keeps account of torch's streams and of CUDA graphs that are being captured. A CuPy pool does not: it
    would reuse memory that a graph writes in each replay.
    """

    def __init__(self, beside: CupyDevice) -> None:
        self.__dict__.update(beside.__dict__)

    def borrow(self, x: Any) -> Any:
        """See `Device`."""
        tensor = _plain(x).contiguous()
        return self._seen(tensor if tensor.data_ptr() % tensor.element_size() == 0 else tensor.clone())

    def view(self, x: Array) -> Any:
        """See `Device`."""
        return self._seen(_plain(x))

    def allocate(self, size: int) -> Any:
        """Return memory from torch's allocator in CuPy's form: at least `size` bytes, for the current stream."""
        import torch

        block = torch.empty(max(size, 1), dtype=torch.uint8, device=torch.device("cuda", self._number))
        memory = self._cupy.cuda.UnownedMemory(block.data_ptr(), block.numel(), block, self._number)
        return self._cupy.cuda.MemoryPointer(memory, 0)

    @cached_property
    def _place(self) -> Any:
        return _torch().device("cuda", self._number)

    def within(self, play: Callable[[tuple[Any, ...]], Any], given: tuple[Any, ...]) -> Any:
        """See `CupyDevice`."""
        cuda = self._cupy.cuda
        if cuda.runtime.getDevice() == self._number:
            with _foreign(_current_stream(self._number)):
                return play(given)
        with cuda.Device(self._number), _foreign(_current_stream(self._number)):
            return play(given)

    def fresh(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """See `CupyDevice`."""
        return _torch().empty(shape, dtype=dtype, device=self._place)

    def scratch(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """See `CupyDevice`."""
        torch = _torch()
        return torch.empty(math.prod(shape) * dtype.itemsize, dtype=torch.uint8, device=self._place)

    def addresses(self, memory: list[Any]) -> list[Any]:
        """See `CupyDevice`; an argument that is a pointer has eight bytes."""
        return [np.uint64(tensor.data_ptr()) for tensor in memory]

    def _seen(self, tensor: Any) -> Any:
        """Return a CuPy array that shares a tensor's memory."""
        import torch
        from torch.utils.dlpack import to_dlpack  # Tensor.__dlpack__ synchronizes streams, which `of` has set

        if tensor.dtype == torch.bfloat16:  # CuPy's DLPack lacks this dtype, and kernels need only the bits
            tensor = tensor.view(torch.int16)
        elif tensor.dtype == torch.bool:  # older versions of DLPack lack it
            tensor = tensor.view(torch.uint8)
        return self._cupy.from_dlpack(to_dlpack(tensor))


def _plain(tensor: Any) -> Any:
    """Detach a tensor from autograd, and resolve lazy conjugates and negatives."""
    return tensor.detach().resolve_conj().resolve_neg()


_emulator: ContextVar[Device | None] = ContextVar("upsample_cuda_emulator", default=None)
emulated: Callable[[], Device | None] = _emulator.get
"""Return the active emulator, or None."""
_devices: dict[int, tuple[CupyDevice, TorchDevice]] = {}
"""The devices of each GPU, by its number: one for CuPy arrays, one for torch tensors."""


@contextmanager
def emulating(device: Device) -> Iterator[None]:
    """Let the engine run NumPy arrays on `device` within this block; for tests."""
    token = _emulator.set(device)
    try:
        yield
    finally:
        _emulator.reset(token)


@contextmanager
def of(x: Array) -> Iterator[Device]:
    """Yield the device of an array, and make it and the array's stream current within the block."""
    emulator = _emulator.get()
    if emulator is not None:
        yield emulator
        return
    import cupy

    if isinstance(x, cupy.ndarray):
        with cupy.cuda.Device(x.device.id):
            yield _numbered(x.device.id)[0]
        return
    tensor: Any = x
    number = tensor.device.index
    with cupy.cuda.Device(number):
        gpu = _numbered(number)[1]
        with _foreign(_current_stream(number)), cupy.cuda.using_allocator(gpu.allocate):
            yield gpu


class _Handle:
    """A stream of another library, with the method of CUDA's stream protocol: streams of older torch lack it."""

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self.pointer


def _torch() -> Any:
    return sys.modules["torch"]


def _current_stream(number: int) -> int:
    """Return the handle of torch's current stream on a device; creating the stream object would take 2 µs."""
    raw = getattr(_torch()._C, "_cuda_getCurrentRawStream", None)
    return int(raw(number) if raw is not None else _torch().cuda.current_stream(number).cuda_stream)


@lru_cache(maxsize=256)
def _foreign(pointer: int) -> Any:
    """Return CuPy's object for a stream that it does not own."""
    import cupy

    return cupy.cuda.Stream.from_external(_Handle(pointer))


def synchronize() -> None:
    """Wait for the GPUs and raise the errors that their kernels have found; see `upsample.synchronize`."""
    emulator = _emulator.get()
    if emulator is not None:
        emulator.flags.raise_found()
    for number, (gpu, _) in list(_devices.items()):
        import cupy

        cupy.cuda.Device(number).synchronize()
        gpu.flags.raise_found()


def _numbered(number: int) -> tuple[CupyDevice, TorchDevice]:
    pair = _devices.get(number)
    if pair is None:
        gpu = CupyDevice(number)
        pair = _devices.setdefault(number, (gpu, TorchDevice(gpu)))
    return pair

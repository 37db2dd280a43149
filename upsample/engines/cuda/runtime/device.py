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
    flags : Flags
        What kernels tell the host.
    """

    xp: ModuleType
    index_limit: int
    processors: int
    shared_limit: int
    flags: Flags

    def wait(self) -> None:
        """Wait for the launches of the current stream."""

    def borrow(self, x: Array) -> Any:
        """Return the array as the kernels read it: in row-major order, without gaps, each value aligned to its size.

        An array that is all of this is not copied.
        """

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


def address(memory: Any) -> int:
    """Return where an array of a device begins."""
    return int(memory.ctypes.data if hasattr(memory, "ctypes") else memory.data.ptr)


def is_aligned(memory: Any) -> bool:
    """Say whether values begin at multiples of their size, as kernels need: complex128 views often do not."""
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
        """Return flags in memory that a kernel writes without a copy: unified addressing maps all pinned memory."""
        cuda = self._cupy.cuda
        memory = cuda.alloc_pinned_memory(BYTES)
        unowned = cuda.UnownedMemory(memory.ptr, BYTES, memory, self._number)
        seen = self._cupy.ndarray((BYTES,), np.uint8, cuda.MemoryPointer(unowned, 0))
        return Flags(np.frombuffer(memory, np.uint8, BYTES), seen)

    def wait(self) -> None:
        """See `Device`."""
        self._cupy.cuda.get_current_stream().synchronize()

    def _upload(self, table: np.ndarray[Any, Any]) -> Any:
        """Copy by a stream of its own, and wait for that alone: any stream may read the table from then on.

        The memory is no pool's, for a pool would give it to others as soon as the table is dropped, while launches of
        other streams still read it; freeing it waits for them.
        """
        cuda = self._cupy.cuda
        if cuda.get_current_stream().is_capturing():
            raise RuntimeError(
                "upsample: the first call of a geometry uploads its tables, which a CUDA graph cannot capture; make one"
                " such call before the capture"
            )
        with cuda.using_allocator(None), cuda.Stream(non_blocking=True) as stream:
            made = self._cupy.asarray(np.ascontiguousarray(table))
            stream.synchronize()
        return made

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
        made: Array = xp.empty(shape, dtype=dtype, device=arrays.device_of(like))
        return made

    def tables(self, make: Callable[..., tuple[np.ndarray[Any, Any], ...]], *key: Hashable) -> tuple[Any, ...]:
        """See `Device`."""
        return self._tables.get(make, key)

    def launch(self, launch: Launch, *given: Any) -> None:
        """See `Device`."""
        if not launch.is_empty:
            run = self.prepared(launch)
            run(launch.grid, launch.block, (*given, *launch.scalars), shared_mem=launch.shared)

    def prepared(self, launch: Launch) -> Any:
        """Return a launch's function, with as much shared memory as it needs."""
        run = function(launch.kernel, self._number)
        if launch.shared > _SHARED_UNASKED and launch.shared > run.max_dynamic_shared_size_bytes:
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
        """Make the result of a repeated call."""
        return self._cupy.empty(shape, dtype)

    def scratch(self, shape: tuple[int, ...], dtype: Any) -> Any:
        """Make scratch memory of a repeated call."""
        return self._cupy.empty(shape, dtype)

    def addresses(self, memory: list[Any]) -> list[Any]:
        """Return arrays as launches take them."""
        return memory


class TorchDevice(CupyDevice):
    """The same GPU, for torch tensors: all memory except that of tables comes from torch's allocator.

    `of` makes `allocate` CuPy's allocator, so that this holds for temporaries of CuPy's own operations, too. torch's
    allocator knows torch's streams and which of its CUDA graphs is being captured; a CuPy pool does not, and would give
    memory that a graph writes in each replay to another call.
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

        made = torch.empty(max(size, 1), dtype=torch.uint8, device=torch.device("cuda", self._number))
        memory = self._cupy.cuda.UnownedMemory(made.data_ptr(), made.numel(), made, self._number)
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
        """See `CupyDevice`; a pointer is eight bytes, as a kernel's argument too."""
        return [np.uint64(tensor.data_ptr()) for tensor in memory]

    def _seen(self, tensor: Any) -> Any:
        """Return a tensor's memory as CuPy's array, without a copy."""
        import torch
        from torch.utils.dlpack import to_dlpack  # Tensor.__dlpack__ synchronizes streams, which `of` has set

        if tensor.dtype == torch.bfloat16:  # CuPy's DLPack has no such dtype; kernels only ask for the bits
            tensor = tensor.view(torch.int16)
        elif tensor.dtype == torch.bool:  # older DLPacks have none
            tensor = tensor.view(torch.uint8)
        return self._cupy.from_dlpack(to_dlpack(tensor))


def _plain(tensor: Any) -> Any:
    """Return a tensor apart from autograd whose memory has its values, not their conjugates or negatives."""
    return tensor.detach().resolve_conj().resolve_neg()


_emulator: ContextVar[Device | None] = ContextVar("upsample_cuda_emulator", default=None)
emulated: Callable[[], Device | None] = _emulator.get
"""Return the emulator that is in use, or None."""
_devices: dict[int, tuple[CupyDevice, TorchDevice]] = {}
"""By a GPU's number: for CuPy arrays, and for torch tensors."""


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
            yield _numbered(x.device.id)[0]
        return
    tensor: Any = x
    number = tensor.device.index
    with cupy.cuda.Device(number):
        gpu = _numbered(number)[1]
        with _foreign(_current_stream(number)), cupy.cuda.using_allocator(gpu.allocate):
            yield gpu


class _Handle:
    """A CUDA stream of another library, as CUDA's protocol for streams has it; older torch lacks the method."""

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
    """Wait for the GPUs and raise what their kernels have found; see `upsample.synchronize`."""
    emulator = _emulator.get()
    if emulator is not None:
        emulator.flags.raise_found()
    for number, (gpu, _) in list(_devices.items()):
        import cupy

        cupy.cuda.Device(number).synchronize()
        gpu.flags.raise_found()


def _numbered(number: int) -> tuple[CupyDevice, TorchDevice]:
    made = _devices.get(number)
    if made is None:
        gpu = CupyDevice(number)
        made = _devices.setdefault(number, (gpu, TorchDevice(gpu)))
    return made

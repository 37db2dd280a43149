"""``cupy.cuda``: devices, streams, allocators, and kernels that run on the emulator."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from double import memory
from double.memory import Block, Event, Misuse

__all__ = ["CUDARuntimeError", "CompileException", "Device", "Event_", "MemoryPool", "RawKernel", "RawModule", "Stream"]

DEVICES = 2
ORDER = 7
"""In which order the emulator runs threads and blocks."""
compile_really: Callable[[str, str, tuple[str, ...]], None] | None = None
"""What is given each program, its entry and its options, if a test wants the real compiler."""


class CompileException(Exception):
    """CuPy's."""


class CUDARuntimeError(RuntimeError):
    """CuPy's."""


class _State(threading.local):
    def __init__(self) -> None:
        self.device = 0
        self.streams: dict[int, list[Stream]] = {n: [] for n in range(DEVICES)}
        self.allocators: list[Callable[[int], Any] | None] = []


_state = _State()


class Device:
    def __init__(self, device: Any = None) -> None:
        self.id = _state.device if device is None else int(device)
        self._before: list[int] = []

    def __int__(self) -> int:
        return self.id

    def __enter__(self) -> Device:
        self._before.append(_state.device)
        _state.device = self.id
        return self

    def __exit__(self, *args: object) -> None:
        _state.device = self._before.pop()

    def use(self) -> Device:
        _state.device = self.id
        return self

    def synchronize(self) -> None:
        note("wait", "device")
        memory.seen_by_all(None)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and other.id == self.id

    def __hash__(self) -> int:
        return self.id

    def __repr__(self) -> str:
        return f"<CUDA Device {self.id}>"

    compute_capability = "90"


_numbers = itertools.count(1)


class Stream:
    null: Stream

    def __init__(
        self, null: bool = False, non_blocking: bool = False, ptds: bool = False, priority: Any = None
    ) -> None:
        self.ptr = 0 if null else next(_numbers)
        self.device_id = -1 if null else _state.device
        self.external = False

    @classmethod
    def from_external(cls, obj: Any) -> Stream:
        version, pointer = obj.__cuda_stream__()
        if not isinstance(version, int) or not isinstance(pointer, int):
            raise TypeError("__cuda_stream__ must return a tuple of two int")
        made = cls.__new__(cls)
        made.ptr, made.device_id, made.external = pointer, -1, True
        return made

    def __enter__(self) -> Stream:
        if self.device_id not in (-1, _state.device):
            raise Misuse(f"a stream of device {self.device_id} is entered on device {_state.device}")
        _state.streams[_state.device].append(self)
        return self

    def __exit__(self, *args: object) -> None:
        _state.streams[_state.device].pop()

    @property
    def done(self) -> bool:
        return not memory.is_written_by(self.ptr)

    def is_capturing(self) -> bool:
        return False

    def synchronize(self) -> None:
        note("wait", f"stream {self.ptr}")
        memory.seen_by_all(self.ptr)

    def record(self, event: Any = None) -> Any:
        return event

    def wait_event(self, event: Any) -> None:
        memory.seen_by_all(None)


Stream.null = Stream(null=True)


def current() -> Stream:
    """Return the current stream of the current device."""
    own = _state.streams[_state.device]
    return own[-1] if own else Stream.null


def get_current_stream(device_id: int = -1) -> Stream:
    return current()


def note(kind: str, what: str) -> None:
    """Record an event."""
    memory.record.append(Event(kind, _state.device, current().ptr, _allocator(), what))


def _allocator() -> str:
    if not _state.allocators:
        return "pool"
    return "direct" if _state.allocators[-1] is None else "torch"


def allocated(size: int) -> Block:
    """Allocate by the current allocator; new memory is garbage."""
    note("allocate", f"{size} bytes")
    own = _state.allocators[-1] if _state.allocators else None
    if own is not None:
        pointer = own(size)
        return Block(pointer.mem.buffer, "torch", pointer.mem.device_id, pointer.mem.stream)
    buffer = np.full(size + 256, 0xFF, dtype=np.uint8)
    begin = -buffer.ctypes.data % 256
    return Block(buffer[begin : begin + size], _allocator(), _state.device)


def check_device(block: Block, what: str) -> None:
    """Raise `Misuse` for memory of a device that is not the current one."""
    if block.device != _state.device:
        raise Misuse(f"{what}: memory of device {block.device}, and the current one is {_state.device}")


@contextmanager
def using_allocator(allocator: Any = None) -> Iterator[None]:
    _state.allocators.append(allocator)
    try:
        yield
    finally:
        _state.allocators.pop()


def set_allocator(allocator: Any = None) -> None:
    if _state.allocators:
        raise ValueError("set_allocator within using_allocator")


class UnownedMemory:
    def __init__(self, ptr: int, size: int, owner: Any, device_id: int = -1) -> None:
        self.ptr, self.size, self.device_id = ptr, size, device_id
        self.owner = owner
        self.buffer, self.stream = (
            (owner.block.buffer, None) if isinstance(owner, PinnedMemory) else owner_memory(owner)
        )


class PinnedMemory(bytearray):
    """Page-locked memory of the host: a GPU writes it, and the host sees that once it has waited for something."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        host = np.frombuffer(self, dtype=np.uint8)
        self.ptr = int(host.ctypes.data)
        self.block = Block(np.zeros(size, dtype=np.uint8), "pinned", _state.device)
        memory.pinned.append((host, self.block))


def alloc_pinned_memory(size: int) -> PinnedMemory:
    return PinnedMemory(size)


def owner_memory(owner: Any) -> tuple[np.ndarray, int]:
    from double import torch_cuda

    return torch_cuda.memory_of(owner)


class MemoryPool:
    def __init__(self, allocator: Any = None) -> None:
        pass

    def free_all_blocks(self, stream: Any = None) -> None:
        pass


class Event_:
    def __init__(self, block: bool = False, disable_timing: bool = False, interprocess: bool = False) -> None:
        self.time = 0.0

    def record(self, stream: Any = None) -> None:
        self.time = time.perf_counter()

    def synchronize(self) -> None:
        memory.seen_by_all(None)


_DEFINE = re.compile(r"#define (\w+) (.*)\n")


class RawKernel:
    def __init__(
        self,
        code: str,
        name: str,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        translate_cucomplex: bool = False,
        *,
        enable_cooperative_groups: bool = False,
        jitify: Any = None,
    ) -> None:
        if not isinstance(options, tuple) or not all(type(option) is str for option in options):
            raise TypeError("options must be a tuple of str")
        self.max_dynamic_shared_size_bytes = 48 << 10
        self._kernel: Any = None
        if "void delay(" in code:
            return
        from emulator.device import _loaded
        from emulator.listing import listed

        from upsample.engines.cuda.runtime.launch import Kernel

        macros, at = [], 0
        while found := _DEFINE.match(code, at):
            macros.append((found[1], found[2]))
            at = found.end()
        named = re.match(r'#line 1 "(\w+)\.cu"\n', code[at:])
        assert named is not None, code[:200]
        self._kernel = Kernel(named[1], name, tuple(macros))
        self._library = _loaded(named[1], listed(named[1]))
        if self._kernel not in self._library:
            raise CUDARuntimeError(f"CUDA_ERROR_NOT_FOUND: named symbol not found: {name}")
        if compile_really is not None:
            compile_really(code, name, options)

    def __call__(self, grid: Any, block: Any, args: Any, *, shared_mem: int = 0) -> None:
        for numbers in (grid, block):
            if not isinstance(numbers, tuple) or not all(type(n) is int for n in numbers):
                raise TypeError(f"a grid or block of int is wanted: {numbers}")
        if not 1 <= grid[0] < 2**31 or max((1, *grid[1:])) > 65535:
            raise CUDARuntimeError(f"CUDA_ERROR_INVALID_VALUE: grid {grid}")
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise CUDARuntimeError(f"CUDA_ERROR_INVALID_VALUE: {shared_mem} bytes of shared memory were not asked for")
        note("launch", str(self._kernel))
        if self._kernel is None:
            return
        from upsample.engines.cuda.runtime.launch import Launch

        given, scalars = _split(args)
        launch = Launch(self._kernel, grid, block, shared_mem, tuple(scalars))
        self._library.launch(launch, tuple(given), ORDER)


def _split(args: Any) -> tuple[list[Any], list[Any]]:
    """Arrays as NumPy has them, and scalars; what CuPy does not take is refused, and what a stream would misread."""
    from double.arrays import ndarray

    given: list[Any] = []
    scalars: list[Any] = []
    stream = current()
    blocks = [a._block for a in args if isinstance(a, ndarray)]
    memory.write_pinned()
    for block in blocks:
        check_device(block, "a launch")
        if block.allocator != "pinned":
            memory.checked_read(block, stream.ptr, "a launch")
        if stream.external and block.allocator == "pool":
            raise Misuse(f"a launch on torch's stream {stream.ptr}: memory of CuPy's pool, which does not know it")
    for a in args:
        if a is None or isinstance(a, np.uint64):  # an address: kernels take no such number otherwise
            given.append(a)
        elif isinstance(a, ndarray):
            given.append(a._a)
        elif isinstance(a, np.generic) or (isinstance(a, np.ndarray) and a.size == 1 and a.ndim == 0):
            scalars.append(a)
        else:
            raise TypeError(f"Unsupported type {type(a)}")
    for block in blocks:  # any of them may be what is written
        if block.stream is not None or not _is_table(block):
            memory.written(block, stream.ptr)
    return given, scalars


def _is_table(block: Block) -> bool:
    return block.allocator == "direct"


class RawModule:
    def __init__(
        self,
        code: Any = None,
        *,
        path: Any = None,
        options: tuple[str, ...] = (),
        backend: str = "nvrtc",
        translate_cucomplex: bool = False,
        enable_cooperative_groups: bool = False,
        name_expressions: Any = None,
        jitify: Any = None,
    ) -> None:
        self.code, self.options = code, options

    def get_function(self, name: str) -> RawKernel:
        return RawKernel(self.code, name, self.options)

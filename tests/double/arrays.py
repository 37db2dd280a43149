"""``cupy.ndarray`` and CuPy's functions, on NumPy memory."""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from double import cuda, memory

__all__ = ["FUNCTIONS", "function", "module_like", "ndarray"]


def bare(value: Any) -> Any:
    """Return what NumPy computes with; refuse NumPy arrays, as CuPy does."""
    if isinstance(value, ndarray):
        value.read("an operation")
        return value._a
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(bare(v) for v in value)
    if isinstance(value, dict):
        return {key: bare(v) for key, v in value.items()}
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return value


def wrapped(value: Any) -> Any:
    """Return CuPy's arrays for NumPy's, in memory of the current allocator, written by the current stream."""
    if isinstance(value, (np.ndarray, np.generic)):
        made = ndarray(np.shape(value), value.dtype)
        made._a[...] = value
        return made
    if isinstance(value, (tuple, list)):
        return type(value)(map(wrapped, value))
    return value


class MemoryPointer:
    """Where an array begins."""

    def __init__(self, mem: Any, offset: int) -> None:
        self.mem, self._offset = mem, offset

    @property
    def ptr(self) -> int:
        return int(self.mem.ptr + self._offset)

    @property
    def device_id(self) -> int:
        return int(self.mem.device_id)


class ndarray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array of a GPU."""

    __array_priority__ = 100
    _a: np.ndarray
    _block: memory.Block

    def __init__(
        self, shape: Any, dtype: Any = float, memptr: Any = None, strides: Any = None, order: str = "C"
    ) -> None:
        dtype = np.dtype(dtype)
        if memptr is not None and isinstance(memptr.mem.owner, cuda.PinnedMemory):
            self._block = memptr.mem.owner.block
            self._a = np.ndarray(shape, dtype, self._block.buffer)
            return
        if memptr is not None or strides is not None:
            raise NotImplementedError("the double makes arrays of its own memory and of pinned memory alone")
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        self._block = cuda.allocated(size)
        self._a = np.ndarray(shape, dtype, self._block.buffer, order=order)  # type: ignore[call-overload]

    @classmethod
    def view_of(cls, a: np.ndarray, block: memory.Block) -> ndarray:
        made = cls.__new__(cls)
        made._a, made._block = a, block
        return made

    def read(self, what: str) -> None:
        cuda.check_device(self._block, what)
        memory.checked_read(self._block, cuda.current().ptr, what)

    def wrote(self) -> None:
        memory.written(self._block, cuda.current().ptr)

    def _same(self, a: Any) -> Any:
        """An array of the same memory, or a copy where NumPy made one."""
        if isinstance(a, np.ndarray) and np.may_share_memory(a, self._a):
            return ndarray.view_of(a, self._block)
        return wrapped(a)

    shape = property(lambda self: self._a.shape)
    dtype = property(lambda self: self._a.dtype)
    ndim = property(lambda self: self._a.ndim)
    size = property(lambda self: self._a.size)
    itemsize = property(lambda self: self._a.itemsize)
    nbytes = property(lambda self: self._a.nbytes)
    strides = property(lambda self: self._a.strides)
    flags = property(lambda self: self._a.flags)
    T = property(lambda self: self._same(self._a.T))
    device = property(lambda self: cuda.Device(self._block.device))

    @property
    def data(self) -> MemoryPointer:
        begin = self._a.__array_interface__["data"][0]
        mem = types.SimpleNamespace(ptr=begin, device_id=self._block.device, owner=self._block)
        return MemoryPointer(mem, 0)

    @property
    def real(self) -> Any:
        return self._same(self._a.real)

    @real.setter
    def real(self, value: Any) -> None:
        self._a.real = bare(value)
        self.wrote()

    @property
    def imag(self) -> Any:
        return self._same(self._a.imag)

    @imag.setter
    def imag(self, value: Any) -> None:
        self._a.imag = bare(value)
        self.wrote()

    def get(self, stream: Any = None, order: str = "C", out: Any = None, blocking: bool = True) -> np.ndarray:
        memory.checked_read(self._block, (stream or cuda.current()).ptr, "a copy to the host")
        cuda.note("wait", "get")
        memory.seen_by_all((stream or cuda.current()).ptr)
        return np.array(self._a, order=order)  # type: ignore[call-overload,no-any-return]

    def tobytes(self, order: str = "C") -> bytes:
        return self.get().tobytes(order)  # type: ignore[arg-type]

    def item(self) -> Any:
        return self.get().item()

    def fill(self, value: Any) -> None:
        self._a.fill(bare(value))
        self.wrote()

    def astype(self, dtype: Any, order: str = "K", casting: Any = None, subok: Any = None, copy: bool = True) -> Any:
        if not copy and self._a.dtype == dtype:
            return self
        return wrapped(self._a.astype(dtype, order=order))  # type: ignore[call-overload]

    def copy(self, order: str = "C") -> Any:
        self.read("a copy")
        return wrapped(self._a.copy(order=order))  # type: ignore[arg-type]

    def view(self, dtype: Any = None, array_class: Any = None) -> Any:
        return self._same(self._a.view(dtype) if dtype is not None else self._a.view())

    def reshape(self, *shape: Any, order: str = "C") -> Any:
        return self._same(self._a.reshape(*shape, order=order))  # type: ignore[call-overload]

    def __getitem__(self, key: Any) -> Any:
        return self._same(self._a[bare(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(value, np.ndarray) and value.ndim:
            raise TypeError("non-scalar numpy.ndarray cannot be used for fill")
        self._a[bare(key)] = bare(value)
        self.wrote()

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is not None:
            getattr(ufunc, method)(*bare(args), out=tuple(o._a for o in out), **kwargs)
            for o in out:
                o.wrote()
            return out[0]
        return wrapped(getattr(ufunc, method)(*bare(args), **kwargs))

    def __array_function__(self, f: Any, types_: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(f(*bare(args), **bare(kwargs)))

    def __bool__(self) -> bool:
        return bool(self.get())

    def __int__(self) -> int:
        return int(self.get())

    def __float__(self) -> float:
        return float(self.get())

    def __index__(self) -> int:
        return self.get().__index__()

    def __len__(self) -> int:
        return len(self._a)

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        return repr(self._a)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, self._block.device

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        return self._a.__dlpack__()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("ctypes", "_a", "_block"):
            raise AttributeError(name)
        f = getattr(np.ndarray, name)
        if not callable(f):
            raise AttributeError(name)
        return lambda *args, **kwargs: self._same(getattr(self._a, name)(*bare(args), **bare(kwargs)))


def empty(shape: Any, dtype: Any = float, order: str = "C") -> ndarray:
    return ndarray(shape, dtype, order=order)


def asarray(a: Any, dtype: Any = None, order: Any = None, *, copy: Any = None, blocking: bool = False) -> ndarray:
    if isinstance(a, ndarray) and not copy:
        return a if dtype is None or a.dtype == dtype else a.astype(dtype)
    return _uploaded(a._a if isinstance(a, ndarray) else a, dtype, order or "K")


def array(
    obj: Any, dtype: Any = None, copy: bool = True, order: str = "K", subok: bool = False, ndmin: int = 0, *,
    blocking: bool = False,
) -> ndarray:  # fmt: skip
    return _uploaded(obj._a if isinstance(obj, ndarray) else obj, dtype, order, ndmin)


def _uploaded(a: Any, dtype: Any, order: Any, ndmin: int = 0) -> ndarray:
    values = np.array(a, dtype=dtype, order=order, ndmin=ndmin)
    made: ndarray = wrapped(values)
    cuda.note("copy", f"{values.nbytes} bytes")
    if values.flags.f_contiguous and not values.flags.c_contiguous:
        made._a = np.ndarray(values.shape, values.dtype, made._block.buffer, order="F")
        made._a[...] = values
    made.wrote()
    return made


def asnumpy(a: Any, stream: Any = None, order: str = "C", out: Any = None, *, blocking: bool = True) -> np.ndarray:
    return a.get(order=order) if isinstance(a, ndarray) else np.asarray(a)


def ascontiguousarray(a: Any, dtype: Any = None) -> Any:
    if isinstance(a, ndarray) and a.flags.c_contiguous and (dtype is None or a.dtype == dtype):
        return a
    return wrapped(np.ascontiguousarray(bare(a), dtype))


def concatenate(tup: Any, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return wrapped(np.concatenate([bare(t) for t in tup], axis=axis, dtype=dtype, casting=casting))  # type: ignore[call-overload]


def from_dlpack(array: Any, *, device: Any = None, copy: Any = None) -> ndarray:
    from double import torch_cuda

    return torch_cuda.seen(array)


FUNCTIONS = {f.__name__: f for f in (empty, asarray, array, asnumpy, ascontiguousarray, concatenate, from_dlpack)}
"""What has a signature of its own; all else is NumPy's, wrapped."""


def function(name: str, home: Any) -> Any:
    """Return CuPy's function of a name: NumPy's of the same name, with arrays unwrapped and wrapped."""
    f = getattr(home, name)
    if isinstance(f, (type, types.ModuleType)) or not callable(f):
        return f

    def call(*args: Any, **kwargs: Any) -> Any:
        return wrapped(f(*bare(args), **bare(kwargs)))

    call.__name__ = name
    return call


def module_like(name: str, home: Any) -> types.ModuleType:
    """Return a module whose functions are NumPy's."""
    made: Any = types.ModuleType(name)
    made.__all__ = [n for n in dir(home) if not n.startswith("_") and n not in ("ndarray", "test")]

    def get(attribute: str) -> Any:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        return function(attribute, home)

    made.__getattr__ = get
    return made  # type: ignore[no-any-return]

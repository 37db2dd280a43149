"""Array libraries: namespace, device, dtype, conversion.

The only file that imports array-api-compat, and it does so only for arrays that are not NumPy's own:
its first look costs 55 ms, and ``type(x) is numpy.ndarray`` tells as much. Libraries are detected by
array-api-compat through ``sys.modules``, so that none is ever imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Hashable
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any, Protocol, TypeAlias, TypeVar, cast, runtime_checkable

import numpy as np

from upsample.copies import converted, copy, duplicate
from upsample.dask_arrays import leading
from upsample.errors import Raw, bad_type, bad_value, missing_package
from upsample.jax_arrays import is_movable, is_spread, is_tracer
from upsample.memory_overlap import is_plainly_apart, may_overlap, overlaps_itself
from upsample.tensors import is_operand, is_released, is_transformed

__all__ = [
    "Array",
    "ArrayT",
    "NDArray",
    "Table",
    "accumulator",
    "all_true",
    "astype",
    "can_assign",
    "check_out",
    "copied",
    "device_of",
    "double",
    "dtype_name",
    "entries",
    "from_table",
    "in_order_of",
    "index_dtype",
    "is_abstract",
    "is_contiguous",
    "is_masked",
    "itemsize",
    "library",
    "multiply",
    "namespace",
    "native_order",
    "requires_grad",
    "split_complex",
    "take",
]

NDArray: TypeAlias = np.ndarray[Any, Any]
"""A NumPy array of any shape and dtype, as kernels and drivers take it."""

Table: TypeAlias = np.ndarray[Any, np.dtype[Any]]
"""A small NumPy table of a plan: tap indices, weights."""


@runtime_checkable
class Array(Protocol):
    """The attributes and methods of an array of the Array API standard that this package uses."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def ndim(self) -> int: ...
    @property
    def dtype(self) -> Any: ...
    def __getitem__(self, key: Any, /) -> Any: ...
    def __add__(self, other: Any, /) -> Any: ...
    def __sub__(self, other: Any, /) -> Any: ...
    def __mul__(self, other: Any, /) -> Any: ...


ArrayT = TypeVar("ArrayT", bound=Array)

FLOATING = frozenset({"float16", "bfloat16", "float32", "float64"})
COMPLEX = frozenset({"complex64", "complex128"})
SIGNED = frozenset({"int8", "int16", "int32", "int64"})
UNSIGNED = frozenset({"uint8", "uint16", "uint32", "uint64"})
INTEGER = SIGNED | UNSIGNED
MOVABLE = FLOATING | COMPLEX | INTEGER | {"bool"}
"""The dtypes of an op that only moves values."""


def namespace(op: str, arrays: dict[str, object]) -> ModuleType:
    """Return the Array API namespace of the arrays, which must be of one library and on one device.

    Parameters
    ----------
    op : str
        The operation, for the error.
    arrays : dict
        Name of each argument and its array, the leading one first.

    Returns
    -------
    module
        ``numpy`` itself for plain ndarrays, else what array-api-compat finds.

    Raises
    ------
    TypeError
        When an argument is no array, is an array type that would lose something (a mask, matrix rules), or when
        libraries or devices are mixed.
    """
    if all(type(x) is np.ndarray for x in arrays.values()):
        return np
    found = {name: _namespace_of(op, name, x) for name, x in leading(op, arrays).items()}
    first, *others = found
    for name in others:
        if found[name] is not found[first]:
            raise bad_type(
                op,
                name,
                Raw(f"<array of {library(found[name])}>"),
                f"{first} is an array of {library(found[first])} and all arrays must be of one library",
                "convert one of them",
            )
        here, there = device_of(arrays[name]), device_of(arrays[first])
        if None not in (here, there) and here != there and not (is_movable(arrays[name]) or is_movable(arrays[first])):
            rule = f"{first} is on device {there} and all arrays must be on one device"
            raise bad_type(op, name, Raw(f"<array on device {here}>"), rule, "move one of them")
    return found[first]


def is_masked(x: object) -> bool:
    """Return whether `x` is a masked array, without importing ``numpy.ma``, which takes as long as a small call."""
    kind: Any = getattr(sys.modules.get("numpy.ma"), "MaskedArray", ())
    return isinstance(x, kind)


def _namespace_of(op: str, name: str, x: object) -> ModuleType:
    if isinstance(x, np.ndarray):
        if isinstance(x, np.matrix) or is_masked(x):
            what = "matrix rules" if isinstance(x, np.matrix) else "its mask"
            raise bad_type(
                op, name, Raw(f"<{type(x).__name__}>"), f"{what} would be lost", "pass numpy.asarray(...) of it"
            )
        return np
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(x, torch.Tensor):
        if is_released(x):
            rule = "its storage is shorter than the tensor, because it was resized"
            raise bad_value(op, name, Raw(f"<shape {tuple(x.shape)}>"), rule, "pass a tensor whose memory is there")
        return _torch_namespace(op)
    try:
        xp = _compat(op).array_namespace(x)
    except TypeError:
        raise bad_type(
            op,
            name,
            Raw(f"<{type(x).__name__}>"),
            "it must be an array (NumPy, CuPy, torch, JAX, Dask or any of the Array API standard)",
            "pass the array that it holds, or numpy.asarray(...) of it",
        ) from None
    return cast(ModuleType, xp)


@lru_cache(maxsize=1)
def _torch_namespace(op: str) -> ModuleType:
    _compat(op)
    return import_module("array_api_compat.torch")


def _compat(op: str) -> Any:
    """Return array-api-compat; ImportError if a checkout on Python's path has no dependencies beside it."""
    try:
        import array_api_compat
    except ImportError:
        raise missing_package(op, "array-api-compat", "arrays other than NumPy arrays need it") from None
    return array_api_compat


def library(xp: ModuleType) -> str:
    """Name the library of a namespace as its users do: numpy, cupy, torch, jax, dask, array_api_strict."""
    name = xp.__name__.removeprefix("array_api_compat.")
    return name.split(".")[0]


def device_of(x: object) -> object:
    """Return the array's device in its library's own terms; "cpu" for NumPy.

    None for JAX arrays of no device or of several: JAX then places a new array where it is used.
    """
    if type(x) is np.ndarray:
        return "cpu"
    try:
        device: object = _compat("device").device(x)
    except Exception:  # a traced JAX array has no device yet
        return None
    return None if is_spread(device) else device


@lru_cache(maxsize=256)
def _name_of_dtype(_: str, dtype: Hashable) -> str:
    # Their library is part of the key, so that the cache never compares dtypes of two of them.
    name = getattr(dtype, "name", None)  # NumPy's, CuPy's, JAX's, ml_dtypes'
    if not isinstance(name, str):
        name = str(dtype).split(".")[-1]  # "torch.float32", "array_api_strict.float32"
    return name


def dtype_name(x: Array) -> str:
    """Return the standard's name of an array's dtype, such as "float32" or "bfloat16", of either byte order."""
    return _name_of_dtype(type(x.dtype).__module__, x.dtype)


def accumulator(name: str) -> str:
    """Return the dtype in which sums of dtype `name` are made: float32 for the half precisions."""
    return "float32" if name in ("float16", "bfloat16") else name


def double(xp: ModuleType) -> Any:
    """Return the dtype float64, or float32 where the library (JAX by default) has no float64."""
    return xp.__array_namespace_info__().default_dtypes()["real floating"] if library(xp) == "jax" else xp.float64


def astype(xp: ModuleType, x: ArrayT, dtype: Any) -> ArrayT:
    """Convert without a copy where nothing changes."""
    if xp is np and isinstance(x, np.ndarray) and x.ndim:
        return cast(ArrayT, x if x.dtype == dtype else converted(x, np.dtype(dtype)))
    return cast(ArrayT, x if x.dtype == dtype else xp.astype(x, dtype, copy=False))


def from_table(xp: ModuleType, table: Table, like: Array, dtype: Any = None) -> Any:
    """Make an array beside `like` out of a plan's NumPy table (never cached: a table made under a trace poisons)."""
    if xp is np:
        return np.asarray(table, dtype=dtype)
    if not table.flags.writeable:  # torch would share its memory, and warns
        table = table.copy()
    return xp.asarray(table, dtype=dtype, device=device_of(like))


def copied(xp: ModuleType, x: Any) -> Any:
    """Return a new array of the same values."""
    if xp is np:
        return duplicate(x, x.dtype)
    return x.clone() if library(xp) == "torch" else xp.asarray(x, copy=True)


def take(xp: ModuleType, x: Array, table: Table, axis: int) -> Any:
    """Gather along an axis by a plan's table of indices."""
    # A Dask index array that holds a single 0 is taken for a slice by Dask 2026.8, with another shape.
    index = table if library(xp) == "dask" else from_table(xp, table, x)
    return xp.take(x, index, axis=axis)


def multiply(xp: ModuleType, a: Any, b: Any, out: Any) -> None:
    """Write the matrix product into `out`, a view of part of an array; NumPy needs no copy for that."""
    if xp is np:
        np.matmul(a, b, out=out)
    else:
        out[...] = xp.matmul(a, b)


def index_dtype(xp: ModuleType) -> Any:
    """Return the dtype of indices: int64, or int32 where the library (JAX by default) has no int64."""
    if library(xp) == "jax":
        return xp.__array_namespace_info__().default_dtypes()["indexing"]
    return xp.int64


def native_order(x: ArrayT) -> ArrayT:
    """Return a NumPy array of another byte order in this machine's order; any other array as it is."""
    if isinstance(x, np.ndarray) and not x.dtype.isnative:
        return cast(ArrayT, converted(x, x.dtype.newbyteorder("=")))
    return x


def in_order_of(x: Array, result: Any) -> Any:
    """Give `result` the byte order of `x`, where that is not this machine's."""
    if isinstance(x, np.ndarray) and not x.dtype.isnative and result.dtype.isnative:
        return converted(result, x.dtype)
    return result


def itemsize(x: Array) -> int:
    """Return the bytes of one element."""
    name = dtype_name(x)
    return 1 if name == "bool" else int(name.lstrip("abcdefghijklmnopqrstuvwxyz")) // 8


def is_abstract(x: object) -> bool:
    """Tell whether an array has no readable values: JAX tracers, and torch's meta tensors."""
    return bool(getattr(x, "is_meta", False)) or is_tracer(x)


def requires_grad(x: object) -> bool:
    """Say whether torch's autograd follows this array here and now."""
    return bool(getattr(x, "requires_grad", False)) and bool(sys.modules["torch"].is_grad_enabled())


def can_assign(xp: ModuleType, *arrays: Array | None) -> bool:
    """Say whether results may be written piece by piece: not into JAX or Dask arrays, nor under torch's autograd."""
    if library(xp) in ("jax", "dask"):
        return False
    return not any(requires_grad(x) for x in arrays)


def all_true(condition: Array) -> bool:
    """Convert an array of one bool; wait for the device, and compute Dask arrays. A meta tensor counts as True."""
    return bool(getattr(condition, "is_meta", False)) or bool(condition)


def entries(x: Any) -> list[Any]:
    """Return the values of a small array as Python numbers; computes Dask arrays, and copies from a device."""
    computed = x.compute() if hasattr(x, "compute") else x
    result: list[Any] = (computed if hasattr(computed, "tolist") else np.from_dlpack(computed)).tolist()
    return result


def is_contiguous(x: Any) -> bool:
    """Say whether another shape of the array is a view of it; False where its library does not tell."""
    flags = getattr(x, "flags", None)
    if flags is not None:  # NumPy, CuPy
        return bool(flags.c_contiguous)
    return bool(x.is_contiguous()) if hasattr(x, "is_contiguous") else False


def split_complex(xp: ModuleType, x: Array) -> tuple[Any, Any]:
    """Return the real and the imaginary part."""
    return xp.real(x), xp.imag(x)


def join_complex(xp: ModuleType, real: Any, imag: Any, dtype: Any) -> Any:
    """Make a complex array of its parts, without arithmetic that would spread NaN from one to the other."""
    name = library(xp)
    if name in ("numpy", "cupy"):
        joined = xp.empty(real.shape, dtype=dtype)
        copy(real, joined.real)
        copy(imag, joined.imag)
        return joined
    module = sys.modules.get(name)
    if name == "torch" and module is not None:
        return module.complex(real, imag)
    if name == "jax" and module is not None:
        return module.lax.complex(real, imag)
    return xp.astype(real, dtype) + xp.astype(imag, dtype) * 1j


def check_out(op: str, out: object, shape: tuple[int, ...], dtype: Any, inputs: dict[str, object]) -> None:
    """Refuse an `out` that is not a writeable array of this shape and dtype apart from every input.

    Raises
    ------
    TypeError
        No array, another library, device or dtype, or an immutable array.
    ValueError
        Another shape, read-only, overlapping itself or an input, or under torch's autograd.
    """
    given = tuple(inputs.values())
    arrays = [x for x in given if type(x) is np.ndarray]
    if len(arrays) == len(given) and is_plainly_apart(out, shape, dtype, given, all(x.flags.owndata for x in arrays)):
        return
    xp = namespace(op, {**inputs, "out": out})
    name = library(xp)
    if name in ("jax", "dask"):
        raise bad_type(op, "out", Raw(f"<array of {name}>"), "such arrays are immutable", "omit out=")
    array = cast(Array, out)
    if array.dtype != dtype:
        raise bad_type(
            op,
            "out",
            Raw(f"<dtype {array.dtype}>"),
            f"the result is {getattr(dtype, '__name__', dtype)}",
            "make out= of that dtype",
        )
    if tuple(array.shape) != shape:
        raise bad_value(
            op, "out", Raw(f"<shape {tuple(array.shape)}>"), f"the result is {shape}", "make out= of that shape"
        )
    if isinstance(out, np.ndarray) and not out.flags.writeable:
        raise bad_value(op, "out", Raw("<read-only array>"), "it must be writeable", "pass a writeable array")
    if any(requires_grad(x) or is_transformed(x) for x in (out, *given)):
        raise bad_value(
            op, "out", Raw("<array>"), "torch's autograd cannot follow out=", "omit out= or detach the inputs"
        )
    if is_operand(array):  # it has no memory; torch copies into it
        return
    if overlaps_itself(array):
        raise bad_value(
            op, "out", Raw("<array>"), "several of its elements share memory", "pass an array that owns its elements"
        )
    for other_name, other in inputs.items():
        if may_overlap(array, other):
            raise bad_value(
                op, "out", Raw("<array>"), f"it shares memory with {other_name}", "pass an array of its own memory"
            )

"""Kernel launches as plain data, which pure functions plan, and which a GPU or the tests' emulator runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

__all__ = ["BITS", "C_TYPES", "INDEX_LIMIT", "Kernel", "Launch", "ceil_div", "index_type", "kernel", "struct"]

INDEX_LIMIT = 2**31
"""Least offset that needs 64-bit indices."""

C_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "float16": "__half",
        "bfloat16": "__nv_bfloat16",
        "float32": "float",
        "float64": "double",
        "uint8": "uint8",
        "bool": "uint8",
        "int8": "signed char",
        "int16": "short",
        "uint16": "uint16",
        "int32": "int",
        "uint32": "uint32",
        "int64": "int64",
        "uint64": "uint64",
    }
)
"""The C type in which kernels compute with values of a dtype."""

BITS: Mapping[int, str] = MappingProxyType({1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64", 16: "uint128"})
"""The C type as which kernels copy values, by their bytes."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A specialisation of an entry of a .cu file.

    Attributes
    ----------
    file : str
        Without the folder and the suffix: an op's name.
    entry : str
        The function.
    macros : tuple of (str, str)
        What each macro of the file is, in one order; those that are left out have the file's defaults.
    """

    file: str
    entry: str
    macros: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.file}.{self.entry}({', '.join(f'{n}={v}' for n, v in self.macros)})"


def kernel(file: str, entry: str, **macros: str | int) -> Kernel:
    """Return a specialization; its macros are sorted, so that equal specializations compare equal."""
    return Kernel(file, entry, tuple(sorted((name, str(value)) for name, value in macros.items())))


@dataclass(frozen=True, slots=True, eq=False)
class Launch:
    """One launch, without its arrays.

    Attributes
    ----------
    kernel : Kernel
        What runs.
    grid, block : tuple of three int
        Blocks, and threads a block; x, y, z.
    shared : int
        Bytes of dynamic shared memory.
    scalars : tuple of NumPy scalars and 0-d structured arrays
        The arguments after the arrays; each has exactly the parameter's type.
    """

    kernel: Kernel
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared: int
    scalars: tuple[Any, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the grid has no block."""
        return 0 in self.grid


def index_type(largest: int, limit: int) -> str:
    """Return the C type of offsets up to `largest`, grid steps past the end included."""
    return "int" if largest < limit else "int64"


def ceil_div(a: int, b: int) -> int:
    """Divide and round up."""
    return -(-a // b)


def struct(fields: Mapping[str, Any]) -> Any:
    """Return a struct that a kernel takes by value: a 0-d array with the layout of a C struct.

    Parameters
    ----------
    fields : mapping of str to NumPy scalar or array
        Members in their order; an array is a member array.

    Examples
    --------
    >>> struct({"rows": np.int32(3), "offset": np.int64(5)}).dtype.itemsize
    16
    """
    arrays = {name: np.asarray(value) for name, value in fields.items()}
    dtype = np.dtype([(name, a.dtype, a.shape) for name, a in arrays.items()], align=True)
    record = np.zeros((), dtype=dtype)
    for name, value in arrays.items():
        record[name] = value
    record.flags.writeable = False
    return record

"""Resize of one axis by any filter: launches of ``kernels/resize_axis.cu``."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType

import numpy as np

from upsample.engines.cuda.resize.passes import Axis, Pass
from upsample.engines.cuda.resize.taps import axis_tables, widest
from upsample.engines.cuda.runtime.launch import C_TYPES, Kernel, Launch, ceil_div, kernel, struct
from upsample.plans.taps import fixed_point, settling, taps

__all__ = ["kernels", "plan_axis"]

_THREADS, _WARP, _ROWS, _COLUMNS = 256, 32, 4, 4
"""Threads of a block, threads of a warp, rows and columns per thread; must equal the constants of the .cu file."""
_MOST_ROWS = 64
"""Most rows per block of along_rows."""
_SAMPLES = 1 << 15
"""Bytes of samples in a block's shared memory: eight such blocks have as many threads as a multiprocessor can hold."""

_SUMS = MappingProxyType({"float": "float32", "double": "float64", "int": "int32", "int64": "int64"})
"""The NumPy dtype of each C type of sums."""


def kernels() -> Iterator[Kernel]:
    """Yield every specialization that this module can launch."""
    types = [("float32", "float32", "float"), ("float64", "float64", "double")]
    types += [("uint8", "uint8", "int"), ("uint8", "uint8", "int64")]
    types += [("uint8", "int16", "int"), ("int16", "int16", "int"), ("int16", "uint8", "int")]
    for half in ("float16", "bfloat16"):
        types += [(half, half, "float"), (half, "float32", "float"), ("float32", half, "float")]
    for source, target, sums in types:
        for entry in ("along_rows", "along_columns"):
            yield _kernel(entry, source, target, sums)


def _kernel(entry: str, source: str, target: str, sums: str) -> Kernel:
    return kernel("resize_axis", entry, IN=C_TYPES[source], OUT=C_TYPES[target], ACC=sums)


def plan_axis(axis: Axis, source: str, target: str) -> Pass:
    """Plan the pass over one axis, from values of the dtype `source` to values of the dtype `target`.

    Between two axes of an array of bytes, values may be int16.
    """
    if source in ("uint8", "int16"):
        sums = "int" if fixed_point(axis.rule).sums == "int32" else "int64"
    else:
        sums = "double" if source == "float64" else "float"
    shift = settling(axis.rule) if source in ("uint8", "int16") else 0
    plan = _along_rows if axis.inner == 1 else _along_columns
    launch, by_output, tables = plan(axis, source, target, sums, shift)
    size = axis.outer * axis.rule.out_size * axis.inner
    return Pass(launch, ((axis_tables, (axis.rule, _SUMS[sums], by_output), tables),), size, target)


def _along_rows(axis: Axis, source: str, target: str, sums: str, shift: int) -> tuple[Launch, bool, tuple[int, ...]]:
    rule, item = axis.rule, 8 if sums in ("double", "int64") else 4
    least = _ROWS * _THREADS // _MOST_ROWS
    across = max(least, min(_THREADS, 1 << (rule.out_size - 1).bit_length()))
    rows = _THREADS // across * _ROWS
    chunk = min(max(widest(rule, across), 1), max(_WARP, _SAMPLES // (rows * item) * 31 // 32))
    scalars = struct(
        {
            "rows": np.int64(axis.outer),
            "in_size": np.int64(rule.in_size),
            "out_size": np.int64(rule.out_size),
            "across_log": np.int32(across.bit_length() - 1),
            "chunk": np.int32(chunk),
            "shift": np.int32(shift),
        }
    )
    grid = (ceil_div(axis.outer, rows), min(ceil_div(rule.out_size, across), 65535), 1)
    shared = rows * (chunk + (chunk >> 5) + 1) * item
    made = Launch(_kernel("along_rows", source, target, sums), grid, (_THREADS, 1, 1), shared, (scalars,))
    return made, False, (0, 1, 2, 3, 4)


def _along_columns(axis: Axis, source: str, target: str, sums: str, shift: int) -> tuple[Launch, bool, tuple[int, ...]]:
    rule, flat = axis.rule, axis.inner < _WARP * _COLUMNS
    scalars = struct(
        {
            "outer": np.int64(axis.outer),
            "in_size": np.int64(rule.in_size),
            "out_size": np.int64(rule.out_size),
            "inner": np.int64(axis.inner),
            "longest": np.int64(taps(rule).longest),
            "flat": np.int32(flat),
            "shift": np.int32(shift),
        }
    )
    layers = min(axis.outer, 65535)
    if flat:
        grid = (ceil_div(rule.out_size * axis.inner, _THREADS), 1, layers)
    else:
        down = min(ceil_div(rule.out_size, _THREADS // _WARP), 65535)
        grid = (ceil_div(axis.inner, _WARP * _COLUMNS), down, layers)
    made = Launch(_kernel("along_columns", source, target, sums), grid, (_THREADS, 1, 1), 0, (scalars,))
    return made, True, (0, 1, 4)

"""Matrix products of NumPy arrays whose bits do not depend on the threads of BLAS.

OpenBLAS shares a large product among threads, and then adds in another order. So products are cut into pieces that it
leaves in the calling thread. The cuts, and the order in which pieces of a sum are added, depend on the shapes alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

from upsample.arrays import NDArray

__all__ = ["ONE_THREAD", "fits", "matmul"]

ONE_THREAD, _COMPLEX = 1 << 18, 1 << 15
"""Most multiplications of a product in one thread, of real and of complex matrices. OpenBLAS wakes other threads from
2^18 and 2^16 on (``interface/gemm.c``)."""
_VECTOR, _COMPLEX_VECTOR = 1 << 13, 1 << 11
"""Most multiplications by a vector, of real and of complex matrices: see ``interface/gemv.c`` and ``zgemv.c``."""
_DEPTH = 128
"""Most terms of a sum in a piece; with more, pieces would have too few columns to be fast."""
_COLUMNS = 16
"""Columns of a piece are a multiple of this, as the vectors of BLAS kernels are."""


def matmul(xp: ModuleType, a: Any, b: Any) -> Any:
    """Return ``a [..., M, K]`` times ``b [..., K, N]``; other libraries multiply as they do."""
    if xp is not np:
        return xp.matmul(a, b)
    (m, k), n = a.shape[-2:], b.shape[-1]
    if fits(m, k, n, a.dtype):
        return np.matmul(a, b)
    a, b = _regular(a), _regular(b)
    result = np.empty((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), m, n), dtype=np.result_type(a, b))
    depth = _DEPTH if 1 not in (m, n) else _most(True, a.dtype) // min(max(m, n), _COLUMNS)
    for begin in range(0, k, depth):
        terms = slice(begin, begin + depth)
        _multiply(a[..., terms], b[..., terms, :], result, begin > 0)
    return result


def fits(m: int, k: int, n: int, dtype: np.dtype[Any]) -> bool:
    """Whether BLAS makes a product in one thread."""
    return m * k * n <= _most(1 in (m, n), dtype)


def _most(is_vector: bool, dtype: np.dtype[Any]) -> int:
    """Return the most multiplications in one thread, of a product with a vector or of matrices."""
    if dtype.kind == "c":
        return _COMPLEX_VECTOR if is_vector else _COMPLEX
    return _VECTOR if is_vector else ONE_THREAD


def _regular(x: NDArray) -> NDArray:
    """Return an array whose last two axes BLAS reads without a copy of each piece."""
    return x if x.itemsize in x.strides[-2:] else np.ascontiguousarray(x)


def _multiply(a: NDArray, b: NDArray, result: NDArray, is_added: bool) -> None:
    """Store or add the product of thin matrices by pieces; NumPy multiplies all pieces of a size in one call.

    A piece has so few rows that a single column, which may be left over, is a vector for one thread.
    """
    (m, k), n, vector = a.shape[-2:], b.shape[-1], _most(True, a.dtype)
    for rows, height in _pieces(m, max(1, vector // max(k, _DEPTH)), 1):
        left = a[..., rows, :].reshape(*a.shape[:-2], -1, 1, height, k)
        most = max(1, _most(1 in (height, n), a.dtype) // (height * k))
        for columns, width in _pieces(n, most, _COLUMNS):
            right = b[..., columns].reshape(*b.shape[:-2], 1, k, -1, width).swapaxes(-3, -2)
            target = result[..., rows, columns].reshape(*result.shape[:-2], left.shape[-4], height, -1, width)
            target = target.swapaxes(-3, -2)
            if is_added:
                target += np.matmul(left, right)
            else:
                np.matmul(left, right, out=target)


def _pieces(size: int, most: int, multiple: int) -> Iterator[tuple[slice, int]]:
    """Cut a range into pieces: yield the part that pieces of one size cover, and the size; then the rest."""
    step = min(size, most if most < multiple else most // multiple * multiple)
    whole = size // step * step
    yield slice(0, whole), step
    if whole < size:
        yield slice(whole, size), size - whole

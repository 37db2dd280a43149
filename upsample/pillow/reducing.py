"""Reduction by whole factors: means of cells."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import ModuleType
from typing import Any, cast

import numpy as np

from upsample import arrays
from upsample.arguments import integer, integers
from upsample.arrays import ArrayT
from upsample.autograd.torch_compile import opaque
from upsample.errors import Raw, bad_type, bad_value
from upsample.literals import EngineName
from upsample.ops import taped_casts
from upsample.ops.call_chains import once
from upsample.pillow.alpha import divided, multiplied
from upsample.pillow.modes import edges_of, image_of, major

__all__ = ["cut", "mean_of_cells", "reduce"]

_Cell = tuple[slice, int]
"""Some cells along an axis that lie side by side: the samples that they cover, and how many each has."""


def reduce(
    image: ArrayT,
    factor: int | Sequence[int],
    box: Sequence[int] | None = None,
    *,
    mode: str | None = None,
    version: str = "13",
    engine: EngineName | None = None,
) -> ArrayT:
    """Reduce an image by whole factors, as ``PIL.Image.Image.reduce`` does.

    Parameters
    ----------
    image : array
        See `upsample.pillow`; not uint16.
    factor : int or pair of int
        How many samples become one: in width and height.
    box : four ints, optional
        ``(left, upper, right, lower)`` of the part that is reduced.
    mode : str, optional
        Pillow's mode, where the dtype and the bands do not tell it: "CMYK" or "RGBX" for four plain bands.
    version : str
        The version of Pillow to follow: "13", or "12" for any earlier one.
    engine : str, optional
        Taken for symmetry with `resize`; a mean of cells is array arithmetic on every engine.

    Returns
    -------
    array
        Of the library, dtype and device of `image`; sizes are rounded up. torch's autograd follows it, `upsample.vjp`
        does not.

    Raises
    ------
    ValueError
        A factor below 1, a box outside of the image, a mode that the array cannot be.
    TypeError
        A dtype that Pillow does not reduce, factors or edges that are no integers.

    References
    ----------
    https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.Image.reduce

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import pillow
    >>> pillow.reduce(np.asarray([[0, 10, 100], [20, 30, 200]], dtype="uint8"), 2)
    array([[ 15, 150]], dtype=uint8)
    """
    result: ArrayT = once(_reduce, image, factor, box, mode, version, engine)
    return result


def _reduce(
    image: ArrayT,
    factor: int | Sequence[int],
    box: Sequence[int] | None,
    mode: str | None,
    version: str,
    engine: EngineName | None,
) -> ArrayT:
    op = "reduce"
    xp = arrays.namespace(op, {"image": image})
    of = image_of(op, image, mode)
    if of.mode == "I;16":
        raise bad_type(
            op, "image", arrays.dtype_name(image), "Pillow does not reduce such images", "convert it to int32"
        )
    if of.mode == "I" and arrays.double(xp) != xp.float64:
        rule = "its sums need float64, which JAX has switched off"
        raise bad_type(op, "image", Raw("<dtype int32>"), rule, "call jax.config.update('jax_enable_x64', True)")
    if engine is not None and not isinstance(engine, str):
        raise bad_type(op, "engine", engine, "an engine's name must be text", "omit it")
    factors = cast("tuple[int, int]", integers(op, "factor", factor, 2, least=1, one_for_all=False))
    edges = edges_of(op, box, of, integer)
    plain = factors == (1, 1) and major(op, version) >= 13
    if of.mode in ("1", "P") and factors != (1, 1):
        raise bad_value(op, "image", of.mode, "Pillow does not reduce images of this mode", "convert it to uint8 first")
    x: Any = cut(xp, image, of.top, edges)
    if of.has_alpha and not plain:
        return cast(ArrayT, divided(xp, mean_of_cells(xp, multiplied(xp, x), of.top, factors)))
    return cast(ArrayT, mean_of_cells(xp, x, of.top, factors))


def cut(xp: ModuleType, x: Any, top: int, edges: tuple[int, int, int, int]) -> Any:
    """Return the samples within the edges (left, upper, right, lower)."""
    left, upper, right, lower = edges
    return taped_casts.crop(xp, taped_casts.crop(xp, x, top, upper, lower), top + 1, left, right)


def mean_of_cells(xp: ModuleType, x: Any, top: int, factor: tuple[int, int]) -> Any:
    """Average cells of ``factor`` (across, down) samples; what is left over at the ends makes smaller cells."""
    average = partial(_average, xp, top=top, factor=factor)
    return taped_casts.mean_of_cells(xp, x, (top, top + 1), factor[::-1], average)


def _average(xp: ModuleType, x: Any, *, top: int, factor: tuple[int, int]) -> Any:
    if factor == (1, 1):
        return arrays.copied(xp, x)
    down, across = _cells(x.shape[top], factor[1]), _cells(x.shape[top + 1], factor[0])
    ragged = len(down) > 1, len(across) > 1
    rows = []
    for i, (rows_of, high) in enumerate(down):
        parts = []
        for j, (columns_of, wide) in enumerate(across):
            at_end = (i == 1 or down[0][1] != factor[1]) or (j == 1 or across[0][1] != factor[0])
            part = x[(slice(None),) * top + (rows_of, columns_of, ...)]
            parts.append(_mean(xp, part, top, high, wide, singly=at_end))
        rows.append(xp.concat(parts, axis=top + 1) if ragged[1] else parts[0])
    return xp.concat(rows, axis=top) if ragged[0] else rows[0]


def _cells(size: int, factor: int) -> list[_Cell]:
    """Cut an axis into its whole cells and what is left over."""
    whole = size // factor * factor
    made = [(slice(0, whole), factor)] if whole else []
    return made + ([(slice(whole, size), size - whole)] if whole < size else [])


def _mean(xp: ModuleType, x: Any, top: int, high: int, wide: int, *, singly: bool) -> Any:
    """Average cells of ``high`` by ``wide`` samples, without any left over."""
    name, count = arrays.dtype_name(x), high * wide

    def sample(row: int, column: int) -> Any:
        return x[(slice(None),) * top + (slice(row, None, high), slice(column, None, wide), ...)]

    if name == "uint8":
        kind = xp.uint32 if arrays.library(xp) in ("numpy", "jax") else xp.int64  # torch does not add uint32
        total: Any = 0
        for row in range(high):
            for column in range(wide):
                total = arrays.astype(xp, sample(row, column), kind) + total
        factor = int(np.float32(2.0**32) / np.float32(256 * count))
        product = (total + count // 2) * factor
        wrapped = product if kind == xp.uint32 else product & 0xFFFFFFFF
        return arrays.astype(xp, wrapped >> 24, x.dtype)
    double = arrays.double(xp)
    total = 0.0
    for group in _groups(high, wide, singly=singly or name != "float32"):
        some: Any = 0
        for row, column in group:
            value = sample(row, column)
            some = (arrays.astype(xp, value, double) if name != "float32" else value) + some
        total = arrays.astype(xp, some, double) + total
    mean = total * (1.0 / count)
    if name == "int32":
        mean = xp.where(mean >= 0, xp.floor(mean + 0.5), -xp.floor(xp.abs(mean) + 0.5))
    return arrays.astype(xp, mean, x.dtype)


def _groups(high: int, wide: int, *, singly: bool) -> list[list[tuple[int, int]]]:
    """Return the samples of a cell in the groups of up to 2 by 2 that Pillow adds in float32 first."""
    if singly:
        return [[(row, column)] for row in range(high) for column in range(wide)]
    groups = []
    for row in range(0, high, 2):
        for column in range(0, wide, 2):
            rows, columns = range(row, min(row + 2, high)), range(column, min(column + 2, wide))
            groups.append([(r, c) for r in rows for c in columns])
    return groups


opaque(reduce, open_sizes=False)

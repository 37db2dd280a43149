"""Resampling by Pillow's filters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import ModuleType
from typing import Any, TypeAlias, cast

import numpy as np

from upsample import arrays
from upsample.arguments import integers, number
from upsample.arrays import Array, ArrayT
from upsample.autograd.torch_compile import opaque
from upsample.errors import bad_value
from upsample.literals import EngineName
from upsample.ops.call_chains import once
from upsample.ops.resize import resize as run
from upsample.pillow.alpha import divided, multiplied
from upsample.pillow.modes import Image, Resampling, edges_of, filter_of, image_of, major
from upsample.pillow.reducing import cut, mean_of_cells
from upsample.plans.arithmetic import TORCH_BYTES, Arithmetic, Ties
from upsample.plans.makers.pillow import FILTERS, places
from upsample.plans.plan_cache import planned_for_sizes
from upsample.plans.resize import ResizePlan, identity, tabled

__all__ = ["resize"]

_Box: TypeAlias = tuple[float, float, float, float]

_BITS = 22
"""Binary places of the weights of bytes."""
_REALS = Arithmetic("float64", Ties.AWAY, each_axis=True, ordered=True)
"""All other kinds: sums in float64, in order, converted to the image's dtype after each axis."""


def resize(
    image: ArrayT,
    size: Sequence[int],
    resample: int | None = None,
    box: Sequence[float] | None = None,
    reducing_gap: float | None = None,
    *,
    mode: str | None = None,
    version: str = "13",
    engine: EngineName | None = None,
) -> ArrayT:
    """Resize an image to the bits of ``PIL.Image.Image.resize``.

    Parameters
    ----------
    image : array
        See `upsample.pillow`.
    size : pair of int
        Width and height of the result.
    resample : int, optional
        One of `Resampling`, or its number; BICUBIC by default. Images of modes "1" and "P" are always NEAREST.
    box : four floats, optional
        ``(left, upper, right, lower)`` of the part that is resized; filters see the samples around it.
    reducing_gap : float, optional
        Reduce by whole factors first, as long as the result is so many times larger than `size`.
    mode : str, optional
        Pillow's mode, where the dtype and the bands do not tell it: "CMYK" or "RGBX" for four plain bands, "P" for
        numbers of a palette.
    version : str
        The version of Pillow to follow: "13", or "12" for any earlier one. Pillow 13 filters columns before rows where
        an image becomes much lower, which changes up to a fifth of the bytes of a portrait.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        Of the library, dtype and device of `image`.

    Raises
    ------
    ValueError
        A size below 1, a box outside of the image, a filter or a mode that is unknown.
    TypeError
        A dtype that no image of Pillow has; sizes that are no integers.

    See Also
    --------
    upsample.resize : Any axes of any array, by height first.

    Notes
    -----
    Bytes are summed in integers with weights of 22 binary places, and rounded after each axis; colours are multiplied
    by alpha before, and divided after. All else is summed in float64, in Pillow's order. The results are Pillow's bit
    for bit, whatever the processor; only int32 sums past 32 bits, which Pillow leaves undefined, are cut off here.

    References
    ----------
    https://pillow.readthedocs.io/en/stable/reference/Image.html#PIL.Image.Image.resize

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import pillow
    >>> image = np.zeros((20, 30, 3), dtype=np.uint8)
    >>> pillow.resize(image, (15, 10), pillow.LANCZOS).shape
    (10, 15, 3)
    >>> pillow.resize(np.asarray([[0, 100]], dtype="uint8"), (4, 1), pillow.BILINEAR)
    array([[  0,  25,  75, 100]], dtype=uint8)
    """
    result: ArrayT = once(_resize, image, size, resample, box, reducing_gap, mode, version, engine)
    return result


def _resize(
    image: ArrayT,
    size: Sequence[int],
    resample: int | None,
    box: Sequence[float] | None,
    reducing_gap: float | None,
    mode: str | None,
    version: str,
    engine: EngineName | None,
) -> ArrayT:
    op = "resize"
    xp = arrays.namespace(op, {"image": image})
    of = image_of(op, image, mode)
    wanted = cast("tuple[int, int]", integers(op, "size", size, 2, least=1, one_for_all=False))
    chosen = Resampling.BICUBIC if resample is None else filter_of(op, resample)
    gap = None if reducing_gap is None else number(op, "reducing_gap", reducing_gap)
    if gap is not None and gap < 1.0:
        raise bad_value(op, "reducing_gap", reducing_gap, "it must be at least 1", "omit it, or pass 2.0 or more")
    old = major(op, version) < 13
    edges = edges_of(op, box, of, number)
    if of.mode in ("1", "P"):
        chosen = Resampling.NEAREST
    call = _Call(op, xp, of, old, engine)
    if of.size == wanted and edges == edges_of(op, None, of, number):
        return cast(ArrayT, call.run(image, ResizePlan((of.top,), (identity(of.size[1]),))))
    if of.has_alpha and chosen is not Resampling.NEAREST:
        gap = None if old else gap
        return cast(ArrayT, divided(xp, call.resized(multiplied(xp, image), wanted, chosen, edges, gap)))
    return cast(ArrayT, call.resized(image, wanted, chosen, edges, gap))


class _Call:
    """A call of `resize`, without its arrays and sizes."""

    def __init__(self, op: str, xp: ModuleType, of: Image, old: bool, engine: str | None) -> None:
        self.op, self.xp, self.of, self.old, self.engine = op, xp, of, old, engine

    def resized(self, x: Any, size: tuple[int, int], chosen: Resampling, box: _Box, gap: float | None) -> Any:
        """Reduce where a gap allows it, then resample."""
        top = self.of.top
        if gap is not None and chosen is not Resampling.NEAREST:
            factors = tuple(int((box[i + 2] - box[i]) / size[i] / gap) or 1 for i in (0, 1))
            if max(factors) > 1:
                safe = _safe_box(size, chosen, box, self.of.size)
                x = cut(self.xp, x, top, safe)
                x = mean_of_cells(self.xp, x, top, cast("tuple[int, int]", factors))
                box = cast(_Box, tuple((box[i] - safe[i % 2]) / factors[i % 2] for i in range(4)))
        edges = cast(_Box, tuple(float(np.float32(edge)) for edge in box))
        corner = int(edges[0]), int(edges[1])
        whole = all(edge == place for edge, place in zip(edges, corner, strict=False))
        is_crop = whole and all(edges[i + 2] - edges[i] == size[i] for i in (0, 1))
        if is_crop or chosen is Resampling.NEAREST:
            return self._nearest(x, size, edges)
        bits = _BITS if arrays.dtype_name(x) == "uint8" else 0
        plan = _plan(top, (x.shape[top + 1], x.shape[top]), size, chosen.name.lower(), edges, bits, self.old)
        return self.run(x, plan)

    def _nearest(self, x: Any, size: tuple[int, int], box: _Box) -> Any:
        top, walks = self.of.top, arrays.dtype_name(x) != "uint16"
        rules, outside = [], []
        for axis, i in ((top, 1), (top + 1, 0)):
            n, edges = x.shape[axis], (box[i], box[i + 2])
            rules.append(tabled(n, size[i], "pillow nearest", *edges, walks, bits=0))
            place = places(size[i], *edges, walks)
            outside.append((place < 0) | (place >= n))
        made = self.run(x, ResizePlan((top, top + 1), tuple(rules)))
        for axis, mask in zip((top, top + 1), outside, strict=True):
            if mask.any():  # a centre that rounding moved out of the image
                shape = tuple(-1 if i == axis else 1 for i in range(made.ndim))
                made = self.xp.where(
                    arrays.from_table(self.xp, mask.reshape(shape), made), self.xp.zeros_like(made), made
                )
        return made

    def run(self, x: Array, plan: ResizePlan) -> Any:
        """Carry out a plan."""
        return run(x, op=self.op, arguments=("image", "size"), xp=self.xp, plan=plan, out=None, engine=self.engine)


def _safe_box(
    size: tuple[int, int], chosen: Resampling, box: _Box, image: tuple[int, int]
) -> tuple[int, int, int, int]:
    """Widen a box by what the filter sees, to whole samples inside of the image."""
    support = FILTERS[chosen.name.lower()][0] - 0.5
    reach = [support * ((box[i + 2] - box[i]) / size[i]) for i in (0, 1)]
    left, upper = (max(0, int(box[i] - reach[i])) for i in (0, 1))
    right, lower = (min(image[i], math.ceil(box[i + 2] + reach[i])) for i in (0, 1))
    return left, upper, right, lower


@planned_for_sizes
def _plan(
    top: int, image: tuple[int, int], size: tuple[int, int], name: str, box: _Box, bits: int, old: bool
) -> ResizePlan:
    """Plan the passes; an axis is left alone where its size stays and the box is the whole of it."""
    rules = []
    for i in (1, 0):
        low, high, n, o = box[i], box[i + 2], image[i], size[i]
        same = n == o and (low, high) == (0.0, n)
        rules.append(identity(n) if same else tabled(n, o, "pillow", low, high, name, bits=bits))
    lower, narrower = image[1] - size[1], image[0] - size[0]
    columns_first = not old and lower > 0 and lower > 2 * narrower
    order = (top, top + 1) if columns_first else (top + 1, top)
    return ResizePlan((top, top + 1), tuple(rules), order, TORCH_BYTES if bits else _REALS)


opaque(resize, open_sizes=False)

"""Resampling by OpenCV's methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any, cast

import numpy as np

from upsample import arrays
from upsample.arguments import as_tuple, integers, number
from upsample.array_api import clip
from upsample.arrays import ArrayT
from upsample.autograd.torch_compile import opaque
from upsample.errors import bad_type, bad_value
from upsample.literals import EngineName
from upsample.opencv.modes import BYTES, DOUBLES, FLOATS, INTEGERS, Image, Interpolation, image_of, interpolation_of
from upsample.ops import taped_casts
from upsample.ops.call_chains import once
from upsample.ops.resize import resize as run
from upsample.plans.arithmetic import HIGH_HALVES, Arithmetic, Ties
from upsample.plans.plan_cache import planned_for_sizes
from upsample.plans.resize import AxisRule, ResizePlan, identity, tabled

__all__ = ["resize"]

_EPSILON = 2.220446049250313e-16
"""DBL_EPSILON: a scale so near to an integer is one."""
_BITS = 11
"""Binary places of the weights of bytes."""
_SHARES = 1 << 16
"""Up to so many samples a cell, sums of bytes are exact in float32."""


def resize(
    src: ArrayT,
    dsize: Sequence[int] | None,
    fx: float = 0,
    fy: float = 0,
    interpolation: int = 1,
    *,
    version: str = "5",
    engine: EngineName | None = None,
) -> ArrayT:
    """Resize an image to the bits of ``cv2.resize``.

    Parameters
    ----------
    src : array
        ``[H, W]`` or ``[H, W, C]``: uint8, int8, uint16, int16, float32 or float64.
    dsize : pair of int, or None
        Width and height of the result; None, or (0, 0), takes them from `fx` and `fy`.
    fx, fy : float
        Factors along the width and the height; looked at without `dsize` alone.
    interpolation : int
        One of `Interpolation`, or its number; INTER_LINEAR by default.
    version : {"5", "4"}
        The version of OpenCV to follow: INTER_NEAREST_EXACT differs in a fifth of all sizes.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        Of the library, dtype and device of `src`.

    Raises
    ------
    ValueError
        Neither a size nor factors, a size below 1, an interpolation that is unknown.
    TypeError
        A dtype that OpenCV does not resize; sizes that are no integers.

    See Also
    --------
    upsample.resize : Any axes of any array, by height first.

    Notes
    -----
    Integers have OpenCV's bits, with three exceptions of one level: INTER_CUBIC of bytes, whose columns OpenCV's
    vectors sum in float32; INTER_AREA by factors that are not whole, whose means are sums of float32; and sums of
    16-bit integers, whose order depends on the width of those vectors. Floats agree within
    4e-6 of the largest sample. That is OpenCV without Intel's IPP, or after ``cv2.ipp.setUseIPP(False)``; with it, as
    in the wheels for x86-64, INTER_CUBIC, and INTER_LINEAR of anything but bytes, differ by one level.

    References
    ----------
    https://docs.opencv.org/5.x/da/d54/group__imgproc__transform.html

    Examples
    --------
    >>> import numpy as np
    >>> from upsample import opencv
    >>> image = np.zeros((20, 30, 3), dtype=np.uint8)
    >>> opencv.resize(image, (15, 10), interpolation=opencv.INTER_AREA).shape
    (10, 15, 3)
    >>> opencv.resize(np.asarray([[0, 100]], dtype=np.uint8), None, fx=2, fy=1)
    array([[  0,  25,  75, 100]], dtype=uint8)
    """
    result: ArrayT = once(_resize, src, dsize, fx, fy, interpolation, version, engine)
    return result


def _resize(
    src: ArrayT,
    dsize: Sequence[int] | None,
    fx: float,
    fy: float,
    interpolation: int,
    version: str,
    engine: EngineName | None,
) -> ArrayT:
    op = "resize"
    xp = arrays.namespace(op, {"src": src})
    of = image_of(op, src)
    size, factors = _sizes(op, of, dsize, fx, fy)
    mode = interpolation_of(op, interpolation)
    if not isinstance(version, str):
        raise bad_type(op, "version", version, "a version must be text", 'pass "5" or "4"')
    if version.partition(".")[0] not in ("4", "5"):
        raise bad_value(op, "version", version, "its rules are unknown", 'pass "5" or "4"')
    call = _Call(of, size, factors, version.startswith("4"))
    plan = call.planned(mode)

    def filtered(x: Any, plan: ResizePlan) -> Any:
        return run(x, op=op, arguments=("src", "dsize"), xp=xp, plan=plan, out=None, engine=engine)

    if plan is None:
        return cast(ArrayT, _Cells(call).averaged(xp, src, filtered))
    return cast(ArrayT, filtered(src, plan))


def _sizes(
    op: str, of: Image, dsize: Sequence[int] | None, fx: object, fy: object
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Return width and height of the result, and the factors that coordinates use."""
    size = as_tuple(dsize)
    if dsize is not None and not (isinstance(size, tuple) and size == (0, 0)):
        width, height = integers(op, "dsize", dsize, 2, least=1, one_for_all=False)
        return (width, height), (width / of.size[0], height / of.size[1])
    factors = number(op, "fx", fx), number(op, "fy", fy)
    if min(factors) <= 0:
        raise bad_value(
            op, "dsize", dsize, "neither it nor fx and fy say a size", "pass (width, height), or both factors"
        )
    made = tuple(int(np.rint(n * factor)) for n, factor in zip(of.size, factors, strict=True))
    if min(made) < 1:
        raise bad_value(op, "fx, fy", factors, f"they make {of.size} into {made}", "pass larger factors")
    return (made[0], made[1]), factors


class _Call:
    """The sizes of a call of `resize`, and what follows from them."""

    def __init__(self, of: Image, size: tuple[int, int], factors: tuple[float, float], is_old: bool) -> None:
        self.of, self.size, self.factors, self.is_old = of, size, factors, is_old
        self.scales = 1.0 / factors[0], 1.0 / factors[1]
        self.whole = all(abs(s - round(s)) < _EPSILON for s in self.scales)

    def planned(self, mode: Interpolation) -> ResizePlan | None:
        """Choose the method, as OpenCV does; None where means of whole cells take more than one plan."""
        of = self.of
        if self.size == of.size:
            return ResizePlan((of.top,), (identity(self.size[1]),))
        halves = self.whole and all(round(s) == 2 for s in self.scales)
        if mode is Interpolation.LINEAR_EXACT and not of.is_integer:
            mode = Interpolation.LINEAR
        if halves and (mode is Interpolation.LINEAR or (mode is Interpolation.LINEAR_EXACT and of.channels != 2)):
            mode = Interpolation.AREA
        if mode is Interpolation.NEAREST:
            return self.plan("opencv nearest", [(s,) for s in self.scales], INTEGERS, 0)
        if mode is Interpolation.NEAREST_EXACT:
            name = "opencv nearest fixed" if self.is_old else "opencv nearest walk"
            return self.plan(name, [(), ()], INTEGERS, 0)
        if mode is Interpolation.LINEAR_EXACT:
            bits, arithmetic = (8, BYTES) if of.dtype == "uint8" else (16, INTEGERS)
            return self.plan("opencv linear exact", [(s, bits) for s in self.scales], arithmetic, bits)
        if mode is Interpolation.AREA and min(self.scales) >= 1.0:
            if self.whole:
                return _Cells(self).planned()
            return self.plan("opencv area", [(s,) for s in self.scales], self.sums, 0)
        if mode in (Interpolation.AREA, Interpolation.LINEAR):
            return self._linear(mode)
        bits = _BITS if of.dtype == "uint8" else 0
        arithmetic = INTEGERS if bits else self.sums
        return self.plan(f"opencv {mode.name.lower()}", [(s, bits) for s in self.scales], arithmetic, bits)

    @property
    def sums(self) -> Arithmetic:
        """The arithmetic of all but bytes."""
        return DOUBLES if self.of.dtype == "float64" else FLOATS

    def _linear(self, mode: Interpolation) -> ResizePlan:
        """Weigh two samples per axis; sums of bytes lose places after the rows, and each product after that."""
        name, numbers = "opencv linear", self.scales
        if mode is Interpolation.AREA:
            name, numbers = "opencv area linear", self.factors
        is_bytes = self.of.dtype == "uint8"
        bits, arithmetic = (_BITS, HIGH_HALVES) if is_bytes else (0, self.sums)
        return self.plan(name, [(n, i == 0, bits) for i, n in enumerate(numbers)], arithmetic, bits)

    def plan(self, name: str, numbers: Sequence[tuple[Any, ...]], arithmetic: Arithmetic, bits: int) -> ResizePlan:
        """Plan a maker's table along both axes; `numbers` are its numbers along the width, and along the height."""
        return _plan(self.of.top, self.of.size, self.size, name, (numbers[0], numbers[1]), arithmetic, bits)


class _Cells:
    """INTER_AREA by whole factors: means of cells; of those that the border cuts, of the samples that they have."""

    def __init__(self, call: _Call) -> None:
        self.call, self.of = call, call.of
        self.factor = [round(s) for s in call.scales]
        self.share = self.factor[0] * self.factor[1]
        self.simple = self.factor == [2, 2] and self.of.channels in (1, 3, 4)
        self.full = [n // f for n, f in zip(self.of.size, self.factor, strict=True)]
        self.is_cut = any(o > f for o, f in zip(call.size, self.full, strict=True))
        self.part = float(np.float32(1.0) / np.float32(self.share))
        """What a sum is multiplied by."""

    def planned(self) -> ResizePlan | None:
        """Return the plan where no cell is cut; None where there is more to do."""
        dtype = self.of.dtype
        if self.is_cut:
            return None
        if self.simple and dtype == "uint8":
            return self.call.plan("opencv area cells", [(2, 0.5)] * 2, BYTES, 1)
        if dtype not in ("uint8", "int8"):
            ties = Ties.UP if self.simple and self.of.is_integer else Ties.EVEN
            arithmetic = replace(self.call.sums, scale=self.part, ties=ties)
        elif self.simple:
            arithmetic = Arithmetic("float32", Ties.UP, each_axis=False, scale=self.part)
        elif self.share <= _SHARES:
            arithmetic = Arithmetic("float32", Ties.EVEN, each_axis=False, scale=self.part)
        else:
            return None
        return self.call.plan("opencv area cells", [(f, 1.0) for f in self.factor], arithmetic, 0)

    def averaged(self, xp: ModuleType, x: Any, filtered: Callable[[Any, ResizePlan], Any]) -> Any:
        """Average cells; those that the border cuts have fewer samples, and are divided by their number."""
        call, of, factor, share = self.call, self.of, self.factor, self.share
        exact = of.dtype in ("uint8", "int8") and share > _SHARES
        wide = xp.float64 if of.dtype == "float64" or exact else xp.float32
        plan = call.plan("opencv area cells", [(f, 1.0) for f in factor], call.sums, 0)
        sums = filtered(arrays.astype(xp, x, wide), plan)
        real = xp.float64 if of.dtype == "float64" else xp.float32
        sums = arrays.astype(xp, sums, real)
        down, across = (np.clip(of.size[i] - np.arange(call.size[i]) * factor[i], 0, factor[i]) for i in (1, 0))
        count = np.maximum(down[:, None] * across, 1)
        shape = count.shape + (1,) * of.inner_axes
        if not of.is_integer:
            shares = np.where(count == share, self.part, 1.0 / count).reshape(shape)
            return taped_casts.multiply(xp, sums, arrays.from_table(xp, shares, sums, real))
        made = xp.floor(sums * self.part + 0.5) if self.simple else sums * self.part
        if self.is_cut:  # rows and columns with a cut cell are divided
            cut = (down < factor[1])[:, None] | (np.arange(call.size[0]) >= self.full[0])
            by = arrays.from_table(xp, count.reshape(shape), sums, sums.dtype)
            made = xp.where(arrays.from_table(xp, cut.reshape(shape), sums), sums / by, made)
        info = np.iinfo(of.dtype)
        return arrays.astype(xp, clip(xp, xp.round(made), float(info.min), float(info.max)), x.dtype)


@planned_for_sizes
def _plan(
    top: int,
    image: tuple[int, int],
    size: tuple[int, int],
    name: str,
    numbers: tuple[tuple[Any, ...], tuple[Any, ...]],
    arithmetic: Arithmetic,
    bits: int,
) -> ResizePlan:
    """Plan both passes, rows' samples first; weights have `bits` binary places, or 0 if they are not rounded."""
    rules: list[AxisRule] = [tabled(image[i], size[i], name, *numbers[i], bits=bits) for i in (1, 0)]
    return ResizePlan((top, top + 1), tuple(rules), (top + 1, top), arithmetic)


opaque(resize, open_sizes=False)

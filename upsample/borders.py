"""What `upsample.resize` takes for samples beyond the border, and which part of an axis it resamples."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from upsample import arrays
from upsample.arguments import number, numbers, one_of, scaled_size
from upsample.arrays import Array
from upsample.errors import bad_value
from upsample.float_errors import quiet
from upsample.ops import taped_casts
from upsample.ops.resize import resize as run
from upsample.plans.arithmetic import NEAREST
from upsample.plans.filters import FILTERS, Point
from upsample.plans.makers import native
from upsample.plans.plan_cache import planned_for_sizes
from upsample.plans.resize import AxisRule, ResizePlan, tabled
from upsample.plans.taps import taps

__all__ = ["BOUNDARIES", "Bordered", "Borders", "Request", "borders_of", "plan_bordered"]

BOUNDARIES = ("edge", "reflect", "mirror", "wrap", "constant")


class Request(NamedTuple):
    """The checked arguments of a resize that determine its plan.

    Attributes
    ----------
    op : str
        What the dialect calls the operation, for errors.
    in_sizes, axes : tuple of int
        The size of each axis to resample, and its number.
    sizes, scales : tuple, or None
        The new sizes or the factors, whichever the caller passed.
    modes : tuple of str
        The mode of each axis.
    antialias, corners : bool
        `antialias` and `align_corners`.
    cubic_coeff : float
        The coefficient of the cubic mode.
    """

    op: str
    in_sizes: tuple[int, ...]
    axes: tuple[int, ...]
    sizes: tuple[int, ...] | None
    scales: tuple[float, ...] | None
    modes: tuple[str, ...]
    antialias: bool
    corners: bool
    cubic_coeff: float

    def spacing(self, place: int, length: float) -> tuple[int, tuple[float, float]]:
        """Return the size of a resampled axis of `length` samples, and the distance of its samples as a ratio."""
        scale = None if self.scales is None else self.scales[place]
        if scale is None:
            assert self.sizes is not None
            size = self.sizes[place]
        else:
            size = scaled_size(self.op, "scale", length, scale)
        if self.corners:
            return size, (length - 1.0, float(size - 1)) if size > 1 else (0.0, 1.0)
        by_sizes = scale is None or self.modes[place] == "area"
        return size, (float(length), float(size)) if by_sizes else (1.0, scale or 1.0)

    def coefficient(self, place: int) -> float:
        """Return the coefficient of the filter of an axis; 0 if the filter has none."""
        return self.cubic_coeff if self.modes[place] == "cubic" else 0.0


@dataclass(frozen=True, slots=True)
class _Placed:
    """The positions of the outputs of an axis.

    Attributes
    ----------
    low : float
        Begin of the resampled part, in samples.
    step : tuple of float
        Input samples per output sample, as a ratio.
    corners, antialias : bool
        `align_corners` and `antialias` of `resize`.
    coefficient : float
        Coefficient of the cubic mode.
    """

    low: float
    step: tuple[float, float]
    corners: bool
    antialias: bool
    coefficient: float


@dataclass(frozen=True, slots=True)
class Borders:
    """The arguments of `resize` that this module knows.

    Attributes
    ----------
    boundary : str
        One of `BOUNDARIES`, or "cut" and "edge" for what `resize` does by itself.
    cval : float
        The constant.
    boxes : tuple of (float, float), or None
        From where to where each axis is resampled.
    offsets : tuple of float
        By how many samples it is moved.
    """

    boundary: str
    cval: float
    boxes: tuple[tuple[float, float], ...] | None
    offsets: tuple[float, ...]

    def part(self, place: int, size: int) -> tuple[float, float]:
        """Return where the part of an axis begins, and how long it is."""
        low, high = (0.0, float(size)) if self.boxes is None else self.boxes[place]
        return low + self.offsets[place], high - low


def borders_of(
    op: str, boundary: object, cval: object, box: object, offset: object, axes: int, antialias: bool
) -> Borders | None:
    """Check the arguments; None where all of them are what they are by default."""
    constant = number(op, "cval", cval)
    if boundary is None and box is None and offset == 0 and constant == 0:
        return None
    name = None if boundary is None else one_of(op, "boundary", boundary, BOUNDARIES, "it is unknown")
    if constant != 0 and boundary != "constant":
        raise bad_value(op, "cval", cval, "it belongs to boundary='constant'", "omit it, or pass that boundary")
    boxes = None if box is None else _boxes(op, box, axes)
    offsets = numbers(op, "offset", offset, axes)
    far: list[tuple[str, object, tuple[float, ...]]] = [("box", box, sum(boxes or (), ()))]
    if name != "wrap":  # which takes any offset modulo the size
        far.append(("offset", offset, offsets))
    for argument, given, values in far:
        if any(abs(value) > _FARTHEST for value in values):
            rule = f"positions are not exact past {_FARTHEST} samples"
            raise bad_value(op, argument, given, rule, "pass a part near the array")
    return Borders(name or ("cut" if antialias else "edge"), constant, boxes, offsets)


def _boxes(op: str, box: object, axes: int) -> tuple[tuple[float, float], ...]:
    pairs: Any = box
    if isinstance(pairs, (list, tuple)) and axes == 1 and len(pairs) == 2 and not isinstance(pairs[0], (list, tuple)):
        pairs = (pairs,)
    if not isinstance(pairs, (list, tuple)) or len(pairs) != axes:
        raise bad_value(op, "box", box, f"there are {axes} axes", "pass a pair (low, high) for each of axes")
    made = []
    for i, pair in enumerate(pairs):
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise bad_value(op, f"box[{i}]", pair, "it is no pair", "pass (low, high), in samples")
        low, high = (number(op, f"box[{i}][{j}]", v) for j, v in enumerate(pair))
        if low >= high:
            raise bad_value(op, f"box[{i}]", pair, "it holds nothing", "pass the lower number first")
        made.append((low, high))
    return tuple(made)


_FARTHEST = 1 << 32
"""Samples from the array to the part that is resampled, at most; float64 then has 20 binary places of a sample."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """An axis that is resampled.

    Attributes
    ----------
    rule : AxisRule
        How.
    before, after : int
        Samples of the other end that go in front of it and behind it.
    outside : tuple of bool
        Which outputs are the constant, where one sample makes an output; otherwise empty.
    """

    rule: AxisRule
    before: int
    after: int
    outside: tuple[bool, ...]


def _axis(borders: Borders, n: int, o: int, mode: str, at: _Placed) -> _Axis:
    """Choose the table of an axis."""
    method, before, after = FILTERS[mode], 0, 0
    rest: tuple[bool, bool, float] = at.corners, at.antialias, at.coefficient
    low, boundary = at.low, borders.boundary
    if boundary == "wrap":
        low = math.fmod(low, n)
        first, last = native.reach(o, mode, low, *at.step, at.corners, at.antialias, at.coefficient)
        before, after = max(0, -first), max(0, last - n + 1)
        n, low, boundary = n + before + after, low + before, "edge"
    if not isinstance(method, Point):
        kept = "drop" if boundary == "constant" else boundary
        return _Axis(tabled(n, o, "native", mode, low, *at.step, *rest, kept, bits=0), before, after, ())
    outside: tuple[bool, ...] = ()
    if boundary == "constant":
        place = np.floor(low + (np.arange(o) + method.anchor) * at.step[0] / at.step[1])
        outside = tuple(((place < 0) | (place >= n)).tolist())
    kept = boundary if boundary in ("reflect", "mirror") else "edge"
    return _Axis(tabled(n, o, "native nearest", mode, low, *at.step, kept, bits=0), before, after, outside)


@dataclass(frozen=True, slots=True, eq=False)
class Bordered:
    """A resize with borders: the plan, and what is done before and after it.

    Attributes
    ----------
    plan : ResizePlan
        Of the array with the samples that `wrap` adds.
    axes : dict of int to _Axis
        What it is made of.
    cval : float
        The constant beyond the border.
    """

    plan: ResizePlan
    axes: dict[int, _Axis]
    cval: float

    @property
    def is_plan(self) -> bool:
        """Whether the plan is all there is to do."""
        added = any(axis.before or axis.after or any(axis.outside) for axis in self.axes.values())
        return not added and self.cval == 0

    @quiet
    def run(self, x: Array, op: str, xp: ModuleType, engine: str | None) -> Any:
        """Resample an array."""
        made: Any = x
        for place, axis in self.axes.items():
            if axis.before or axis.after:
                made = taped_casts.wrap(xp, made, place, axis.before, axis.after)
        name = arrays.dtype_name(x)
        rounds = self.cval != 0 and name in arrays.INTEGER and not self.plan.only_moves
        if rounds:
            made = taped_casts.convert(xp, made, arrays.double(xp))
        made = run(made, op=op, arguments=("x", "shape"), xp=xp, plan=self.plan, out=None, engine=engine)
        made = self._with_constant(xp, made)
        return arrays.astype(xp, NEAREST.rounded(xp, made, name), x.dtype) if rounds else made

    def _with_constant(self, xp: ModuleType, made: Any) -> Any:
        """Add the share of the constant: what the weights of the samples inside lack."""
        inside, outside = np.ones((1,) * made.ndim), np.zeros((1,) * made.ndim, dtype=bool)
        for place, axis in self.axes.items():
            column = (-1,) + (1,) * (made.ndim - place - 1)
            if axis.outside:
                outside = outside | np.asarray(axis.outside).reshape(column)
            elif self.cval and not axis.rule.moves:
                inside = inside * taps(axis.rule).weight.sum(axis=1).reshape(column)
        if (inside != 1.0).any():
            lacking = arrays.from_table(xp, self.cval * (1.0 - inside), made, made.dtype)
            made = taped_casts.add(xp, made, lacking)
        if outside.any():
            name = arrays.dtype_name(made)
            constant = NEAREST.rounded(np, np.asarray([self.cval]), name)[0] if name in arrays.INTEGER else self.cval
            value = xp.asarray(constant, dtype=made.dtype, device=arrays.device_of(made))
            made = taped_casts.fill(xp, made, arrays.from_table(xp, outside, made), value)
        return made


@planned_for_sizes
@quiet
def plan_bordered(request: Request, borders: Borders) -> Bordered:
    """Plan a resize with borders other than its usual ones."""
    made = {}
    for place, (axis, n, mode) in enumerate(zip(request.axes, request.in_sizes, request.modes, strict=True)):
        low, length = borders.part(place, n)
        o, step = request.spacing(place, length)
        at = _Placed(low, step, request.corners, request.antialias, request.coefficient(place))
        made[axis] = _axis(borders, n, o, mode, at)
    order = tuple(sorted(made))
    plan = ResizePlan(order, tuple(made[axis].rule for axis in order), arithmetic=NEAREST)
    return Bordered(plan, made, borders.cval)

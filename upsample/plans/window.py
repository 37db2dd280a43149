"""Windows: the positions of the large side that each cell of the small side covers.

Pooling (large to small), unpooling and transposed convolution (small to large) share this geometry. Along an axis, tap
``k`` of the window of cell ``i`` has the position::

    y = i * stride - padding + k * dilation

    stride 2, kernel 3, padding 1      large    . 0 1 2 3 4 .
                                       cell 0   └─┴─┘
                                       cell 1       └─┴─┘
                                       cell 2           └─┴─┘
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from upsample.plans.cell_blocks import CellBlocks
from upsample.plans.long_tables import PIECE, in_pieces
from upsample.tensors import has_symbols, lesser

__all__ = [
    "ConvTransposePlan",
    "PlanePart",
    "PoolPlan",
    "Range",
    "SpanAxis",
    "UnpoolPlan",
    "WindowAxis",
    "window_count",
]

Range: TypeAlias = tuple[int, int]
"""Begin and end of a range of integers; the end is not included."""

_Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class WindowAxis:
    """Windows of one size at a fixed stride along one axis.

    Attributes
    ----------
    large, small : int
        Numbers of positions and of cells.
    kernel, stride, padding, dilation : int
        Taps of a window; the other three count positions of the large side.
    """

    large: int
    small: int
    kernel: int
    stride: int
    padding: int
    dilation: int

    def positions(self, tap: int) -> _Ints:
        """Return the position of tap `tap` of each cell; positions outside ``[0, large)`` are padding."""
        return np.arange(self.small) * self.stride - self.padding + tap * self.dilation

    def cells(self, begin: int, end: int) -> WindowAxis:
        """Return the windows of cells ``[begin, end)``; their padding may be negative."""
        return replace(self, small=end - begin, padding=self.padding - begin * self.stride)

    def part(self, cells: Range, positions: Range) -> WindowAxis:
        """Return the windows of a range of cells, with positions counted from the first of `positions`."""
        (begin, end), (low, high) = cells, positions
        return replace(self, large=high - low, small=end - begin, padding=self.padding - begin * self.stride + low)

    def covering_cells(self, begin: int, end: int) -> Range:
        """Return the range of cells whose windows span any of the positions ``[begin, end)``."""
        low = -((self.reach - 1 - begin - self.padding) // self.stride)
        return _inside(low, (end - 1 + self.padding) // self.stride + 1, self.small)

    def needs(self, begin: int, end: int) -> Range:
        """Return the range of positions inside that the windows of cells ``[begin, end)`` span, or one next to it."""
        return _at_least_one(*self.reads(begin, end), self.large)

    @property
    def reach(self) -> int:
        """Positions that a window spans, from its first tap to its last."""
        return self.dilation * (self.kernel - 1) + 1

    def reads(self, begin: int, end: int) -> tuple[int, int]:
        """Return the range of positions, padding included, that the windows of cells ``[begin, end)`` span."""
        return begin * self.stride - self.padding, (end - 1) * self.stride - self.padding + self.reach

    def useful_taps(self) -> range:
        """Return the range from the first to the last tap that is inside for at least one cell."""
        low = -(((self.small - 1) * self.stride - self.padding) // self.dilation)
        high = (self.padding + self.large - 1) // self.dilation
        return range(max(low, 0), min(high, self.kernel - 1) + 1)

    def trimmed(self) -> WindowAxis:
        """Return the windows without the taps that are padding for every cell; the padding may become negative."""
        if has_symbols((self.large, self.small)):
            return self
        useful = self.useful_taps() or range(1)
        return replace(self, kernel=len(useful), padding=self.padding - useful.start * self.dilation)

    def first_inside(self) -> _Ints:
        """Return each cell's first tap that is not padding; if all are padding, the kernel's size or more."""
        return -(np.minimum(self.positions(0), 0) // self.dilation)

    def every_window_has_an_element(self) -> bool:
        """Tell whether each window has a tap inside; sizes that are symbols count as sizes for which it has."""
        if has_symbols((self.large, self.small)):
            return True
        starts_inside = (self.small - 1) * self.stride - self.padding < self.large
        if self.dilation <= self.large and 2 * self.padding <= self.reach and starts_inside:
            return True  # no window steps over the input, ends before it or starts after it
        first = self.positions(0) + self.first_inside() * self.dilation
        return bool(((self.first_inside() < self.kernel) & (first < self.large)).all())


def _inside(low: int, high: int, size: int) -> Range:
    """Clip a range to ``[0, size)``."""
    low, high = min(max(low, 0), size), min(max(high, 0), size)
    return low, max(low, high)


def _at_least_one(low: int, high: int, size: int) -> Range:
    """Clip a range to ``[0, size)``; an empty one becomes the nearest number."""
    low = max(min(low, size - 1), 0)
    return low, min(max(high, low + 1), size)


@dataclass(frozen=True, slots=True)
class SpanAxis:
    """Adaptive windows along one axis: cell ``i`` covers ``[i * large // small, ceil((i + 1) * large / small))``.

    Attributes
    ----------
    large, small : int
        Numbers of positions and of cells.
    cut : SpanCut or None
        The place of a part in its full axis; None for a full axis.
    """

    large: int
    small: int
    cut: SpanCut | None = None

    def part(self, cells: Range, positions: Range) -> SpanAxis:
        """Return the windows of a range of cells, with positions counted from the first of `positions`."""
        assert self.cut is None, "parts are cut from full axes"
        return SpanAxis(positions[1] - positions[0], cells[1] - cells[0], SpanCut(self, cells[0], positions[0]))

    def covering_cells(self, begin: int, end: int) -> Range:
        """Return the range of cells whose windows span any of the positions ``[begin, end)``."""
        return _inside(begin * self.small // self.large, -(-end * self.small // self.large), self.small)

    def needs(self, begin: int, end: int) -> Range:
        """Return the range of positions that cells ``[begin, end)`` cover."""
        return self.reads(begin, end)

    def reads(self, begin: int, end: int) -> Range:
        """Return the range of positions that cells ``[begin, end)`` cover."""
        if self.cut is not None:
            low, high = self.cut.full.reads(self.cut.begin + begin, self.cut.begin + end)
            return low - self.cut.low, high - self.cut.low
        return begin * self.large // self.small, -(-end * self.large // self.small)

    def spans(self, begin: int, end: int) -> tuple[_Ints, _Ints]:
        """Return the first position of each of the cells ``[begin, end)``, and the number of positions it covers."""
        if self.cut is not None:
            first, count = self.cut.full.spans(self.cut.begin + begin, self.cut.begin + end)
            return first - self.cut.low, count
        cell = np.arange(begin, end)
        first = cell * self.large // self.small
        return first, -(-(cell + 1) * self.large // self.small) - first

    def first(self) -> _Ints:
        """Return the first position of each cell."""
        return in_pieces(self.spans, 0, self.small, PIECE)[0]

    def count(self) -> _Ints:
        """Return the number of positions that each cell covers."""
        return in_pieces(self.spans, 0, self.small, PIECE)[1]

    @property
    def is_even(self) -> bool:
        """Whether all cells cover equally many positions, and no two cells overlap."""
        return self.cut is None and self.large % self.small == 0

    @property
    def longest(self) -> int:
        """Most positions that a cell covers."""
        if self.cut is not None:
            return int(self.count().max(initial=1))
        quotient, rest = divmod(self.large, max(self.small, 1))
        partial = rest // math.gcd(rest, self.small)  # positions of which a cell may cover a fraction, rounded outward
        return quotient + min(partial, 2)

    def covering(self) -> tuple[_Ints, _Ints]:
        """Return the first cell that covers each position, and the number of cells that cover it."""
        position = np.arange(self.large)
        begin = np.searchsorted(self.first() + self.count(), position, side="right")
        return begin, np.searchsorted(self.first(), position, side="right") - begin


@dataclass(frozen=True, slots=True)
class SpanCut:
    """The place of a part in a full axis: its cells begin at `begin`, its positions at `low`."""

    full: SpanAxis
    begin: int
    low: int


@dataclass(frozen=True, slots=True)
class PlanePart:
    """The place of a part in a full plane; indices count positions of the full plane.

    Attributes
    ----------
    plane : tuple of int
        The spatial shape of the full plane.
    origin : tuple of int
        The position in the plane at which the part begins.
    first : tuple of int
        The place of the first cell in the full array of indices, for errors.
    """

    plane: tuple[int, ...]
    origin: tuple[int, ...]
    first: tuple[int, ...]

    @property
    def weights(self) -> tuple[int, ...]:
        """What a step along each axis adds to an index."""
        return tuple(math.prod(self.plane[axis + 1 :]) for axis in range(len(self.plane)))

    @property
    def start(self) -> int:
        """The index of the first position."""
        return sum(place * weight for place, weight in zip(self.origin, self.weights, strict=True))


def window_count(n: int, begin: int, end: int, reach: int, stride: int, rounds_up: bool) -> int:
    """Return how many windows of `reach` positions fit into `n`, padded by `begin` and `end`.

    If `rounds_up`, the last window may extend beyond the padding at the end, but must start before it.
    """
    free = n + begin + end - reach
    count = (-(-free // stride) if rounds_up else free // stride) + 1
    return lesser(count, (n + begin - 1) // stride + 1) if rounds_up else count


class _Spatial:
    """The spatial shapes of a plan of windows."""

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def axes(self) -> tuple[WindowAxis | SpanAxis, ...]: ...

    @property
    def large_shape(self) -> tuple[int, ...]:
        """The spatial shape that the windows cover: the input of a pooling, or the result of its inverse."""
        return tuple(axis.large for axis in self.axes)

    @property
    def small_shape(self) -> tuple[int, ...]:
        """The number of windows along each axis."""
        return tuple(axis.small for axis in self.axes)


@dataclass(frozen=True, slots=True)
class PoolPlan(_Spatial):
    """A max-pooling of the trailing axes.

    Attributes
    ----------
    axes : tuple
        One geometry a spatial axis.
    local_indices : bool
        Indices count within the window, padding included (Chainer), not in the input plane (torch).
    first_nan : bool
        The first NaN of a window wins (Chainer), not the last (torch).
    within : PlanePart or None
        The place of the input in a full plane, whose positions indices count; None if the input has full planes.
    """

    axes: tuple[WindowAxis | SpanAxis, ...]
    local_indices: bool
    first_nan: bool
    within: PlanePart | None = None

    @property
    def weights(self) -> tuple[int, ...]:
        """For each axis, what an index grows by from one tap (local indices) or one position to the next."""
        if self.within is not None and not self.local_indices:
            return self.within.weights
        extents = [a.kernel if isinstance(a, WindowAxis) and self.local_indices else a.large for a in self.axes]
        return tuple(math.prod(extents[axis + 1 :]) for axis in range(len(extents)))

    @property
    def start(self) -> int:
        """The index of the first position."""
        return 0 if self.within is None or self.local_indices else self.within.start

    @property
    def index_bound(self) -> int:
        """One more than the largest index."""
        if self.within is not None and not self.local_indices:
            return math.prod(self.within.plane)
        axis = self.axes[0]
        first = axis.kernel if isinstance(axis, WindowAxis) and self.local_indices else axis.large
        return first * self.weights[0]

    def transpose(self) -> UnpoolPlan:
        """Return the plan of the gradient, which adds the gradients of all cells with one maximum."""
        return UnpoolPlan(
            self.axes, self.local_indices, duplicates="sum", check_indices=False, deterministic=True, trusted=True
        )


@dataclass(frozen=True, slots=True)
class UnpoolPlan(_Spatial):
    """A max-unpooling of the trailing axes: one position of each cell's window receives the cell's value.

    Attributes
    ----------
    axes : tuple
        One geometry a spatial axis; adaptive windows only if indices are `trusted`.
    local_indices : bool
        Indices count taps of the window, negative ones from its end, and cells whose index is in the padding are
        dropped (Chainer). Otherwise indices count positions of the output plane (torch).
    duplicates : {"last", "sum", "error"}
        The rule for several cells with one position.
    check_indices : bool
        Whether indices are checked; if not, cells whose index is outside their window are dropped.
    deterministic : bool
        Whether equal calls give equal results. If not, under "last" any of several cells with one position may win.
    trusted : bool
        The indices come from the pooling of these windows, so that engines need no check.
    within : PlanePart or None
        The place of the result in a full plane, whose positions indices count; None if the result has full planes. In
        a part, an index outside its own window is an error, and a cell whose index is outside the part is dropped.
    checks_later : bool
        Whether a call may return before a GPU has checked its indices: then a later call raises the IndexError, and an
        index outside its own window is an error. Other engines check at once.
    """

    axes: tuple[WindowAxis | SpanAxis, ...]
    local_indices: bool
    duplicates: str
    check_indices: bool
    deterministic: bool
    trusted: bool = False
    within: PlanePart | None = None
    checks_later: bool = False

    @property
    def has_full_planes(self) -> bool:
        """Whether the result has full planes; it may still be a part along the leading axes."""
        return self.within is None or self.within.plane == self.large_shape

    @property
    def windows(self) -> tuple[WindowAxis, ...]:
        """The axes, none of which is adaptive."""
        return tuple(axis for axis in self.axes if isinstance(axis, WindowAxis))


@dataclass(frozen=True, slots=True)
class ConvTransposePlan(_Spatial):
    """A transposed convolution: each cell adds its value times the weight of each tap to the tap's position.

    Attributes
    ----------
    axes : tuple of WindowAxis
        One geometry a spatial axis.
    groups : int
        Number of groups of channels; each group is convolved alone.
    precision : {"float32", "tf32x3", "tf32"}
        How a GPU multiplies float32 factors: exactly, as three products of TF32, or rounded to TF32.
    blocks : CellBlocks or None
        For the gradient of weight or bias on a part of an array: the blocks of the full array. The part begins where a
        block begins, and the result has the sum of each block, ``[blocks, ...]``, in the dtype of sums.
    """

    axes: tuple[WindowAxis, ...]
    groups: int
    precision: str
    blocks: CellBlocks | None = None

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Spatial shape of the weight."""
        return tuple(axis.kernel for axis in self.axes)

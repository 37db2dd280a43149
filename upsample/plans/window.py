"""Windows: the positions of the large side that each cell of the small side covers.

One geometry serves pooling (large to small), unpooling and transposed convolution (small to large). Along an axis,
tap ``k`` of the window of cell ``i`` lies at position::

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
"""Numbers from and to, the latter not included."""

_Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class WindowAxis:
    """Windows of one size at a fixed stride along one axis.

    Attributes
    ----------
    large, small : int
        Positions, and cells.
    kernel, stride, padding, dilation : int
        Of the window, in positions of the large side.
    """

    large: int
    small: int
    kernel: int
    stride: int
    padding: int
    dilation: int

    def positions(self, tap: int) -> _Ints:
        """Where tap `tap` of each cell lies; outside ``[0, large)`` is padding."""
        return np.arange(self.small) * self.stride - self.padding + tap * self.dilation

    def cells(self, begin: int, end: int) -> WindowAxis:
        """Return the windows of cells ``[begin, end)`` alone; the padding may be negative."""
        return replace(self, small=end - begin, padding=self.padding - begin * self.stride)

    def part(self, cells: Range, positions: Range) -> WindowAxis:
        """Return the windows of some cells, with positions counted from the first of `positions`."""
        (begin, end), (low, high) = cells, positions
        return replace(self, large=high - low, small=end - begin, padding=self.padding - begin * self.stride + low)

    def meets(self, begin: int, end: int) -> Range:
        """The cells from and to, between which the windows that reach into positions ``[begin, end)`` lie."""
        low = -((self.reach - 1 - begin - self.padding) // self.stride)
        return _inside(low, (end - 1 + self.padding) // self.stride + 1, self.small)

    def needs(self, begin: int, end: int) -> Range:
        """The positions inside that the windows of cells ``[begin, end)`` span; at least one, if there is any."""
        return _at_least_one(*self.reads(begin, end), self.large)

    @property
    def reach(self) -> int:
        """Extent of a window: from its first position to one past its last."""
        return self.dilation * (self.kernel - 1) + 1

    def reads(self, begin: int, end: int) -> tuple[int, int]:
        """The positions from and to, padding included, between which the windows of cells ``[begin, end)`` lie."""
        return begin * self.stride - self.padding, (end - 1) * self.stride - self.padding + self.reach

    def useful_taps(self) -> range:
        """The taps between the first and the last that is no padding for some cell, however large the window is."""
        low = -(((self.small - 1) * self.stride - self.padding) // self.dilation)
        high = (self.padding + self.large - 1) // self.dilation
        return range(max(low, 0), min(high, self.kernel - 1) + 1)

    def trimmed(self) -> WindowAxis:
        """Return the same windows without the taps that are padding for every cell; the padding may be negative."""
        if has_symbols((self.large, self.small)):
            return self
        useful = self.useful_taps() or range(1)
        return replace(self, kernel=len(useful), padding=self.padding - useful.start * self.dilation)

    def first_inside(self) -> _Ints:
        """The first tap of each cell that is no padding (the kernel's size, or more, where all are)."""
        return -(np.minimum(self.positions(0), 0) // self.dilation)

    def every_window_has_an_element(self) -> bool:
        """Whether no window lies in the padding with all of its taps; of sizes that are symbols, it is supposed."""
        if has_symbols((self.large, self.small)):
            return True
        starts_inside = (self.small - 1) * self.stride - self.padding < self.large
        if self.dilation <= self.large and 2 * self.padding <= self.reach and starts_inside:
            return True  # no window steps over the input, ends before it or starts behind it
        first = self.positions(0) + self.first_inside() * self.dilation
        return bool(((self.first_inside() < self.kernel) & (first < self.large)).all())


def _inside(low: int, high: int, size: int) -> Range:
    """Cut a range to ``[0, size)``."""
    low, high = min(max(low, 0), size), min(max(high, 0), size)
    return low, max(low, high)


def _at_least_one(low: int, high: int, size: int) -> Range:
    """Cut a range to ``[0, size)``; an empty one becomes the nearest number."""
    low = max(min(low, size - 1), 0)
    return low, min(max(high, low + 1), size)


@dataclass(frozen=True, slots=True)
class SpanAxis:
    """Adaptive windows along one axis: cell ``i`` covers ``[i * large // small, ceil((i + 1) * large / small))``.

    Attributes
    ----------
    large, small : int
        Positions, and cells.
    cut : SpanCut or None
        For a part of an axis: which one.
    """

    large: int
    small: int
    cut: SpanCut | None = None

    def part(self, cells: Range, positions: Range) -> SpanAxis:
        """Return the windows of some cells, with positions counted from the first of `positions`."""
        assert self.cut is None, "parts are cut from whole axes"
        return SpanAxis(positions[1] - positions[0], cells[1] - cells[0], SpanCut(self, cells[0], positions[0]))

    def meets(self, begin: int, end: int) -> Range:
        """The cells from and to, between which the windows that reach into positions ``[begin, end)`` lie."""
        return _inside(begin * self.small // self.large, -(-end * self.small // self.large), self.small)

    def needs(self, begin: int, end: int) -> Range:
        """The positions that cells ``[begin, end)`` cover."""
        return self.reads(begin, end)

    def reads(self, begin: int, end: int) -> Range:
        """The positions from and to that cells ``[begin, end)`` cover."""
        if self.cut is not None:
            low, high = self.cut.whole.reads(self.cut.begin + begin, self.cut.begin + end)
            return low - self.cut.low, high - self.cut.low
        return begin * self.large // self.small, -(-end * self.large // self.small)

    def spans(self, begin: int, end: int) -> tuple[_Ints, _Ints]:
        """The first position of each of the cells ``[begin, end)``, and how many it covers."""
        if self.cut is not None:
            first, count = self.cut.whole.spans(self.cut.begin + begin, self.cut.begin + end)
            return first - self.cut.low, count
        cell = np.arange(begin, end)
        first = cell * self.large // self.small
        return first, -(-(cell + 1) * self.large // self.small) - first

    def first(self) -> _Ints:
        """The first position of each cell."""
        return in_pieces(self.spans, 0, self.small, PIECE)[0]

    def count(self) -> _Ints:
        """How many positions each cell covers."""
        return in_pieces(self.spans, 0, self.small, PIECE)[1]

    @property
    def is_even(self) -> bool:
        """Whether all cells cover equally many positions, next to each other."""
        return self.cut is None and self.large % self.small == 0

    @property
    def longest(self) -> int:
        """Positions of the cell that covers most."""
        if self.cut is not None:
            return int(self.count().max(initial=1))
        whole, rest = divmod(self.large, max(self.small, 1))
        parts = rest // math.gcd(rest, self.small)  # in which a cell ends after a whole position, or begins before one
        return whole + min(parts, 2)

    def covering(self) -> tuple[_Ints, _Ints]:
        """The first cell that covers each position, and how many do."""
        position = np.arange(self.large)
        begin = np.searchsorted(self.first() + self.count(), position, side="right")
        return begin, np.searchsorted(self.first(), position, side="right") - begin


@dataclass(frozen=True, slots=True)
class SpanCut:
    """Where a part of an axis lies in the whole axis: its cells begin at `begin`, its positions at `low`."""

    whole: SpanAxis
    begin: int
    low: int


@dataclass(frozen=True, slots=True)
class PlanePart:
    """Where a part of a plane lies in the whole plane, in which its indices count.

    Attributes
    ----------
    plane : tuple of int
        The spatial shape of the whole plane.
    origin : tuple of int
        The position in it at which the part begins.
    first : tuple of int
        The place of the first cell in the whole array of indices, for errors.
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

    Rounded up, the last window may reach past the padding at the end, but starts before it.
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
        """The spatial shape that the windows are cut from: the input of a pooling, the result of its inverse."""
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
        Where the input lies in a whole plane, in which indices count; None if it has whole planes.
    """

    axes: tuple[WindowAxis | SpanAxis, ...]
    local_indices: bool
    first_nan: bool
    within: PlanePart | None = None

    @property
    def weights(self) -> tuple[int, ...]:
        """What a step along each axis adds to an index: of taps of the window, or of positions of the plane."""
        if self.within is not None and not self.local_indices:
            return self.within.weights
        extents = [a.kernel if isinstance(a, WindowAxis) and self.local_indices else a.large for a in self.axes]
        return tuple(math.prod(extents[axis + 1 :]) for axis in range(len(extents)))

    @property
    def start(self) -> int:
        """The index of the first position."""
        return 0 if self.within is None or self.local_indices else self.within.start

    @property
    def counted(self) -> int:
        """A number above every index."""
        if self.within is not None and not self.local_indices:
            return math.prod(self.within.plane)
        axis = self.axes[0]
        first = axis.kernel if isinstance(axis, WindowAxis) and self.local_indices else axis.large
        return first * self.weights[0]

    def transpose(self) -> UnpoolPlan:
        """Return the plan of the gradient: what cells of one maximum receive, adds."""
        return UnpoolPlan(
            self.axes, self.local_indices, duplicates="sum", check_indices=False, deterministic=True, trusted=True
        )


@dataclass(frozen=True, slots=True)
class UnpoolPlan(_Spatial):
    """A max-unpooling of the trailing axes: one position of each cell's window receives the cell's value.

    Attributes
    ----------
    axes : tuple
        One geometry a spatial axis; adaptive windows only where indices are `trusted`.
    local_indices : bool
        Indices count within the window, negative ones from its end, and positions in the padding are dropped
        (Chainer); else they count in the output plane (torch).
    duplicates : {"last", "sum", "error"}
        What happens where several cells name one position.
    check_indices : bool
        Whether indices are checked; if not, one outside its window is dropped.
    deterministic : bool
        Whether equal calls give equal results; if not, under "last" any cell may win where several name one position.
    trusted : bool
        Indices are those of the pooling of these windows, so that nothing has to be looked at.
    within : PlanePart or None
        Where the result lies in a whole plane, in which indices count; None if it has whole planes. Then an index
        outside of its own window is an error, and one outside of the part is dropped.
    checks_later : bool
        Whether the check need not wait for a GPU: then a later call raises its IndexError, and an index outside of its
        own window is an error. Other engines check at once.
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
    def has_whole_planes(self) -> bool:
        """Whether the result has whole planes, wherever its cells lie on the leading axes."""
        return self.within is None or self.within.plane == self.large_shape

    @property
    def windows(self) -> tuple[WindowAxis, ...]:
        """The axes, none of which is adaptive."""
        return tuple(axis for axis in self.axes if isinstance(axis, WindowAxis))


@dataclass(frozen=True, slots=True)
class ConvTransposePlan(_Spatial):
    """A transposed convolution: every tap of a cell's window receives its share, and shares add.

    Attributes
    ----------
    axes : tuple of WindowAxis
        One geometry a spatial axis.
    groups : int
        Blocks of channels that do not mix.
    precision : {"float32", "tf32x3", "tf32"}
        How a GPU multiplies float32 factors: exactly, as three products of TF32, or rounded to TF32.
    blocks : CellBlocks or None
        For a gradient by weight or bias on a part of an array: the blocks of the whole array. The part begins where a
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

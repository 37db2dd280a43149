"""Im2col: copy the values at the taps of a convolution into the columns of matrix products.

The taps of all axes except the first are adjacent. For the first axis there is one copy for each remainder of a
position by the stride: taps with one remainder read one copy, each from another row.
Images go one at a time, and large planes in parts. If few cells have many taps, a NumPy call takes many taps.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from upsample.arrays import NDArray
from upsample.engines.portable.blocks import cut_cells
from upsample.engines.portable.phases import shifted
from upsample.plans.window import ConvTransposePlan

__all__ = ["Columns"]

_LAID_BYTES = 1 << 24
"""Bytes of gathered cells (im2col) from which planes are cut, to keep Ctrl-C responsive."""
_MULTIPLICATIONS = 1 << 31
"""Most multiplications of one NumPy call, to keep Ctrl-C responsive."""
_STACKED = 1 << 18
"""Products of several taps that one NumPy call makes, if few cells have many taps."""
_MANY_TAPS = 4
"""Taps of the first axis for each of its cells from which on several taps take one NumPy call."""
_FEW_CELLS = 64
"""Cells of a part at least: fewer wait for the weight."""

_Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The layout of a plan.

    Attributes
    ----------
    plan : ConvTransposePlan
        With a cell and a useful tap on each axis.
    useful : tuple of range
        For each axis the taps that are at a position inside the plane.
    """

    plan: ConvTransposePlan
    useful: tuple[range, ...]

    @classmethod
    def of(cls, plan: ConvTransposePlan) -> Columns | None:
        """Lay a plan out; None if no tap is inside the plane."""
        useful = tuple(axis.useful_taps() for axis in plan.axes)
        return cls(plan, useful) if all(useful) else None

    @property
    def copies(self) -> int:
        """How many times a position is laid out, at most."""
        first, others = self.plan.axes[0], math.prod(map(len, self.useful[1:]))
        remainders = min(len(self.useful[0]), first.stride // math.gcd(first.stride, first.dilation))
        return max(others * remainders, math.prod(axis.stride for axis in self.plan.axes))

    def blocks(self, batch: int, channels: int, outputs: int) -> Iterator[tuple[_Key, _Key, Columns]]:
        """Cut images of `channels` on the small side and `outputs` on the large one, which bounds the temporaries.

        Each block has its cells of the small side, the positions of the large side that they read, and their layout.
        All blocks keep the useful taps of the plan, so that they use the same factors.
        """
        laid, others = outputs * self.copies, math.prod(map(len, self.useful[1:]))
        product = channels * others * outputs // self.plan.groups
        most = max(min(_LAID_BYTES // max(1, 4 * laid), _MULTIPLICATIONS // max(1, product)), _FEW_CELLS)
        parts = [
            (part.cells, part.positions, Columns(replace(self.plan, axes=part.axes), self.useful))
            for part in cut_cells(self.plan.axes, most)
        ]
        for n, (cells, positions, columns) in itertools.product(range(batch), parts):
            image = (slice(n, n + 1), slice(None))
            yield (*image, *cells), (*image, *positions), columns

    def taps(self, xp: ModuleType, y: Any) -> Iterator[tuple[int, Any]]:
        """For ``y [N, M, *large]`` yield each useful tap of the first axis, and the values at it.

        The values are ``[N, groups, other taps × M / groups, cells]``, a view of the layout if the library has views.
        """
        cells, rest = math.prod(axis.small for axis in self.plan.axes), self.plan.axes[1:]
        row = math.prod(axis.small for axis in rest)
        laid, places = self._laid(xp, y)
        for tap, (remainder, begin) in zip(self.useful[0], places.tolist(), strict=True):
            yield tap, laid[:, :, remainder, :, begin * row : begin * row + cells]

    @property
    def has_few_cells(self) -> bool:
        """Whether the first axis has so many taps that several of them take one NumPy call."""
        steps = min(self._period, self._rows) if self._has_runs else self._period
        return len(self.useful[0]) > _MANY_TAPS * self.plan.axes[0].small * steps

    def stacks(self, sources: Sequence[NDArray], values: int, multiply: Callable[..., NDArray]) -> Iterator[NDArray]:
        """Yield the products of the taps of the first axis in order, many at a time: ``[taps, ...]``.

        Parameters
        ----------
        sources : sequence of ndarray
            Each ``[N, M, *large]``.
        values : int
            Products of each tap, about.
        multiply : callable
            ``multiply(numbers, *stacks)``: the products of some useful taps, given their numbers as a slice, and of
            each source ``[taps, N, groups, other taps × M / groups, cells]``, views of the layout of `taps`.
        """
        count, period = len(self.useful[0]), self._period
        laid = [self._laid(np, source) for source in sources]
        if self._has_runs and self._rows < period:
            for some in _runs(laid[0][1], max(1, _STACKED // max(1, values))):
                yield np.ascontiguousarray(multiply(some, *(self._view_of_run(*one, some) for one in laid)))
            return
        step = max(1, _STACKED // max(1, values * period)) * period
        for begin in range(0, count, step):
            end = min(begin + step, count)
            numbers = [slice(begin + place, end, period) for place in range(min(period, end - begin))]
            made = [multiply(cut, *(self._views(*one, cut) for one in laid)) for cut in numbers]
            if len(made) == 1:
                yield np.ascontiguousarray(made[0])  # the layout decides how NumPy sums
                continue
            shares = np.empty((end - begin, *made[0].shape[1:]), dtype=made[0].dtype)
            for place, share in enumerate(made):
                shares[place::period] = share
            yield shares

    @property
    def _period(self) -> int:
        """How many taps further on a tap of the first axis has the same remainder."""
        first = self.plan.axes[0]
        return first.stride // math.gcd(first.stride, first.dilation)

    @property
    def _has_runs(self) -> bool:
        """Whether the taps of the first axis that begin in one row have remainders that follow one another."""
        return self.plan.axes[0].stride % self.plan.axes[0].dilation == 0

    @property
    def _rows(self) -> int:
        """In how many rows taps of the first axis may begin, at most."""
        return (len(self.useful[0]) - 1) // self._period + 2

    def _view_of_run(self, laid: NDArray, places: NDArray, numbers: slice) -> NDArray:
        """View what some taps meet that begin in one row."""
        row = math.prod(axis.small for axis in self.plan.axes[1:])
        (low, begin), (high, _) = places[numbers.start].tolist(), places[numbers.stop - 1].tolist()
        cells = slice(begin * row, (begin + self.plan.axes[0].small) * row)
        return np.moveaxis(laid[:, :, low : high + 1, :, cells], 2, 0)

    def _views(self, laid: NDArray, places: NDArray, numbers: slice) -> NDArray:
        """View the values at some taps of one remainder."""
        row = math.prod(axis.small for axis in self.plan.axes[1:])
        first = self.plan.axes[0]
        remainder, begin = places[numbers.start].tolist()
        patch = laid[:, :, remainder, :, begin * row : (begin + first.small) * row]
        apart = self._period * first.dilation // first.stride * row * laid.itemsize
        return as_strided(patch, (len(places[numbers]), *patch.shape), (apart, *patch.strides))

    def _laid(self, xp: ModuleType, y: Any) -> tuple[Any, NDArray]:
        """Lay ``y [N, M, *large]`` out: ``[N, groups, remainders, other taps × M / groups, rows × other cells]``.

        Beside it return, for each useful tap of the first axis, which remainder it has and the row where it begins.
        """
        first, *rest = self.plan.axes
        useful = self.useful[0]
        starts = np.arange(useful.start, useful.stop) * first.dilation - first.padding
        begins, remainders = np.divmod(starts, first.stride)
        low, high = int(begins[0]), int(begins[-1])
        distinct, numbers = np.unique(remainders, return_inverse=True)
        moves = [(low * first.stride, (high - low + first.small) * first.stride)]
        keys = []
        for axis, useful in zip(rest, self.useful[1:], strict=True):
            begin = useful.start * axis.dilation - axis.padding
            extent = (axis.small - 1) * axis.stride + 1
            moves.append((begin, extent + (len(useful) - 1) * axis.dilation))
            offsets = (place * axis.dilation for place in range(len(useful)))
            keys.append([slice(offset, offset + extent, axis.stride) for offset in offsets])
        padded = shifted(xp, xp.reshape(y, (y.shape[0], self.plan.groups, -1, *y.shape[2:])), moves)
        stacked = _stacked(xp, padded, first.stride, distinct, keys)
        cells = math.prod(axis.small for axis in rest)
        others = math.prod(map(len, self.useful[1:]))
        split = xp.reshape(stacked, (*stacked.shape[:2], len(distinct), others, *stacked.shape[3:]))  # as Dask needs it
        lead, last = split.shape[:3], (high - low + first.small) * cells
        places = np.stack([numbers, begins - low], axis=1)
        return xp.reshape(split, (*lead, others * split.shape[4], last)), places


def _stacked(xp: ModuleType, padded: Any, stride: int, remainders: NDArray, keys: list[list[slice]]) -> Any:
    """Stack the rows of each remainder, and of each key of the other axes: ``[N, groups, stack, channels, rows, ...]``.

    NumPy's rows of many remainders are copied in one call.
    """
    others = list(itertools.product(*keys))
    if xp is not np:
        rows = [slice(remainder, None, stride) for remainder in remainders.tolist()]
        return xp.stack([padded[(..., row, *key)] for row in rows for key in others], axis=2)
    split = padded.reshape(*padded.shape[:3], -1, stride, *padded.shape[4:])
    parts = [split[(..., *key)][:, :, :, :, remainders] for key in others]
    whole = np.stack([np.moveaxis(part, 4, 2) for part in parts], axis=3)
    return whole.reshape(*whole.shape[:2], -1, *whole.shape[4:])


def _runs(places: NDArray, most: int) -> Iterator[slice]:
    """Cut taps into runs of at most so many that begin in one row."""
    edges = np.flatnonzero(np.diff(places[:, 1])) + 1
    for begin, end in itertools.pairwise([0, *edges.tolist(), len(places)]):
        yield from (slice(low, min(low + most, end)) for low in range(begin, end, most))

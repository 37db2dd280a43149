"""The tap table of one axis: the inputs and the weights of each output.

The inputs of an output are one contiguous run, because a folded border merges its weights::

    input       0    1    2    3    4                    first = 1   count = 3
    output           └──.2──.5──.3──┘                    weight = .2 .5 .3 0 …

Taps beyond the border are folded onto the samples inside::

    edge        0 0 0 | 0 1 2 3 | 3 3 3
    reflect     2 1 0 | 0 1 2 3 | 3 2 1
    mirror      3 2 1 | 0 1 2 3 | 2 1 0
    drop        . . . | 0 1 2 3 | . . .       such taps count as zero
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Bools", "Ints", "Reals", "Taps", "clamped", "folded", "trimmed", "unmerged"]

Bools: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Ints: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]
Reals: TypeAlias = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class Taps:
    """The table of one axis; its arrays are read-only.

    Attributes
    ----------
    first : ndarray of int64, shape (out_size,)
        Number of each output's first input.
    count : ndarray of int64, shape (out_size,)
        Number of consecutive inputs of each output. It may be 0: then the output is zero, and `first` is still a valid
        input.
    weight : ndarray of float64, shape (out_size, longest)
        Weights of the inputs; zero from `count` on.
    mixed_first, mixed_last : ndarray of bool, shape (out_size,)
        Whether the first or the last weight is a sum of weights of several signs, zero included. An infinity at this
        input makes the output NaN, because torch does not merge taps: it adds infinities of both signs, or multiplies
        one by zero.
    """

    first: Ints
    count: Ints
    weight: Reals
    mixed_first: Bools
    mixed_last: Bools

    @property
    def arrays(self) -> tuple[Ints, Ints, Reals, Bools, Bools]:
        """The attributes in their order."""
        return self.first, self.count, self.weight, self.mixed_first, self.mixed_last

    @property
    def longest(self) -> int:
        """The largest number of taps of an output."""
        return int(self.weight.shape[1])

    @property
    def span(self) -> tuple[int, int]:
        """The range of inputs of all outputs; it includes `first` of an output without inputs."""
        return int(self.first.min()), int((self.first + np.maximum(self.count, 1)).max())

    def moved(self, low: int) -> Taps:
        """Return the table with inputs counted from `low`."""
        return replace(self, first=self.first - low)

    def rows(self, begin: int, end: int) -> Taps:
        """Return the table of outputs ``[begin, end)``, as views."""
        cut = slice(begin, end)
        return Taps(self.first[cut], self.count[cut], self.weight[cut], self.mixed_first[cut], self.mixed_last[cut])


def unmerged(first: Ints, count: Ints, weight: Reals) -> Taps:
    """Return a table without merged taps."""
    return Taps(first, count, weight, np.zeros(len(first), dtype=bool), np.zeros(len(first), dtype=bool))


def clamped(index: Ints, weight: Reals, last: int) -> Taps:
    """Clamp taps to ``[0, last]`` and merge those on one input; `index` must ascend along its last axis."""
    inputs = np.clip(index, 0, last)
    first, final = inputs[:, 0].copy(), inputs[:, -1]
    count = final - first + 1
    merged = np.zeros((len(first), int(count.max(initial=1))))
    mixed_first, mixed_last = np.zeros((2, len(first)), dtype=bool)
    is_inner = count == index.shape[1]
    if is_inner.any():  # if the axis is longer than the filter, all outputs except a few at the border
        merged[is_inner] = weight[is_inner]
    if not is_inner.all():
        border = np.flatnonzero(~is_inner)
        inputs, weights = inputs[border], weight[border]
        np.add.at(merged, (border[:, None], inputs - first[border, None]), weights)
        mixed_first[border] = _has_several_signs(inputs == first[border, None], weights)
        mixed_last[border] = _has_several_signs(inputs == final[border, None], weights) & (count[border] > 1)
    return Taps(first, count, merged, mixed_first, mixed_last)


def _has_several_signs(merged: Bools, weight: Reals) -> Bools:
    """Tell for each output whether its merged taps have several signs; zero counts as a third sign."""
    signs = np.where(merged, np.sign(weight), np.nan)
    return np.asarray(np.nanmin(signs, axis=1) != np.nanmax(signs, axis=1))


def folded(index: Ints, weight: Reals, size: int, boundary: str) -> Taps:
    """Fold taps onto the inputs ``[0, size)`` and merge those on one input.

    Parameters
    ----------
    index : ndarray of int64, shape (outputs, taps)
        Consecutive numbers in each row; they may be negative, or exceed the last input.
    weight : ndarray, shape (outputs, taps)
        The weight of each tap.
    size : int
        Number of inputs of the axis.
    boundary : {"edge", "reflect", "mirror", "drop"}
        How the axis continues beyond the border, as the docstring of this module shows.
    """
    if boundary == "edge":
        return clamped(index, weight, size - 1)
    inside = np.ones(index.shape, dtype=bool)
    if boundary == "drop":
        inside = (index >= 0) & (index < size)
        place = np.clip(index, 0, size - 1)
    elif boundary == "reflect":
        place = index % (2 * size)
        place = np.minimum(place, 2 * size - 1 - place)
    else:
        period = max(2 * size - 2, 1)
        place = index % period
        place = np.minimum(place, period - place) if size > 1 else np.zeros_like(index)
    first = np.where(inside, place, size - 1).min(axis=1)
    has_taps = inside.any(axis=1)
    first = np.where(has_taps, first, place[:, 0])
    count = np.where(has_taps, np.where(inside, place, 0).max(axis=1) - first + 1, 0)
    merged = np.zeros((len(first), int(count.max(initial=1))))
    row, tap = np.nonzero(inside)
    np.add.at(merged, (row, place[row, tap] - first[row]), weight[row, tap])
    return unmerged(first, count, merged)


def trimmed(table: Taps) -> Taps:
    """Drop taps of weight zero at both ends: they take time, and turn an infinite sample into NaN."""
    used = table.weight != 0
    if used[:, 0].all() and np.take_along_axis(used, table.count[:, None] - 1, axis=1).all():
        return unmerged(table.first, table.count, table.weight)
    skipped = used.argmax(axis=1)
    count = np.where(used.any(axis=1), used.shape[1] - used[:, ::-1].argmax(axis=1) - skipped, 0)
    place = np.arange(int(count.max(initial=1)))
    weight = np.take_along_axis(table.weight, np.minimum(skipped[:, None] + place, used.shape[1] - 1), axis=1)
    return unmerged(table.first + skipped, count, np.where(place < count[:, None], weight, 0.0))

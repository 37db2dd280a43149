"""Labels made smaller by a vote: the most frequent value of each window."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from upsample.arrays import NDArray
from upsample.errors import Raw, bad_type, bad_value
from upsample.plans.window import SpanAxis

__all__ = ["downsample_mode"]


def downsample_mode(labels: Any, shape: tuple[int, ...]) -> Any:
    """Make an array of labels smaller: each new label is the most frequent one of those that it covers.

    Parameters
    ----------
    labels : array
        A NumPy or Dask array of integers or bools.
    shape : tuple of int
        Of the result; on no axis larger than `labels`.

    Returns
    -------
    array
        Of the library and dtype of `labels`. Of several labels that are equally frequent, the smallest wins.

    Raises
    ------
    TypeError
        `labels` are no integers or bools.
    ValueError
        `shape` has another number of axes, or is larger.

    Examples
    --------
    >>> import numpy as np
    >>> from upsample.pyramid import downsample_mode
    >>> downsample_mode(np.asarray([[1, 1, 5, 4], [1, 2, 4, 5]]), (1, 2))
    array([[1, 4]])
    """
    op, size = "downsample_mode", tuple(shape)
    if np.dtype(labels.dtype).kind not in "iub":
        raise bad_type(op, "labels", Raw(f"<dtype {labels.dtype}>"), "labels are integers", "pass integers or bools")
    if len(size) != labels.ndim or not all(0 < n <= m for n, m in zip(size, labels.shape, strict=True)):
        rule = f"labels have the shape {tuple(labels.shape)}, and the result has as many axes and no larger ones"
        raise bad_value(op, "shape", size, rule, "pass a smaller shape")
    axes = tuple(map(SpanAxis, labels.shape, size))
    if isinstance(labels, np.ndarray):
        return _vote(axes, labels)
    return _lazily(axes, labels, size)


def _lazily(axes: tuple[SpanAxis, ...], labels: Any, size: tuple[int, ...]) -> Any:
    """Vote in tasks, one for each chunk of the result."""
    from upsample.engines.dask.chunks import out_chunks
    from upsample.engines.dask.graph import Ranges, chunked

    changed = {axis for axis, n in enumerate(size) if n != labels.shape[axis]}

    def chunk(ranges: Ranges) -> tuple[tuple[Any, ...], tuple[Ranges, ...]]:
        slab = tuple(axis.reads(*r) for axis, r in zip(axes, ranges, strict=True))
        parts = tuple(axis.part(r, s) for axis, r, s in zip(axes, ranges, slab, strict=True))
        return (_vote_in_slab, parts), (slab,)

    return chunked("downsample_mode", [labels], out_chunks(labels, size, changed), labels.dtype, chunk, axes, 1)


def _vote_in_slab(axes: tuple[SpanAxis, ...], labels: Any) -> NDArray:
    voted: NDArray = _vote(axes, labels.array())
    return voted


def _vote(axes: tuple[SpanAxis, ...], labels: NDArray) -> NDArray:
    """Compare every sample of each window with every other."""
    candidates, inside = _samples(axes, labels)
    best, votes = candidates[0].copy(), np.zeros(candidates[0].shape, np.int16)
    for candidate, own in zip(candidates, inside, strict=True):
        count = np.zeros(candidate.shape, np.int16)
        for other, there in zip(candidates, inside, strict=True):
            count += (candidate == other) & there
        count *= own
        wins = (count > votes) | ((count == votes) & (candidate < best) & own)
        np.copyto(best, candidate, where=wins)
        np.copyto(votes, count, where=wins)
    return best


def _samples(axes: tuple[SpanAxis, ...], labels: NDArray) -> tuple[list[NDArray], list[NDArray]]:
    """For each place in a window the labels there, and whether the window has that place."""
    spans = [axis.spans(0, axis.small) for axis in axes]
    candidates, inside = [], []
    for place in itertools.product(*(range(axis.longest) for axis in axes)):
        index, there = [], np.ones((1,) * len(axes), dtype=bool)
        for axis, (step, (first, count)) in enumerate(zip(place, spans, strict=True)):
            index.append(first + np.minimum(step, count - 1))
            there = there & (step < count).reshape((-1,) + (1,) * (len(axes) - axis - 1))
        candidates.append(labels[np.ix_(*index)])
        inside.append(there)
    return candidates, inside

"""Depth to space and back, of Dask arrays: a chunk of the result needs all channels of its place."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from upsample.engines.dask.chunks import even
from upsample.engines.dask.graph import Ranges, chunked, run_op
from upsample.plans.shuffle import ShufflePlan, shuffle, unshuffle

__all__ = ["run"]


def run(_xp: ModuleType, plan: ShufflePlan, x: Any, _out: None) -> Any:
    """Return `x` rearranged as the plan says."""
    grows = plan.shape[-1] > x.shape[-1]
    sizes = (plan.shape[-1], x.shape[-1]) if grows else (x.shape[-1], plan.shape[-1])
    factor = sizes[0] // max(sizes[1], 1)
    channel_first = plan.order[1] == 1
    x = x.rechunk({x.ndim - 3: -1})
    pairs = zip(x.chunks[-2:], plan.shape[-2:], strict=True)
    if grows:
        space = tuple(tuple(n * factor for n in c) for c, _ in pairs)
    else:
        space = tuple(even(n, max(c) // factor if len(c) > 1 else n) for c, n in pairs)
    chunks = (*x.chunks[:-3], (plan.shape[-3],), *space)

    def chunk(ranges: Ranges) -> tuple[tuple[Any, ...], tuple[Ranges, ...]]:
        if grows:
            places: Ranges = tuple((begin // factor, -(-end // factor)) for begin, end in ranges[-2:])
        else:
            places = tuple((begin * factor, end * factor) for begin, end in ranges[-2:])
        slab = (*ranges[:-3], (0, x.shape[-3]), *places)
        return (_rearrange, grows, factor, channel_first), (slab,)

    return chunked("pixel_shuffle", [x], chunks, x.dtype, chunk, plan, 1)


def _rearrange(grows: bool, factor: int, channel_first: bool, x: Any) -> Any:
    plan = (shuffle if grows else unshuffle)(x.shape, factor, channel_first)
    return run_op("pixel_shuffle", plan, x, None)

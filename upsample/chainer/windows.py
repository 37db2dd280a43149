"""Axes, windows and sizes that Chainer's pooling, its inverses and its transposed convolution share.

A window of `ksize` taps, `dilate` apart, reaches over ``dilate * (ksize - 1) + 1`` positions. The formulas give
the windows ``h`` of ``n`` positions, and the positions ``n`` of ``h`` windows (``chainer.utils.conv``)::

                         n to h                                  h to n
    cover_all=False      (n + 2 pad - reach) // stride + 1       stride * (h - 1) + reach - 2 pad
    cover_all=True       the same for n + stride - 1             the same, less stride - 1
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from upsample.arguments import as_tuple, integer, integers
from upsample.arrays import Array
from upsample.errors import Raw, bad_type, bad_value

__all__ = [
    "Holed",
    "Window",
    "check_filled",
    "default_size",
    "large_size",
    "outsize_of",
    "pooled_size",
    "spatial_axes",
    "window_of",
]

Holed: TypeAlias = tuple[int | None, ...]
"""An `outsize` in which None stands for the default."""

_LAYOUTS = {1: "[N, C, L]", 2: "[N, C, H, W]", 3: "[N, C, D, H, W]", None: "[N, C, *spatial], one or more spatial axes"}


class Window(NamedTuple):
    """`ksize`, `stride` and `pad` as a plan's cache takes them: one int for each spatial axis."""

    ksize: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]


def spatial_axes(op: str, x: Array, wanted: int | None) -> int:
    """Return how many spatial axes `x` has, a ValueError unless they are `wanted` (None: one or more)."""
    spatial = x.ndim - 2
    if spatial < 1 or wanted not in (None, spatial):
        raise bad_value(op, "x", Raw(f"<shape {tuple(x.shape)}>"), f"it has {x.ndim} axes", f"pass {_LAYOUTS[wanted]}")
    return spatial


def check_filled(op: str, x: Array) -> None:
    """Raise ValueError if a spatial axis is empty."""
    if 0 in x.shape[2:]:
        raise bad_value(op, "x", Raw(f"<shape {tuple(x.shape)}>"), "a spatial axis is empty", "pass samples")


def window_of(op: str, spatial: int, ksize: object, stride: object, pad: object) -> Window:
    """Convert the arguments of a window; a sequence has one entry for each spatial axis, even for one of them."""
    kernel = integers(op, "ksize", ksize, spatial, least=1, one_for_all=False)
    return Window(
        kernel,
        kernel if stride is None else integers(op, "stride", stride, spatial, least=1, one_for_all=False),
        integers(op, "pad", pad, spatial, least=0, one_for_all=False),
    )


def outsize_of(op: str, spatial: int, outsize: object, *, may_skip: bool) -> Holed | None:
    """Convert `outsize`: a sequence, in which None skips an axis where Chainer's own code is two-dimensional."""
    if outsize is None:
        return None
    sizes = as_tuple(outsize)
    if not isinstance(sizes, tuple):
        raise bad_type(op, "outsize", outsize, "it must be a sequence", f"pass a tuple of {spatial} ints")
    if len(sizes) != spatial:
        raise bad_value(op, "outsize", outsize, f"it has {len(sizes)} entries", f"pass {spatial}")
    return tuple(
        None if may_skip and size is None else integer(op, f"outsize[{place}]", size)
        for place, size in enumerate(sizes)
    )


def pooled_size(large: int, ksize: int, stride: int, pad: int, cover_all: bool) -> int:
    """Return how many windows fit into `large` positions; not positive if none fits."""
    return (large + 2 * pad - ksize + (stride - 1 if cover_all else 0)) // stride + 1


def default_size(small: int, reach: int, stride: int, pad: int, cover_all: bool) -> int:
    """Return the positions of `small` windows; not positive if the padding covers all of them."""
    return stride * (small - 1) + reach - 2 * pad - (stride - 1 if cover_all else 0)


def large_size(op: str, outsize: Holed | None, place: int, default: int, least: int, most: int) -> int:
    """Return the size of spatial axis `place`: that of `outsize`, between `least` and `most`, or the default.

    Raises
    ------
    ValueError
        A size that no such window has, or one below 1.
    """
    wanted = None if outsize is None else outsize[place]
    if wanted is None:
        if default < 1:
            rule = f"spatial axis {place} would have size {default}"
            raise bad_value(op, "outsize", outsize, rule, "pass less pad, or a positive outsize")
        return default
    if not max(least, 1) <= wanted <= most:
        rule = f"spatial axis {place} can have size {max(least, 1)} to {most} with these windows"
        if most < 1:
            rule = f"these windows leave nothing of spatial axis {place}"
        raise bad_value(op, "outsize", outsize, rule, "pass one of these, or None")
    return wanted

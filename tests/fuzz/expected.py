"""The expected result of a call: this module reads the arguments itself, and runs the float64 reference.

Shares no code with the dialects: an argument is read here as its documentation says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fuzz.expected_resize import resize
from fuzz.wanted import Unsure, Want, each, held, limit, most, plain, rank_of, sizes_of, wide_enough
from upsample import reference

__all__ = ["Unsure", "Want", "dialect_of", "each", "held", "plain", "rank_of", "want"]

# ------------------------------------------------------------------------------------------------ each function


def _interpolate(name: str, call: dict[str, Any]) -> Want:
    x = held(call["input"])
    mode = {"upsample_nearest": "nearest", "upsample_bilinear": "bilinear"}.get(name, call.get("mode", "nearest"))
    corners = True if name == "upsample_bilinear" else plain(call.get("align_corners"))
    size, factor = plain(call.get("size")), plain(call.get("scale_factor"))
    spatial = x.ndim - 2
    grown = sizes_of(x.shape[2:], size, factor)
    limit(*x.shape[:2], *map(max, grown, x.shape[2:]))
    y = reference.interpolate(
        wide_enough(x),
        size,
        factor,
        mode,
        corners,
        plain(call.get("recompute_scale_factor")),
        plain(call.get("antialias", False)),
    )
    return Want((y,), "nearest" in mode, most(x) * (1.0 if mode.endswith(("linear", "area")) else 3.0**spatial))


def _pool(name: str, call: dict[str, Any]) -> Want:
    x = held(call["input"])
    spatial = rank_of(name, x)
    kernel = each(call["kernel_size"], spatial)
    stride = plain(call.get("stride"))
    limit(*x.shape[:-spatial], *(n + k for n, k in zip(x.shape[-spatial:], kernel, strict=True)))
    pair = reference.max_pool(
        wide_enough(x),
        kernel,
        None if stride in (None, ()) else each(stride, spatial),
        each(call.get("padding", 0), spatial),
        each(call.get("dilation", 1), spatial),
        plain(call.get("ceil_mode", False)),
        spatial=spatial,
    )
    return Want(pair if _with_indices(name, call) else pair[:1], True)


def _with_indices(name: str, call: dict[str, Any]) -> bool:
    return name.endswith("with_indices") or bool(call.get("return_indices", False))


def _adaptive_pool(name: str, call: dict[str, Any]) -> Want:
    x = held(call["input"])
    spatial = rank_of(name, x)
    sizes = plain(call["output_size"])
    sizes = sizes if isinstance(sizes, tuple) else (sizes,) * spatial
    sizes = tuple(n if o is None else o for o, n in zip(sizes, x.shape[-spatial:], strict=True))
    limit(*x.shape[:-spatial], *map(max, sizes, x.shape[-spatial:]))
    if 0 in sizes:
        empty = np.zeros((*x.shape[:-spatial], *sizes), x.dtype)
        pair = empty, empty.astype(np.int64)
    else:
        pair = reference.adaptive_max_pool(wide_enough(x), sizes)
    return Want(pair if _with_indices(name, call) else pair[:1], True)


def _unpool(name: str, call: dict[str, Any]) -> Want:
    x, places = held(call["input"]), held(call["indices"])
    spatial = rank_of(name, x)
    kernel = each(call["kernel_size"], spatial)
    stride = kernel if call.get("stride") is None else each(call["stride"], spatial)
    padding, dilation = each(call.get("padding", 0), spatial), each(call.get("dilation", 1), spatial)
    windows = list(zip(x.shape[-spatial:], kernel, stride, padding, dilation, strict=True))
    sizes = plain(call.get("output_size"))
    sizes = tuple((h - 1) * s - 2 * p + d * (k - 1) + 1 for h, k, s, p, d in windows) if sizes is None else sizes
    sizes = sizes[-spatial:]
    limit(*x.shape[: x.ndim - spatial], *sizes)
    rule = call.get("duplicates", "last")
    rows = sizes[0]
    if plain(call.get("check_indices", True)) is False:  # those outside their windows go to one more row, left out
        inside = _in_own_window(places, sizes, windows)
        places = np.where(inside, places.astype(object), math.prod(sizes)).astype(np.int64)
        sizes = (rows + 1, *sizes[1:])
    result = reference.max_unpool(wide_enough(x), places, sizes, "sum" if rule == "sum" else "last")
    result = result[(..., slice(rows), *(slice(None),) * (spatial - 1))]
    if rule == "sum" and x.dtype.kind in "iu":
        result = _wrapped(result, x)
    return Want((result,), rule != "sum" or x.dtype.kind in "iu", most(x) * max(math.prod(x.shape[-spatial:]), 1))


def _in_own_window(places: np.ndarray, sizes: tuple[int, ...], windows: list[tuple[int, ...]]) -> np.ndarray:
    """Which indices lie in the plane and among the taps of their cell's window."""
    spatial = len(sizes)
    wide = places.astype(object)
    inside = (wide >= 0) & (wide < math.prod(sizes))
    at = np.unravel_index(np.where(inside, wide, 0).astype(np.int64), sizes)
    for axis, (h, k, s, p, d) in enumerate(windows):
        first = (np.arange(h) * s - p).reshape([-1 if e == axis else 1 for e in range(spatial)])
        tap = at[axis] - first
        inside = inside & (tap >= 0) & (tap % d == 0) & (tap // d < k)
    return inside.astype(bool)


def _wrapped(total: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A sum of integers as their dtype keeps it."""
    if np.abs(total).max(initial=0) >= 2**53 or most(x) >= 2**53:
        raise Unsure
    return total.astype(np.int64).astype(x.dtype)


def _conv_transpose(name: str, call: dict[str, Any]) -> Want:
    x, w = held(call["input"]), held(call["weight"])
    b = None if call.get("bias") is None else held(call["bias"])
    spatial = rank_of(name, x)
    batched = x.ndim == spatial + 2
    options = {key: each(call.get(key, start), spatial) for key, start in _WINDOW.items()}
    x, w, b = (None if a is None else wide_enough(a) for a in (x, w, b))
    source = x if batched else x[None]
    if "output_size" in call and call["output_size"] is not None:  # a layer's
        options["output_padding"] = _padding_for(call["output_size"], source.shape[2:], w.shape[2:], options)
    limit(*source.shape[:2], *w.shape[1:], *(n * s for n, s in zip(source.shape[2:], options["stride"], strict=True)))
    if max(options["dilation"]) * max(w.shape[2:]) > 1000 or max(options["output_padding"]) > 1000:
        raise Unsure
    y = reference.conv_transpose(source, w, b, groups=plain(call.get("groups", 1)), **options)
    bound = most(x) * most(w) * w.size / max(w.shape[1], 1) + (0.0 if b is None else most(b))
    if x.dtype.kind in "iu":
        if bound >= 2**53:
            raise Unsure
        y = y.astype(x.dtype)
    return Want((y if batched else y[0],), x.dtype.kind in "iu", bound)


_WINDOW = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}


def _padding_for(size: Any, cells: Any, kernel: Any, window: Mapping[str, Any]) -> tuple[int, ...]:
    wanted = plain(size)[-len(cells) :]
    default = reference.conv_transpose(np.ones((1, 1, *cells)), np.ones((1, 1, *kernel)), **window).shape[2:]
    extra = window["output_padding"]
    return tuple(w - (n - e) for w, n, e in zip(wanted, default, extra, strict=True))


def _pixel_shuffle(name: str, call: dict[str, Any]) -> Want:
    x, factor = (next(call[key] for key in names if key in call) for names in (("input", "X"), _FACTORS))
    limit(*x.shape)
    return Want((getattr(reference, name)(held(x), plain(factor)),), True)


_FACTORS = ("upscale_factor", "downscale_factor", "r")


# --------------------------------------------------------------------------------------------- chainer's dialect


def _deconvolution(_: str, call: dict[str, Any]) -> Want:
    x, w = wide_enough(held(call["x"])), wide_enough(held(call["W"]))
    b = None if call.get("b") is None else wide_enough(held(call["b"]))
    stride = plain(call.get("stride", 1))
    limit(*x.shape, *w.shape[1:], *(stride if isinstance(stride, tuple) else (stride,) * (x.ndim - 2)))
    dilate = plain(call.get("dilate", 1))
    if np.max(dilate) * max(w.shape[2:]) > 1000:
        raise Unsure
    rest = {key: plain(call[key]) for key in ("stride", "pad", "outsize", "dilate", "groups") if key in call}
    y = reference.chainer_deconvolution(x, w, b, **rest)
    bound = most(x) * most(w) * w.size / max(w.shape[1], 1) + (0.0 if b is None else most(b))
    return Want((y,), False, bound)


def _max_pooling(name: str, call: dict[str, Any]) -> Want:
    x = wide_enough(held(call["x"]))
    kernel, pad = each(call["ksize"], x.ndim - 2), each(call.get("pad", 0), x.ndim - 2)
    limit(*x.shape[:2], *(n + k + 2 * p for n, k, p in zip(x.shape[2:], kernel, pad, strict=True)))
    if max(math.prod(kernel), *each(call.get("stride") or 1, x.ndim - 2)) > 5000:
        raise Unsure
    rest = {key: plain(call[key]) for key in ("stride", "pad", "cover_all") if key in call}
    pair = reference.chainer_max_pooling(x, kernel, **rest)
    return Want(pair if _with_indices(name, call) else pair[:1], True)


def _unpooling(name: str, call: dict[str, Any]) -> Want:
    x = wide_enough(held(call["x"]))
    kernel = each(call["ksize"], x.ndim - 2)
    stride = kernel if call.get("stride") is None else each(call["stride"], x.ndim - 2)
    limit(*x.shape[:2], *(n * s + k for n, s, k in zip(x.shape[2:], stride, kernel, strict=True)))
    if math.prod(kernel) > 5000:
        raise Unsure
    rest = {key: plain(call[key]) for key in ("stride", "pad", "outsize", "cover_all") if key in call}
    if name == "upsampling_2d":
        y = reference.chainer_upsampling(x, held(call["indexes"]), kernel, **rest)
    else:
        y = reference.chainer_unpooling(x, kernel, **rest)
    return Want((y,), False, most(x) * math.prod(kernel))


def _resize_images(_: str, call: dict[str, Any]) -> Want:
    x, mode = held(call["x"]), call.get("mode", "bilinear")
    shape = plain(call["output_shape"])
    limit(*x.shape[:2], *map(max, shape, x.shape[2:]))
    y = reference.chainer_resize_images(x, shape, mode, plain(call.get("align_corners", True)))
    return Want((y,), mode == "nearest", most(x))


_FAMILIES: tuple[tuple[str, Callable[[str, dict[str, Any]], Want]], ...] = (
    (r"^interpolate$|^upsample(_nearest|_bilinear)?$", _interpolate),
    (r"^resize$", resize),
    (r"^resize_images$", _resize_images),
    (r"^adaptive_max_pool", _adaptive_pool),
    (r"^max_pool\d", _pool),
    (r"^max_pooling", _max_pooling),
    (r"^max_unpool", _unpool),
    (r"^unpooling|^upsampling_2d", _unpooling),
    (r"^conv_transpose", _conv_transpose),
    (r"^deconvolution", _deconvolution),
    (r"^pixel_|^depth2space|^space2depth", _pixel_shuffle),
)


def dialect_of(name: str) -> Callable[[str, dict[str, Any]], Want]:
    """Return what reads the arguments of the function of this name."""
    return next(read for pattern, read in _FAMILIES if re.search(pattern, name))


def want(name: str, call: dict[str, Any]) -> Want:
    """Return what a call of a function should come to.

    Parameters
    ----------
    name : str
        Of the function.
    call : dict
        Its arguments by name.

    Raises
    ------
    Unsure
        The reference cannot say.
    """
    with np.errstate(all="ignore"):
        try:
            return dialect_of(name)(name, call)
        except (TypeError, ValueError, IndexError, ArithmeticError, AttributeError, KeyError, BufferError) as error:
            raise Unsure(f"{type(error).__name__}: {error}") from error

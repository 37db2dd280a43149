"""Compile kernels before they are needed: while a container image is built, or before a test suite is timed.

Which kernel a call runs depends on the op, the dtype, and what the geometry looks like: its factor, how many taps it
has, whether channels come first or last. So a call of each kind is made, of little data.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from importlib import import_module
from types import MappingProxyType
from typing import Any

import numpy as np

from upsample import arrays, functional
from upsample.arrays import NDArray
from upsample.engines.cpu import support
from upsample.errors import bad_type, bad_value
from upsample.gradients import vjp
from upsample.native import resize

__all__ = ["DTYPES", "OPS", "compiled_for", "pairs", "warmup"]

_Call = Callable[[], object]

DTYPES = ("float32", "uint8")
"""What is compiled if no dtypes are named."""


def warmup(
    ops: str | Iterable[str] | None = None,
    dtypes: str | Iterable[str] | None = None,
    *,
    gradients: bool = True,
) -> int:
    """Compile kernels ahead, so that no later call waits for a compiler; they are kept on disk.

    ``upsample warmup`` does this from the command line. Kernels go to UPSAMPLE_CACHE_DIR, to NUMBA_CACHE_DIR, or to the
    user's cache folder, the first of these that can be written; processes also read those before it. They serve
    processes that run on the same kind of processor, with the same versions of Python, Numba and upsample, installed in
    the same folder.

    Parameters
    ----------
    ops : str or iterable of str, optional
        Of "resize", "max_pool", "max_unpool", "conv_transpose"; None is all of them.
    dtypes : str or iterable of str, optional
        Names of dtypes; None is float32 and uint8. An op skips a dtype that it does not take.
    gradients : bool
        Whether kernels of the gradients are compiled, too.

    Returns
    -------
    int
        How many kernels were compiled. Those that were on disk are not counted.

    Raises
    ------
    TypeError
        A name that is no text.
    ValueError
        No such op or dtype, or the compiled engine cannot be used; the message says why.

    Notes
    -----
    A call of an uncommon kind, such as one of very long windows, may still compile a kernel when it first comes. A
    program that knows its calls can make each of them once instead.

    Examples
    --------
    >>> import upsample
    >>> upsample.warmup("max_pool", "float32", gradients=False)  # doctest: +SKIP
    2
    """
    return sum(compiled_for(op, dtype, gradients) for op, dtype in pairs(ops, dtypes))


def pairs(ops: str | Iterable[str] | None, dtypes: str | Iterable[str] | None) -> list[tuple[str, str]]:
    """Return each op with each dtype that `warmup` names, once it is clear that something can be compiled."""
    why = support.unusable()
    if why is not None:
        raise bad_value("warmup", "engine", "cpu", f"it cannot run: {why}", "see upsample info")
    kinds = DTYPES if dtypes is None else _names("dtypes", dtypes, sorted(arrays.MOVABLE), "dtype")
    return [(op, dtype) for op in _names("ops", ops, OPS, "op") for dtype in kinds]


def compiled_for(op: str, dtype: str, gradients: bool) -> int:
    """Make the calls of an op and a dtype, and return how many kernels they had to compile."""
    compiled: Callable[[], int] = import_module("upsample.engines.cpu.runtime.kernel_cache").compiled
    before = compiled()
    for call in OPS[op](_kind(dtype), gradients):
        try:
            with warnings.catch_warnings(action="ignore"):
                call()
                call()  # the second call of a size may run other kernels than the first
        except TypeError:  # the op, or its gradient, does not take the dtype
            continue
    return compiled() - before


def _names(argument: str, value: str | Iterable[str] | None, known: Iterable[str], word: str) -> tuple[str, ...]:
    if value is None:
        return tuple(known)
    names = (value,) if isinstance(value, str) else tuple(value)
    for name in names:
        if not isinstance(name, str):
            raise bad_type("warmup", argument, name, "names are text", f"pass names of {word}s")
        if name not in known:
            raise bad_value("warmup", argument, name, f"this {word} is unknown", f"pass some of {', '.join(known)}")
    return names


def _kind(name: str) -> np.dtype[Any]:
    """The NumPy dtype of a name; bfloat16 is ml_dtypes'."""
    kind: np.dtype[Any] = np.dtype(import_module("ml_dtypes").bfloat16 if name == "bfloat16" else name)
    return kind


def _ones(dtype: np.dtype[Any], *shape: int) -> NDArray:
    return np.ones(shape, dtype=dtype)


def _with_gradient(gradients: bool, function: Callable[..., Any], *given: Any, **options: Any) -> Iterator[_Call]:
    """The call, and the call of its gradient."""
    yield partial(function, *given, **options)
    if gradients:
        yield partial(_gradient, function, given, options)


def _gradient(function: Callable[..., Any], given: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    made, pullback = vjp(function, *given, **options)
    pullback(made)


def _resize(dtype: np.dtype[Any], gradients: bool) -> Iterator[_Call]:
    """Channels first and last; factors with few taps that repeat, and factors with taps for each sample."""
    layouts = (((2, 40, 48), (1, 2)), ((40, 48, 3), (0, 1)), ((20, 24, 24, 32), (1, 2)))
    for shape, axes in layouts:
        x = _ones(dtype, *shape)
        for mode in ("nearest", "linear", "cubic", "area"):
            for scale in (2, 1.37, 0.5, 0.25, 0.73):
                yield from _with_gradient(gradients, resize, x, scale=scale, axes=axes, mode=mode)
        for mode in ("linear", "cubic", "lanczos"):
            for scale in (0.5, 0.25, 0.37):
                yield from _with_gradient(gradients, resize, x, scale=scale, axes=axes, mode=mode, antialias=True)
    for mode, planes in (("bilinear", (600, 500)), ("bilinear", (9, 10)), ("trilinear", (7, 8, 9))):
        x = _ones(dtype, 1, 2, *planes)
        yield from _with_gradient(gradients, functional.interpolate, x, scale_factor=2, mode=mode)
    for scale in (2, 1.37, 0.5):  # samples of several values, which are moved as one wider value
        for channels in (2, 4, 8):
            yield partial(resize, _ones(dtype, 40, 48, channels), scale=scale, axes=(0, 1), mode="nearest")
    for mode in ("nearest", "linear", "cubic"):  # one axis: the first or the only one
        for x in (_ones(dtype, 700), _ones(dtype, 2000, 64)):
            yield from _with_gradient(gradients, resize, x, scale=2, axes=0, mode=mode)
    if dtype.kind in "iu":
        yield from _resize_integers(dtype)
    if dtype.kind == "f":  # rows whose taps the kernel computes
        yield partial(resize, _ones(dtype, 5000), scale=2, axes=0, mode="linear")


def _resize_integers(dtype: np.dtype[Any]) -> Iterator[_Call]:
    """Splines, whose sums are floats; three axes, and results too short for vectors."""
    for scale in (2, 0.5):
        for plane in ((40, 48), (300, 400), (40, 48, 3), (40, 48, 4)):
            yield partial(resize, _ones(dtype, *plane), scale=scale, axes=(0, 1), mode="spline3")
        for mode in ("linear", "area"):
            yield partial(resize, _ones(dtype, 9, 10, 11), scale=scale, mode=mode)
            yield partial(resize, _ones(dtype, 5, 5), scale=scale, mode=mode)


def _pool(dtype: np.dtype[Any], gradients: bool) -> Iterator[_Call]:
    for size in (8, 14, 72):
        x = _ones(dtype, 1, 2, size, size)
        for window in ((2,), (3, 2, 1), (9, 1, 4), (13, 1, 6)):
            for indices in (False, True):
                function = functional.max_pool2d_with_indices if indices else functional.max_pool2d
                yield from _with_gradient(gradients, function, x, *window)
        yield from _with_gradient(gradients, functional.adaptive_max_pool2d, x, 5)
    for size_and_step in ((2, 2), (3, 2, 1), (2, 1)):  # large gradients have kernels of their own
        yield from _with_gradient(gradients, functional.max_pool2d, _ones(dtype, 1, 1, 1024, 1024), *size_and_step)


def _unpool(dtype: np.dtype[Any], gradients: bool) -> Iterator[_Call]:
    for size in (8, 200, 1024):
        for window in ((2,), (3, 2, 1)):
            x = np.arange(size * size).reshape(1, 1, size, size).astype(dtype)
            try:
                values, indices = functional.max_pool2d_with_indices(x, *window)
            except TypeError:
                continue
            yield from _with_gradient(
                gradients, functional.max_unpool2d, values, indices, *window, output_size=(size, size)
            )


def _conv_transpose(dtype: np.dtype[Any], gradients: bool) -> Iterator[_Call]:
    for channels, outputs, size in ((2, 3, 6), (32, 32, 10), (64, 3, 12), (3, 64, 12)):
        x = _ones(dtype, 1, channels, size, size)
        for window, stride, padding in ((2, 2, 0), (4, 2, 1), (3, 1, 1), (3, 2, 1)):
            weight = _ones(dtype, channels, outputs, window, window)
            options = {"stride": stride, "padding": padding}
            yield from _with_gradient(gradients, functional.conv_transpose2d, x, weight, None, **options)
            weight = _ones(dtype, channels, 1, window, window)
            yield from _with_gradient(
                gradients, functional.conv_transpose2d, x, weight, None, groups=channels, **options
            )


OPS: Mapping[str, Callable[[np.dtype[Any], bool], Iterator[_Call]]] = MappingProxyType(
    {"resize": _resize, "max_pool": _pool, "max_unpool": _unpool, "conv_transpose": _conv_transpose}
)
"""For each op the calls that make use of its kernels, of one dtype."""

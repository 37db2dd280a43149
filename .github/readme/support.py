"""The table of what runs where: every op and its gradient, on every dtype, asked of the engines themselves.

Each call is made on the portable engine, which takes every library's arrays, while the others are asked for each step
of it, as a call asks them, whether they would take it: no GPU is needed. Rows that say the same are one row, and so are
columns.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from typing import Any
from unittest import mock

import ml_dtypes
import numpy as np

import upsample
from upsample import chainer, jax, keras, onnx, opencv, pillow, scipy, skimage, tensorflow
from upsample.engines import dispatch
from upsample.engines.cpu import support as cpu
from upsample.engines.cuda.runtime.device import emulating

__all__ = ["ASKED", "DTYPES", "Row", "cell", "rows", "table", "tried"]

DTYPES = (
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
    *("uint8", "int64", "int8", "int16", "int32", "uint16", "uint32", "uint64", "bool"),
)
ASKED = ("cpu", "cuda")
REFUSED = "–"


@dataclass(frozen=True, slots=True)
class Row:
    """A call: what the table calls it, and the function of one array."""

    name: str
    call: Callable[[Any], Any]
    arrays: Callable[[np.dtype[Any]], tuple[Any, ...]]


def dtype_of(name: str) -> np.dtype[Any]:
    """Return a dtype by name; bfloat16 is ml_dtypes's."""
    return np.dtype(getattr(ml_dtypes, name) if name == "bfloat16" else name)


def rows() -> Iterator[Row]:
    """List the ops, each mode that there is of it."""
    modes = ("nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area", "lanczos")
    for mode in modes:
        shape = {"linear": (1, 2, 4), "trilinear": (1, 2, 4, 3, 5)}.get(mode, (1, 2, 4, 3))
        options = {"mode": mode, "scale_factor": 2, "antialias": mode == "lanczos"}
        yield Row(f"`interpolate` {mode}", partial(upsample.interpolate, **options), partial(_x, shape))
    for mode in upsample.native.FILTERS:
        yield Row(f"`resize` {mode}", partial(upsample.resize, scale=2, mode=mode), partial(_x, (4, 3)))
    for mode in ("bilinear", "nearest"):
        call = partial(chainer.resize_images, output_shape=(8, 6), mode=mode)
        yield Row(f"`resize_images` {mode}", call, partial(_x, (1, 2, 4, 3)))
    for filter_ in (pillow.NEAREST, pillow.BICUBIC):
        call = partial(pillow.resize, size=(6, 8), resample=filter_)
        yield Row(f"`pillow.resize` {filter_.name}", call, partial(_x, (4, 3)))
    for method in (opencv.INTER_NEAREST, opencv.INTER_LINEAR, opencv.INTER_LANCZOS4):
        call = partial(opencv.resize, dsize=(6, 9), interpolation=method)
        yield Row(f"`opencv.resize` {method.name}", call, partial(_x, (4, 3)))
    yield Row("`opencv.pyrDown`, `pyrUp`", opencv.pyrUp, partial(_x, (4, 3)))
    planes = partial(_x, (1, 2, 4, 4))
    pooling = {"kernel_size": 2, "return_indices": True}
    yield Row("`max_pool*`", partial(upsample.max_pool2d, **pooling), planes)
    yield Row("`adaptive_max_pool*`", partial(upsample.adaptive_max_pool2d, output_size=3, return_indices=True), planes)
    yield Row("`max_pooling_*`", partial(chainer.max_pooling_2d, ksize=2, return_indices=True), planes)
    for rule in ("last", "sum"):
        call = partial(upsample.max_unpool2d, kernel_size=2, duplicates=rule)
        yield Row(f"`max_unpool*` {rule}", call, partial(_pooled, False))
    yield Row("`upsampling_*`", partial(chainer.upsampling_2d, ksize=2), partial(_pooled, True))
    yield Row("`unpooling_*`", partial(chainer.unpooling_2d, ksize=2), planes)
    yield Row("`conv_transpose*`", partial(upsample.conv_transpose2d, stride=2), _weighed)
    yield Row("`deconvolution_*`", partial(chainer.deconvolution_2d, stride=2), _weighed)
    yield Row("`pixel_shuffle`", partial(upsample.pixel_shuffle, upscale_factor=1), planes)
    yield Row("`depth2space`, `space2depth`", partial(chainer.space2depth, r=2), planes)
    yield from _dialect_rows()


def _dialect_rows() -> Iterator[Row]:
    """List the functions of other libraries' dialects that compute."""
    image = partial(_x, (4, 3, 2))
    for method in ("bilinear", "nearest"):
        yield Row(f"`tensorflow.resize` {method}", partial(tensorflow.resize, size=(8, 6), method=method), image)
        keras_call = partial(keras.up_sampling_2d, interpolation=method)
        yield Row(f"`keras.up_sampling_2d` {method}", keras_call, partial(_x, (1, 4, 3, 2)))
    for method in ("linear", "nearest"):
        yield Row(f"`jax.resize` {method}", partial(jax.resize, shape=(8, 6, 2), method=method), image)
    for mode in ("linear", "nearest"):
        yield Row(f"`onnx.resize` {mode}", partial(onnx.resize, scales=(2, 2, 1), mode=mode), image)
    for order in (3, 0):
        yield Row(f"`scipy.zoom` order {order}", partial(scipy.zoom, zoom=2, order=order), image)
        call = partial(skimage.resize, output_shape=(8, 6), order=order)
        yield Row(f"`skimage.resize` order {order}", call, image)


def _x(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Any, ...]:
    return ((np.arange(np.prod(shape)) % 7).reshape(shape).astype(dtype),)


def _pooled(within: bool, dtype: np.dtype[Any]) -> tuple[Any, ...]:
    """Cells and their indices: those of each window, or of the plane."""
    place = np.zeros((2, 2), dtype=np.int64) if within else np.asarray([[0, 2], [8, 10]])
    return (*_x((1, 2, 2, 2), dtype), np.broadcast_to(place, (1, 2, 2, 2)).copy())


def _weighed(dtype: np.dtype[Any]) -> tuple[Any, ...]:
    return (*_x((1, 2, 4, 4), dtype), *_x((2, 3, 2, 2), dtype))


@contextmanager
def _asking(answers: list[dict[str, str | None]]) -> Iterator[None]:
    """Within it every step runs on the portable engine, and what the others say to it is noted."""

    def note(task: str, plan: object, x: Any) -> str:
        answers.append({e.name: e.supports(task, plan, x) for e in engines if e.name in ASKED})
        return "it is only asked"

    engines = dispatch.ENGINES
    portable = next(e for e in engines if e.name == "portable")
    asked = replace(portable, name="asked", supports=note)
    with (
        emulating(object()),  # type: ignore[arg-type]
        mock.patch.object(cpu, "unusable", return_value=None),  # what it would take where Numba is installed
        mock.patch.object(dispatch, "ENGINES", (asked, portable)),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


def cell(row: Row, name: str, gradient: bool) -> str:
    """Say who runs a call, or all steps of its gradient, on a dtype.

    The compiled engines' names, "portable" where none of them does, "–" where the dtype is refused.
    """
    arrays = row.arrays(dtype_of(name))
    answers: list[dict[str, str | None]] = []
    with _asking(answers):
        try:
            if gradient:
                output, pullback = upsample.vjp(row.call, *arrays)
                answers.clear()
                pullback(output[0] if isinstance(output, tuple) else output)
            else:
                row.call(*arrays)
        except TypeError:
            return REFUSED
    if not answers:
        raise AssertionError(f"{row.name}, {name}: no engine was asked")
    having = [engine for engine in ASKED if all(answer[engine] is None for answer in answers)]
    return " ".join(having) or "portable"


def tried(row: Row, name: str, gradient: bool, engine: str) -> tuple[Any, ...]:
    """Make a call, or its gradient, on an engine that must be usable here, and return its arrays."""
    given = row.arrays(dtype_of(name))
    if engine == "cuda":
        given = tuple(map(import_module("cupy").asarray, given))
    if gradient:
        output, pullback = upsample.vjp(row.call, *given, engine=engine)
        result: Any = pullback(output[0] if isinstance(output, tuple) else output)
    else:
        result = row.call(*given, engine=engine)
    found = (part for part in (result if isinstance(result, tuple) else (result,)) if part is not None)
    return tuple(part if isinstance(part, np.ndarray) else part.get() for part in found)


def table() -> str:
    """Return the table, in Markdown."""
    lines: dict[tuple[bool, tuple[str, ...]], list[str]] = {}
    for gradient in (False, True):
        for row in rows():
            cells = tuple(cell(row, name, gradient) for name in DTYPES)
            lines.setdefault((gradient, cells), []).append(row.name)
    columns: dict[tuple[str, ...], list[str]] = {}
    for place, name in enumerate(DTYPES):
        columns.setdefault(tuple(cells[place] for _, cells in lines), []).append(name)
    heads = [_short(names) for names in columns.values()]
    made = [_line(["", *heads]), "|---" * (len(heads) + 1) + "|"]
    for number, ((gradient, _), names) in enumerate(lines.items()):
        label = ("gradient of " if gradient else "") + _joined(names)
        made.append(_line([label, *(kept[number] for kept in columns)]))
    return "\n".join(made)


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _short(names: list[str]) -> str:
    """A column's head; ten names of integers are called that."""
    integers = [n for n in DTYPES if n.startswith(("int", "uint"))]
    left = [n for n in integers if n not in names]
    others = [n for n in names if n not in integers]
    if len(left) < len(integers) / 2 and len(integers) - len(left) > 2:
        return ", ".join([*others, "other integers" if left else "integers"])
    return ", ".join(names)


def _joined(names: list[str]) -> str:
    """A row's label: each function once, with its modes."""
    by_function: dict[str, list[str]] = {}
    for name in names:
        function, _, mode = name.partition("` ")
        by_function.setdefault(function + "`" * bool(mode), []).extend([mode] if mode else [])
    return "; ".join(f"{f} {', '.join(modes)}".strip() for f, modes in by_function.items())

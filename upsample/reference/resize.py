"""Resizing by interpolation: torch's rules, Chainer's rules, and the library's own.

Every axis is resized by itself, the last one first.  For each output position there is a list of taps, pairs
of an input position and a weight, and the output is their weighted sum.  By torch's and Chainer's rules a tap of
weight 0 still takes part, so a NaN or an infinity under it gives NaN.  By the library's own, taps of one input are
one, and those of weight 0 at either end of the list do not take part.
"""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .pool import per_axis

Array = NDArray[Any]
Taps = list[list[tuple[int, float]]]  # for every output position: (input position, weight)
Filter = Callable[[float], float]

_SUPPORT = {"linear": 1.0, "cubic": 2.0, "lanczos": 3.0}


# Filters: the weight of an input at a distance of t from the sampled coordinate.


def _triangle(t: float) -> float:
    return max(1.0 - abs(t), 0.0)


def _cubic(t: float, a: float) -> float:
    """Keys 1981, "Cubic convolution interpolation for digital image processing", eq. 8 with a free a."""
    t = abs(t)
    if t < 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    if t < 2:
        return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return 0.0


def _sinc(t: float) -> float:
    return 1.0 if t == 0 else math.sin(math.pi * t) / (math.pi * t)


def _lanczos(t: float) -> float:
    return _sinc(t) * _sinc(t / 3) if abs(t) < 3 else 0.0


def _filter(kind: str, cubic_coeff: float) -> Filter:
    return {"linear": _triangle, "cubic": lambda t: _cubic(t, cubic_coeff), "lanczos": _lanczos}[kind]


# Coordinates and taps of one axis of n inputs and o outputs.


def _step(n: int, o: int, scale: float | None, align_corners: bool) -> float:
    """How far apart, in inputs, two outputs lie."""
    if align_corners:
        return (n - 1) / (o - 1) if o > 1 else 0.0
    return n / o if scale is None else 1.0 / scale


def _coordinate(i: int, step: float, align_corners: bool) -> float:
    return i * step if align_corners else (i + 0.5) * step - 0.5


def _linear_taps(n: int, coordinates: Sequence[float]) -> Taps:
    """The two inputs around each coordinate, which is at least 0; beyond the last input both are that one."""
    taps = []
    for coordinate in coordinates:
        left = min(math.floor(max(coordinate, 0.0)), n - 1)
        fraction = min(max(coordinate, 0.0) - left, 1.0)
        taps.append([(left, 1.0 - fraction), (min(left + 1, n - 1), fraction)])
    return taps


def _cubic_taps(n: int, coordinates: Sequence[float], a: float) -> Taps:
    """The four inputs around each coordinate; one that lies outside is replaced by the border."""
    taps = []
    for coordinate in coordinates:
        left = math.floor(coordinate)
        nearby = range(left - 1, left + 3)
        taps.append([(min(max(j, 0), n - 1), _cubic(coordinate - j, a)) for j in nearby])
    return taps


def _lanczos_taps(n: int, coordinates: Sequence[float]) -> Taps:
    """The six inputs around each coordinate, weights to the sum of 1; the border is repeated."""
    taps = []
    for coordinate in coordinates:
        left = math.floor(coordinate)
        nearby = range(left - 2, left + 4)
        total = sum(_lanczos(coordinate - j) for j in nearby)
        taps.append([(min(max(j, 0), n - 1), _lanczos(coordinate - j) / total) for j in nearby])
    return taps


def _antialias_taps(n: int, o: int, step: float, support: float, weight: Filter) -> Taps:
    """Pillow's method: when shrinking, the filter is stretched by the step; outside inputs do not count.

    ATen/native/cpu/UpSampleKernel.cpp, _compute_indices_min_size_weights_aa; Pillow's precompute_coeffs.
    With align_corners torch only changes the step, and leaves the centres where they are.
    """
    stretch = max(step, 1.0)
    reach = support * stretch
    taps = []
    for i in range(o):
        centre = (i + 0.5) * step  # in a frame in which input j covers [j, j + 1)
        first = max(int(centre - reach + 0.5), 0)
        end = min(int(centre + reach + 0.5), n)
        weights = [weight((j + 0.5 - centre) / stretch) for j in range(first, end)]
        total = sum(weights)
        taps.append([(j, w / total) for j, w in zip(range(first, end), weights, strict=True)])
    return taps


def _without_zeros(taps: Taps) -> Taps:
    """The taps with those of one input added up, and without those of weight 0 before the first other and behind."""
    shorter = []
    for row in taps:
        weights: dict[int, float] = {}
        for j, weight in row:
            weights[j] = weights.get(j, 0.0) + weight
        used = [place for place, weight in enumerate(weights.values()) if weight != 0.0]
        shorter.append(list(weights.items())[used[0] : used[-1] + 1] if used else [])
    return shorter


def _area_windows(n: int, o: int) -> list[tuple[int, int]]:
    """The inputs [floor(i*n/o), ceil((i + 1)*n/o)) that output i averages, in exact integers."""
    return [(i * n // o, -(-(i + 1) * n // o)) for i in range(o)]


def _torch_nearest(n: int, o: int, scale: float | None, dtype: np.dtype[Any], exact: bool) -> list[int]:
    """The input of each output as torch's CPU kernels round it (ATen/native/cpu/UpSampleKernel.cpp, HelperInterp*).

    nearest floors the product of the position and the step, rounded to float32. nearest-exact takes 1/2 from the
    product, rounds, adds 1/2 and rounds to float32.  For float64 the step and the first rounding are float64, for
    every other dtype float32.
    """
    real = np.float64 if dtype == np.float64 else np.float32
    step = float(real(n) / real(o) if scale is None else real(1.0 / scale))
    sources = []
    for i in range(o):
        source = i * step
        if exact:
            centre = Fraction(2 * i + 1, 2) * Fraction(step) - Fraction(1, 2)
            source = max(float(real(float(centre))), 0.0) + 0.5
        sources.append(min(math.floor(np.float32(source)), n - 1))
    return sources


def _native_nearest(n: int, o: int, scale: float | None, exact: bool) -> list[int]:
    """floor(i*n/o) or, for nearest-exact, floor((i + 1/2)*n/o), in integers; with a scale, floor(i/scale)."""
    if scale is None:
        sources = [(2 * i + 1) * n // (2 * o) if exact else i * n // o for i in range(o)]
    else:
        sources = [math.floor((i + 0.5 if exact else i) / scale) for i in range(o)]
    return [min(j, n - 1) for j in sources]


# What is done with them along one axis.


def _store(values: Array, dtype: np.dtype[Any]) -> Array:
    """Round half up and clamp to 0..255 for uint8; leave everything else as it is."""
    return np.clip(np.floor(values + 0.5), 0, 255).astype(np.uint8) if dtype == np.uint8 else values


def _weigh(x: Array, axis: int, taps: Taps) -> Array:
    """The weighted sums of `taps` along `axis`, in float64."""
    if x.dtype.kind == "c":
        y = np.empty(_with_size(x.shape, axis, len(taps)), np.complex128)
        y.real, y.imag = _weigh(x.real, axis, taps), _weigh(x.imag, axis, taps)
        return y
    inputs = np.moveaxis(x, axis, 0).astype(np.float64)
    outputs = np.zeros((len(taps), *inputs.shape[1:]))
    with np.errstate(invalid="ignore", over="ignore"):
        for i, row in enumerate(taps):
            for j, weight in row:
                outputs[i] += weight * inputs[j]
    return _store(np.moveaxis(outputs, 0, axis), x.dtype)


def _average(x: Array, axis: int, windows: list[tuple[int, int]]) -> Array:
    """The means of the slices `windows` along `axis`, in float64."""
    if x.dtype.kind == "c":
        y = np.empty(_with_size(x.shape, axis, len(windows)), np.complex128)
        y.real, y.imag = _average(x.real, axis, windows), _average(x.imag, axis, windows)
        return y
    inputs = np.moveaxis(x, axis, 0).astype(np.float64)
    outputs = np.empty((len(windows), *inputs.shape[1:]))
    with np.errstate(invalid="ignore", over="ignore"):
        for i, (start, end) in enumerate(windows):
            outputs[i] = inputs[start:end].sum(axis=0) / (end - start)
    return _store(np.moveaxis(outputs, 0, axis), x.dtype)


def _with_size(shape: tuple[int, ...], axis: int, size: int) -> tuple[int, ...]:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _wide(x: Array) -> Array:
    """X itself if it is uint8, else x in float64 or complex128."""
    if x.dtype == np.uint8:
        return x
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


_TORCH_MODES = {  # torch's name: (numbers of spatial axes, what happens along each)
    "nearest": ((1, 2, 3), "nearest"),
    "nearest-exact": ((1, 2, 3), "nearest-exact"),
    "linear": ((1,), "linear"),
    "bilinear": ((2,), "linear"),
    "trilinear": ((3,), "linear"),
    "bicubic": ((2,), "cubic"),
    "lanczos": ((2,), "lanczos"),
    "area": ((1, 2, 3), "area"),
}


def interpolate(
    input: Array,
    size: int | Sequence[int] | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Array:
    """Resize the spatial axes of (N, C, *plane), as torch.nn.functional.interpolate does (torch 2.13, CPU).

    Coordinates are (i + 0.5)*step - 0.5, or i*step with align_corners (ATen/native/UpSample.h,
    area_pixel_compute_source_index).  The step is (n - 1)/(o - 1) with align_corners; else 1/scale_factor
    where one is given and is not recomputed, else n/o.  Where n == o, linear and antialiased modes copy the
    axis.

    Parameters
    ----------
    input : (N, C, *plane) array of 3, 4 or 5 dimensions
    size : int or one int per spatial axis, optional
        The output plane.
    scale_factor : float or one float per spatial axis, optional
        Instead of `size`: the output plane is floor(n*scale_factor).
    mode : str
        nearest, nearest-exact, linear, bilinear, trilinear, bicubic, lanczos or area.
    align_corners : bool, optional
        Whether the first and last inputs and outputs coincide.
    recompute_scale_factor : bool, optional
        Whether the step comes from the sizes although a scale_factor is given.
    antialias : bool
        Whether the filter is stretched when shrinking (bilinear, bicubic and lanczos, which requires it).

    Returns
    -------
    (N, C, *outputs) array
        Of input's dtype for the nearest modes; uint8 for uint8 input, rounded half up and clamped after
        every axis; else float64 or complex128.

    Examples
    --------
    >>> interpolate(np.array([[[0.0, 10.0]]]), size=4, mode="linear").tolist()
    [[[0.0, 2.5, 7.5, 10.0]]]
    >>> interpolate(np.array([[[0.0, 10.0]]]), scale_factor=1.5, mode="nearest").tolist()
    [[[0.0, 0.0, 10.0]]]
    """
    spatial = input.ndim - 2
    if mode not in _TORCH_MODES or spatial not in _TORCH_MODES[mode][0]:
        raise ValueError(f"interpolate: mode {mode!r} and an array of {input.ndim} dimensions do not fit")
    if (size is None) == (scale_factor is None):
        raise ValueError("interpolate: either size or scale_factor is needed, and not both")
    if antialias and mode not in ("bilinear", "bicubic", "lanczos"):
        raise ValueError(f"interpolate: mode {mode!r} has no antialias")
    if mode == "lanczos" and (align_corners or not antialias):
        raise ValueError("interpolate: lanczos requires antialias=True and has no align_corners")
    kind, align = _TORCH_MODES[mode][1], bool(align_corners)
    scales: list[float | None] = [None] * spatial
    if size is not None:
        sizes = list(per_axis(size, spatial))
    else:
        factors = _factors(scale_factor, spatial)
        sizes = [math.floor(n * factor) for n, factor in zip(input.shape[2:], factors, strict=True)]
        if not recompute_scale_factor:
            scales = [*factors]
    if min(sizes, default=0) < 1 or min(input.shape[2:]) < 1:
        raise ValueError(f"interpolate: no resizing from {input.shape[2:]} to {tuple(sizes)}")

    y = input if kind.startswith("nearest") else _wide(input)
    for d in reversed(range(spatial)):
        axis, n, o, scale = d + 2, input.shape[d + 2], sizes[d], scales[d]
        step = _step(n, o, scale, align)
        coordinates = [_coordinate(i, step, align) for i in range(o)]
        if kind.startswith("nearest"):
            y = y.take(_torch_nearest(n, o, scale, input.dtype, kind == "nearest-exact"), axis)
        elif kind == "area":
            y = _average(y, axis, _area_windows(n, o))
        elif antialias and n == o:
            pass
        elif antialias:
            y = _weigh(y, axis, _antialias_taps(n, o, step, _SUPPORT[kind], _filter(kind, -0.5)))
        elif kind == "linear" and n == o:
            y = _weigh(y, axis, [[(i, 1.0), (i, 0.0)] for i in range(o)])
        elif kind == "linear":
            y = _weigh(y, axis, _linear_taps(n, coordinates))
        else:
            y = _weigh(y, axis, _cubic_taps(n, coordinates, -0.75))
    return y.copy() if y is input else y


def _factors(value: float | Sequence[float] | None, count: int) -> list[float]:
    """One scale for every axis: a number repeats."""
    factors = list(value) if isinstance(value, Sequence) else [0.0 if value is None else float(value)] * count
    if len(factors) != count or min(factors) <= 0:
        raise ValueError(f"{count} axes need {count} positive scales, not {value!r}")
    return factors


_KINDS = ("nearest", "nearest-exact", "linear", "cubic", "lanczos", "area")


def resize(
    x: Array,
    shape: int | Sequence[int] | None,
    *,
    axes: int | Sequence[int],
    mode: str | Sequence[str],
    antialias: bool = False,
    align_corners: bool = False,
    cubic_coeff: float = -0.75,
    scale: float | Sequence[float | None] | None = None,
) -> Array:
    """Resize any axes of an array: the library's own operation.

    Outputs sample at (i + 0.5)*step - 0.5 with step n/o, or 1/scale, or at i*(n - 1)/(o - 1) with
    align_corners. linear clamps the coordinate at 0 and the indices at the border; cubic (Keys, 4 taps)
    and lanczos (a = 3, 6 taps, weights to the sum of 1) repeat the border; antialias stretches the filter by
    max(step, 1) and leaves out what lies outside (Pillow's method; with align_corners torch's, which only
    changes the step).  nearest takes floor(i*n/o), nearest-exact floor((2*i + 1)*n/(2*o)), both in exact
    integers; with a scale floor(i/scale) and floor((i + 0.5)/scale).  area averages [floor(i*n/o), ceil((i +
    1)*n/o)).

    Parameters
    ----------
    x : array
    shape : int or one int per axis of `axes`, or None
        The new sizes; None where `scale` gives them, as floor(n*scale).
    axes : int or sequence of int
    mode : str or one str per axis of `axes`
        nearest, nearest-exact, linear, cubic, lanczos or area.
    antialias : bool
        Of linear, cubic and lanczos; it changes nothing in the other modes.
    align_corners : bool
        Of linear, cubic and lanczos; it changes nothing in the other modes.
    cubic_coeff : float
        The cubic filter's a, used as it is given.
    scale : float or one float or None per axis of `axes`, optional

    Returns
    -------
    array
        Of x's dtype where every mode is nearest or nearest-exact, and for integers, which are rounded to nearest, ties
        to even, and clamped, once. Else float64 or complex128.

    Examples
    --------
    >>> resize(np.array([0.0, 10.0]), 4, axes=0, mode="linear").tolist()
    [0.0, 2.5, 7.5, 10.0]
    >>> resize(np.array([[1, 2], [3, 4]]), (3,), axes=(-1,), mode="nearest").tolist()
    [[1, 1, 2], [3, 3, 4]]
    """
    where = [a % x.ndim for a in ([axes] if isinstance(axes, (int, np.integer)) else axes)]
    modes = [mode] * len(where) if isinstance(mode, str) else list(mode)
    scales = list(scale) if isinstance(scale, Sequence) else [scale] * len(where)
    if len(set(where)) != len(where) or not len(where) == len(modes) == len(scales):
        raise ValueError(f"resize: axes {axes!r}, mode {mode!r} and scale {scale!r} do not fit")
    if not set(modes) <= set(_KINDS):
        raise ValueError(f"resize: mode is one of {', '.join(_KINDS)}, not {mode!r}")
    if shape is not None:
        sizes = list(per_axis(shape, len(where)))
    else:
        sizes = [math.floor(x.shape[a] * (s or 0)) for a, s in zip(where, scales, strict=True)]
    if any(o < 1 or x.shape[a] < 1 for a, o in zip(where, sizes, strict=True)):
        raise ValueError(f"resize: no resizing of axes {axes!r} of {x.shape} to {tuple(sizes)}")

    moves = all(kind.startswith("nearest") for kind in modes)
    once = x.dtype.kind in "iu" and not moves
    y = x.copy() if moves else x.astype(np.float64) if once else _wide(x)
    for axis, o, kind, factor in sorted(zip(where, sizes, modes, scales, strict=True), reverse=True, key=_axis):
        n = x.shape[axis]
        step = _step(n, o, factor, align_corners)
        coordinates = [_coordinate(i, step, align_corners) for i in range(o)]
        if kind.startswith("nearest"):
            y = y.take(_native_nearest(n, o, factor, kind == "nearest-exact"), axis)
        elif kind == "area":
            y = _average(y, axis, _area_windows(n, o))
        else:
            if antialias:
                taps = _antialias_taps(n, o, step, _SUPPORT[kind], _filter(kind, cubic_coeff))
            elif kind == "linear":
                taps = _linear_taps(n, coordinates)
            elif kind == "cubic":
                taps = _cubic_taps(n, coordinates, cubic_coeff)
            else:
                taps = _lanczos_taps(n, coordinates)
            y = _weigh(y, axis, _without_zeros(taps))
    if once:
        info = np.iinfo(x.dtype)
        y = np.clip(np.rint(y), info.min, info.max).astype(x.dtype)
    return y


def _axis(row: tuple[int, int, str, float | None]) -> int:
    return row[0]


def chainer_resize_images(
    x: Array, output_shape: tuple[int, int], mode: str = "bilinear", align_corners: bool = True
) -> Array:
    """Resize (N, C, H, W) to (N, C, *output_shape), as chainer.functions.resize_images.

    bilinear samples at i*(n - 1)/(o - 1) with align_corners (0 where o is 1), else at max((i + 0.5)*n/o -
    0.5, 0); nearest takes min(floor(i*(n/o)), n - 1), computed in float64, whatever align_corners is.

    Parameters
    ----------
    x : (N, C, H, W) array
    output_shape : (int, int)
    mode : {"bilinear", "nearest"}
    align_corners : bool

    Returns
    -------
    (N, C, *output_shape) array of x's dtype for nearest, else float64 or complex128

    Examples
    --------
    >>> chainer_resize_images(np.array([[[[0.0, 9.0]]]]), (1, 4)).tolist()
    [[[[0.0, 3.0, 6.0, 9.0]]]]
    """
    if mode not in ("bilinear", "nearest"):
        raise ValueError(f"chainer_resize_images: mode is 'bilinear' or 'nearest', not {mode!r}")
    y = _wide(x) if mode == "bilinear" else x
    for axis, o in ((3, output_shape[1]), (2, output_shape[0])):
        n = x.shape[axis]
        if mode == "nearest":
            y = y.take([min(math.floor(i * (n / o)), n - 1) for i in range(o)], axis)
        else:
            step = _step(n, o, None, align_corners)
            y = _weigh(y, axis, _linear_taps(n, [_coordinate(i, step, align_corners) for i in range(o)]))
    return y

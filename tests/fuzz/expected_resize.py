"""The expected result of `upsample.resize`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fuzz.resampled import Axis, applied, matrix, nearest_integers, of_bytes, rounded_by_axis
from fuzz.wanted import Unsure, Want, held, limit, most, plain, sizes_of, wide_enough
from upsample import reference

__all__ = ["resize"]

Array = np.ndarray[Any, Any]
LEAST_WEIGHT = 2.0**-16
"""An output is missing where the weights of its samples that are not NaN sum to less than this."""
POINTS = {"nearest", "nearest-exact"}
REFERENCE = POINTS | {"area", "linear", "cubic", "lanczos"}
"""Modes that `upsample.reference` has; matrices have all."""


@dataclass
class _Call:
    """The arguments, one entry an axis."""

    axes: tuple[int, ...]
    sizes: tuple[int, ...]
    modes: tuple[str, ...]
    scales: tuple[float | None, ...]
    antialias: bool
    corners: bool
    cubic_coeff: float
    boundary: str | None
    cval: float
    boxes: tuple[tuple[float, float], ...]
    offsets: tuple[float, ...]
    has_borders: bool

    @property
    def moves(self) -> bool:
        return set(self.modes) <= POINTS

    @property
    def gain(self) -> float:
        """How much larger than samples a partial sum may be."""
        if set(self.modes) <= POINTS | {"area", "linear", "hamming"}:
            return 1.0
        return (3.0 + 8.0 * abs(self.cubic_coeff) * ("cubic" in self.modes)) ** len(self.axes)


def _read(call: dict[str, Any], shape: tuple[int, ...]) -> _Call:
    axes = plain(call.get("axes"))
    axes = tuple(range(len(shape))) if axes is None else axes if isinstance(axes, tuple) else (axes,)
    axes, count = tuple(range(len(shape))[a] for a in axes), len(axes)
    mode = plain(call.get("mode", "linear"))
    size, scale, offset = plain(call.get("shape")), plain(call.get("scale")), plain(call.get("offset", 0.0))
    box, boundary, cval = plain(call.get("box")), plain(call.get("boundary")), float(plain(call.get("cval", 0.0)))
    if box is not None and count == 1 and not isinstance(box[0], tuple):
        box = (box,)
    boxes = tuple((0.0, float(shape[a])) for a in axes) if box is None else box
    lengths = tuple(high - low for low, high in boxes)
    return _Call(
        axes,
        sizes_of(lengths, size, scale),
        (mode,) * count if isinstance(mode, str) else mode,
        scale if isinstance(scale, tuple) else (scale,) * count,
        plain(call.get("antialias", False)),
        plain(call.get("align_corners", False)),
        plain(call.get("cubic_coeff", -0.75)),
        boundary,
        cval,
        boxes,
        offset if isinstance(offset, tuple) else (offset,) * count,
        not (boundary is None and box is None and cval == 0 and offset in (0.0, (0.0,) * count)),
    )


def resize(_: str, call: dict[str, Any]) -> Want:
    x = wide_enough(held(call["x"]))
    given = _read(call, x.shape)
    if not given.axes:
        return Want((x,), True)
    if min(given.sizes) < 1:
        raise Unsure  # the call is refused
    limit(*x.shape, *given.sizes)
    resample = _plain(given) if set(given.modes) <= REFERENCE and not given.has_borders else _bordered(x, given)
    if call.get("nan", "propagate") == "omit" and x.dtype.kind in "fc":
        return _present(x, given, resample)
    if x.dtype.kind in "iu" and not given.moves:
        return _integers(x, given, resample(x.astype(float)))
    bound = (most(x) + abs(given.cval)) * given.gain
    return Want((resample(x),), given.moves, bound, mixes=given.has_borders)


def _plain(given: _Call) -> Callable[[Array], Array]:
    """Resample by the reference, axis by axis as it does."""
    return lambda x: reference.resize(
        x,
        given.sizes,
        axes=given.axes,
        mode=given.modes,
        antialias=given.antialias,
        align_corners=given.corners,
        cubic_coeff=given.cubic_coeff,
        scale=given.scales,
    )


def _bordered(x: Array, given: _Call) -> Callable[[Array], Array]:
    """Resample by matrices, and add the share of the constant."""
    matrices = _by_documentation(x.shape, given)

    def resample(y: Array) -> Array:
        if given.moves:
            made = applied(y, given.axes, matrices)
            if given.boundary == "constant":
                inside = applied(np.ones(y.shape), given.axes, matrices) == 1
                made = np.where(inside, made, _constant(given.cval, y.dtype))
            return made.astype(y.dtype)
        made = applied(y.astype(complex if y.dtype.kind == "c" else float), given.axes, matrices)
        if given.cval:
            made += given.cval * (1 - applied(np.ones(y.shape), given.axes, matrices))
        return made

    return resample


def _by_documentation(shape: tuple[int, ...], given: _Call) -> list[Array]:
    """The weights of each axis, by what the documentation says."""
    if given.antialias and given.corners and not given.has_borders:
        raise Unsure  # torch's rule: the step of aligned corners, and the other centres
    boundary = given.boundary or ("cut" if given.antialias else "edge")
    return [
        matrix(
            Axis(
                shape[a],
                o,
                mode,
                math.fmod(low + offset, shape[a]) if boundary == "wrap" else low + offset,
                high - low,
                scale,
                boundary,
                given.antialias,
                given.corners,
                given.cubic_coeff,
            )
        )
        for a, o, mode, scale, (low, high), offset in zip(
            given.axes, given.sizes, given.modes, given.scales, given.boxes, given.offsets, strict=True
        )
    ]


def _constant(value: float, dtype: np.dtype[Any]) -> Any:
    """The constant in a dtype: rounded and clamped to integers, as results are."""
    if dtype.kind not in "iu":
        return np.asarray(value).astype(dtype)
    if dtype.itemsize == 8:
        raise Unsure
    return np.clip(np.rint(value), np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)


def _present(x: Array, given: _Call, resample: Callable[[Array], Array]) -> Want:
    gone = np.isnan(x)
    zero = x.dtype.type(0)
    sums, there = resample(np.where(gone, zero, x)), 1.0 - resample(gone.astype(float))
    made = np.where(np.abs(there) < LEAST_WEIGHT, np.nan, np.where(there == 1, sums, sums / there))
    if given.moves:
        return Want((np.where(there == 0, np.nan, sums).astype(x.dtype),), True)
    bound = most(x) * given.gain
    return Want((made,), False, bound, divisors=np.abs(there), mixes=given.has_borders)


def _integers(x: Array, given: _Call, sums: Array) -> Want:
    """Rounded once, to nearest, ties to even; bytes by axis where one grows by a weighted mode other than area."""
    error = 2.0**-44 * (most(x) + abs(given.cval)) * given.gain
    once = nearest_integers(sums, x.dtype, error)
    if x.dtype == np.uint8 and not given.has_borders:
        blurs = sum(mode not in POINTS | {"linear", "area"} for mode in given.modes)
        grows = any(o > x.shape[a] for a, o in zip(given.axes, given.sizes, strict=True))
        if grows and not set(given.modes) <= POINTS | {"area"}:
            once = rounded_by_axis(x, given.axes, _matrices(x.shape, given))
        elif blurs <= 3 and not any(_passes_bytes(mode, given.cubic_coeff) for mode in given.modes):
            once = of_bytes(sums)
    return Want((once[0].astype(x.dtype),), False, between=once)


def _passes_bytes(mode: str, cubic_coeff: float) -> bool:
    """Whether sums may leave what 16-bit numbers between axes can hold."""
    return mode.startswith("spline") or (mode == "cubic" and abs(cubic_coeff) > 1)


def _matrices(shape: tuple[int, ...], given: _Call) -> list[Array]:
    """The weights of each axis, of the reference where it has the modes."""
    if not set(given.modes) <= REFERENCE:
        return _by_documentation(shape, given)
    made = []
    for a, o, mode, scale in zip(given.axes, given.sizes, given.modes, given.scales, strict=True):
        options = {"antialias": given.antialias, "align_corners": given.corners, "cubic_coeff": given.cubic_coeff}
        limit(shape[a], shape[a], o)
        made.append(reference.resize(np.eye(shape[a]), o, axes=0, mode=mode, scale=scale, **options))
    return made

"""What the tests against live torch share: conversion, comparison, and the cases.

Everything here is NumPy on the outside: `call(name, *args, **kwargs)` runs torch.nn.functional's `name` on
arrays, and the `assert_*` functions compare arrays. Nothing is imported from upsample. Where torch is not
installed, importing this module skips the test module that does so.

torch runs in one thread: with two, its max_unpool is a race.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from dtypes import dtype_of

torch = pytest.importorskip("torch", reason="torch is not installed, and these tests compare with live torch")
torch.set_num_threads(1)

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
HALVES = ("float16", "bfloat16")
FLOATS = (*HALVES, "float32", "float64")
DTYPES = (*FLOATS, "uint8")

# Rounding allowed to arithmetic, in eps of the result's dtype, relative to the largest value involved.
EPS_ALLOWED = 64


def eps_of(dtype: np.dtype) -> float:
    return float(ml_dtypes.finfo(dtype).eps)


# ------------------------------------------------------------------------------------------ conversion


def to_torch(x: np.ndarray) -> Any:
    x = np.array(x, order="C")  # an own, writable copy: torch warns of read-only ones
    if x.dtype == BFLOAT16:
        return torch.from_numpy(x.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(x)


def to_numpy(t: Any) -> np.ndarray:
    t = t.detach().contiguous()
    if t.dtype == torch.bfloat16:
        return t.view(torch.int16).numpy().view(BFLOAT16)
    return t.numpy()


def call(name: str, *args: Any, **kwargs: Any) -> Any:
    """torch.nn.functional's `name`, on and to arrays (a tuple where torch returns one)."""
    args = tuple(to_torch(a) if isinstance(a, np.ndarray) else a for a in args)
    kwargs = {k: to_torch(v) if isinstance(v, np.ndarray) else v for k, v in kwargs.items()}
    result = getattr(torch.nn.functional, name)(*args, **kwargs)
    if isinstance(result, tuple):
        return tuple(to_numpy(t) for t in result)
    return to_numpy(result)


# ------------------------------------------------------------------------------------------ comparison


def widened(x: np.ndarray) -> np.ndarray:
    return np.asarray(x).astype(np.complex128 if np.iscomplexobj(x) else np.float64)


def assert_like(ours: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
    assert type(ours) is np.ndarray, f"got a {type(ours).__name__}, not a NumPy array"
    assert ours.shape == shape, f"shape {ours.shape}, torch has {shape}"
    assert ours.dtype == dtype, f"dtype {ours.dtype}, torch has {dtype}"


def ulps_apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """How many representable numbers lie between `a` and `b` (float16 or bfloat16, no NaN)."""
    assert a.dtype == b.dtype
    assert a.dtype.itemsize == 2

    def ordered(x: np.ndarray) -> np.ndarray:
        bits = np.ascontiguousarray(x).view(np.int16).astype(np.int32)
        return np.where(bits < 0, -(bits & 0x7FFF), bits)  # -0 and 0 are the same number

    return np.abs(ordered(a) - ordered(b))


def assert_same_bits(ours: Any, theirs: np.ndarray) -> None:
    """Values that only move: every bit, the sign of zero and NaN's payload included."""
    assert_like(ours, theirs.shape, theirs.dtype)
    mine = np.ascontiguousarray(ours).reshape(-1, 1).view(np.uint8)
    other = np.ascontiguousarray(theirs).reshape(-1, 1).view(np.uint8)
    wrong = np.flatnonzero((mine != other).any(axis=1))
    if wrong.size:
        at = np.unravel_index(wrong[0], ours.shape)
        raise AssertionError(
            f"{wrong.size} of {ours.size} values differ, first at {tuple(map(int, at))}: "
            f"{ours[at]!r}, torch has {theirs[at]!r}"
        )


def assert_same_special(ours: np.ndarray, theirs: np.ndarray) -> None:
    """NaN and the infinities are exactly where they are in `theirs`."""
    if np.iscomplexobj(theirs):
        assert_same_special(ours.real, theirs.real)
        assert_same_special(ours.imag, theirs.imag)
        return
    ours, theirs = widened(ours), widened(theirs)
    for name, test in (("NaN", np.isnan), ("+inf", np.isposinf), ("-inf", np.isneginf)):
        wrong = np.argwhere(test(ours) != test(theirs))
        if len(wrong):
            at = tuple(map(int, wrong[0]))
            raise AssertionError(
                f"{name} differs in {len(wrong)} places, first at {at}: {ours[at]!r}, torch has {theirs[at]!r}"
            )


def largest(*arrays: np.ndarray) -> float:
    """The largest finite magnitude in these arrays."""
    sizes = [np.abs(widened(a)) for a in arrays]
    return max((float(s[np.isfinite(s)].max(initial=0.0)) for s in sizes), default=0.0)


def assert_within(ours: np.ndarray, expected: np.ndarray, allowed: Any, what: str) -> None:
    """|ours - expected| <= allowed wherever both are finite."""
    ours, expected = widened(ours), widened(expected)
    finite = np.isfinite(ours) & np.isfinite(expected)
    with np.errstate(invalid="ignore"):
        wrong = np.argwhere(finite & ~(np.abs(ours - expected) <= allowed))
    if len(wrong):
        at = tuple(map(int, wrong[0]))
        bound = float(np.broadcast_to(allowed, ours.shape)[at])
        raise AssertionError(
            f"{len(wrong)} of {ours.size} values are off, first at {at}: {ours[at]!r}, {what} is "
            f"{expected[at]!r}, off by {abs(ours[at] - expected[at]):.3g}, allowed {bound:.3g}"
        )


def assert_float_agrees(ours: Any, theirs: np.ndarray, exact: np.ndarray, scale: Any) -> None:
    """float32, float64 and complex arithmetic.

    `theirs` is torch's result and `exact` torch's result in double precision on the same input. Allowed is
    64 eps of `scale`, or twice what torch itself is off.
    """
    assert_like(ours, theirs.shape, theirs.dtype)
    assert_same_special(ours, theirs)
    with np.errstate(invalid="ignore"):
        gap = np.abs(widened(theirs) - widened(exact))
    gap = np.where(np.isfinite(gap), gap, 0.0)
    allowed = np.maximum(EPS_ALLOWED * eps_of(theirs.real.dtype) * scale, 2 * gap)
    assert_within(ours, exact, allowed, "torch in double precision")


def assert_half_agrees(ours: Any, exact: np.ndarray, dtype: np.dtype, scale: Any) -> None:
    """float16 and bfloat16: within 1 ulp of the rounded float64 result.

    They accumulate in float32, so where terms cancel to (almost) nothing, 64 float32 eps of `scale` are
    allowed: 2**-17 of it, 1/128 of a float16 ulp at that size.
    """
    assert_like(ours, exact.shape, dtype)
    with np.errstate(over="ignore"):
        rounded = exact.astype(dtype)
    assert_same_special(ours, rounded)
    finite = np.isfinite(widened(rounded))
    apart = np.where(finite, ulps_apart(np.where(finite, ours, 0).astype(dtype), rounded), 0)
    with np.errstate(invalid="ignore"):
        cancelled = np.abs(widened(ours) - exact) <= EPS_ALLOWED * 2.0**-23 * scale
    wrong = np.argwhere((apart > 1) & ~cancelled)
    if len(wrong):
        at = tuple(map(int, wrong[0]))
        raise AssertionError(
            f"{len(wrong)} of {ours.size} values are off, first at {at}: {ours[at]!r}, the float64 result is "
            f"{exact[at]!r}, {int(apart[at])} ulps apart"
        )


def assert_uint8_agrees(ours: Any, theirs: np.ndarray) -> None:
    """Within one level of torch."""
    assert_like(ours, theirs.shape, theirs.dtype)
    assert_within(ours, theirs, 1.0, "torch's")


def run_all(cases: Iterable[Any], check: Callable[[Any], None]) -> int:
    """Check every case, report all that fail at once (the first five in words), return how many ran."""
    failures, ran = [], 0
    for case in cases:
        ran += 1
        try:
            check(case)
        except Exception as error:  # an unexpected exception is a disagreement like any other
            kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
            failures.append(f"{case}\n    {kind}{str(error).splitlines()[0] if str(error) else ''}")
    if failures:
        listed = "\n".join(failures[:5])
        pytest.fail(f"{len(failures)} of {ran} calls disagree with torch:\n{listed}", pytrace=False)
    return ran


# ----------------------------------------------------------------------------------------------- values


def values(shape: tuple[int, ...], dtype: np.dtype | str, seed: int) -> np.ndarray:
    """Random values of any dtype: floats around -4..4, integers over a part of their range."""
    dtype = dtype_of(dtype) if isinstance(dtype, str) else dtype
    rng = np.random.default_rng([seed, *shape])
    if dtype == np.bool_:
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        low = 0 if dtype.kind == "u" else -100
        return rng.integers(low, 256 if dtype == np.uint8 else 101, shape).astype(dtype)
    if dtype.kind == "c":
        return (rng.uniform(-4, 4, shape) + 1j * rng.uniform(-4, 4, shape)).astype(dtype)
    return rng.uniform(-4, 4, shape).astype(dtype)


def layouts(x: np.ndarray) -> list[np.ndarray]:
    """The same array with gaps, read-only, and with the memory of channels last."""
    frozen = x.copy()
    frozen.setflags(write=False)
    return [
        np.repeat(x, 2, axis=-1)[..., ::2],
        frozen,
        np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1),
    ]


# ------------------------------------------------------------------------------------------ interpolate

# (mode, spatial rank, antialias): every combination that torch 2.13 has.
INTERPOLATE_MODES = (
    *itertools.product(("nearest", "nearest-exact", "area"), (1, 2, 3), (False,)),
    ("linear", 1, False),
    ("bilinear", 2, False),
    ("bilinear", 2, True),
    ("trilinear", 3, False),
    ("bicubic", 2, False),
    ("bicubic", 2, True),
    ("lanczos", 2, True),
)
MOVES = ("nearest", "nearest-exact")
SPATIAL = {1: ((7,), (4,), (1,)), 2: ((5, 8), (4, 7), (1, 6)), 3: ((4, 3, 6), (1, 5, 2))}
SIZES = {
    1: (1, 3, 7, 14, 16, (5,)),
    2: (1, 6, (5, 8), (10, 16), (3, 11), (9, 4), (2, 1)),
    3: (1, 4, (4, 3, 6), (8, 6, 12), (3, 7, 2)),
}
# 1.05 leaves these sizes as they are (o == n) and still changes the coordinates.
SCALES = {
    1: (2, 2.0, 0.5, 1.37, 2.17, 3.0, 0.73, 1.05, (1.6,)),
    2: (2, 0.5, 1.37, 2.17, 3.0, 0.73, 1.05, (2.17, 0.6), (0.8, 2.0), (1.05, 3)),
    3: (2, 0.5, 1.37, 2.17, 3.0, 0.73, 1.05, (2.17, 1.05, 0.6)),
}


def torch_takes(mode: str, rank: int, dtype: str) -> bool:
    """Whether torch interpolates this dtype at all (antialias in float16 and bfloat16 is an extension)."""
    return dtype != "uint8" or mode in MOVES or (rank == 2 and mode != "area")


def aligns(mode: str) -> tuple[bool | None, ...]:
    if mode in (*MOVES, "area"):
        return (None,)
    return (None, False) if mode == "lanczos" else (None, False, True)


def sizes_after(spatial: tuple[int, ...], scale: Any) -> tuple[int, ...]:
    factors = scale if isinstance(scale, tuple) else (scale,) * len(spatial)
    return tuple(math.floor(n * f) for n, f in zip(spatial, factors, strict=True))


@functools.cache
def interpolate_cases(mode: str, rank: int, antialias: bool) -> tuple[tuple[tuple[int, ...], dict], ...]:
    """Every (input shape, keywords) of one mode: the sizes, and the scales with every recompute."""
    requests: list[dict[str, Any]] = [{"size": s} for s in SIZES[rank]]
    for scale, recompute in itertools.product(SCALES[rank], (None, False, True)):
        request = {"scale_factor": scale}
        requests.append(request if recompute is None else {**request, "recompute_scale_factor": recompute})
    cases = []
    for spatial, request, align in itertools.product(SPATIAL[rank], requests, aligns(mode)):
        if "scale_factor" in request and min(sizes_after(spatial, request["scale_factor"])) < 1:
            continue  # torch refuses an empty output: among the rejected calls
        keywords: dict[str, Any] = {**request, "mode": mode}
        if align is not None:
            keywords["align_corners"] = align
        if antialias:
            keywords["antialias"] = True
        cases.append(((2, 3, *spatial), keywords))
    return tuple(cases)


def nearest_sources(n: int, o: int, factor: float | None, exact: bool, dtype: np.dtype) -> np.ndarray:
    """The index that each output of `nearest` (or `nearest-exact`) takes: the documented formula.

    `factor` is the scale factor that the coordinates use, None where they use n / o.
    """
    real = np.float64 if dtype == np.float64 else np.float32
    step = float(real(n) / real(o) if factor is None else real(1.0 / factor))
    position = np.arange(o) * step
    if exact:  # rounded without its last half; NumPy's longdouble multiplies and adds without another rounding
        centre = (np.arange(o) + np.longdouble(0.5)) * np.longdouble(step) - np.longdouble(0.5)
        position = np.maximum(centre.astype(real), 0).astype(np.float64) + 0.5
    position = position.astype(np.float32)
    return np.minimum(np.floor(position).astype(np.int64), n - 1)


def nearest_by_formula(x: np.ndarray, keywords: dict[str, Any]) -> np.ndarray:
    """`nearest` and `nearest-exact` by the documented formula, which torch's 2-d shortcut does not follow."""
    spatial = x.shape[2:]
    scale = keywords.get("scale_factor")
    if scale is None:
        size = keywords["size"]
        sizes = size if isinstance(size, tuple) else (size,) * len(spatial)
    else:
        sizes = sizes_after(spatial, scale)
    used = None if scale is None or keywords.get("recompute_scale_factor") else scale
    factors = used if isinstance(used, tuple) else (used,) * len(spatial)
    for k, (n, o, factor) in enumerate(zip(spatial, sizes, factors, strict=True)):
        x = np.take(x, nearest_sources(n, o, factor, keywords["mode"] == "nearest-exact", x.dtype), 2 + k)
    return x


def takes_shortcut(shape: tuple[int, ...], keywords: dict[str, Any]) -> bool:
    """Whether torch's 2-d `nearest` leaves its formula here: o == n or o == 2n, whatever the factor."""
    scale = keywords.get("scale_factor")
    if keywords["mode"] != "nearest" or len(shape) != 4 or scale is None:
        return False
    if keywords.get("recompute_scale_factor"):
        return False
    outs = sizes_after(shape[2:], scale)
    return any(o in (n, 2 * n) for n, o in zip(shape[2:], outs, strict=True))


def repeats_first_row(shape: tuple[int, ...], keywords: dict[str, Any]) -> bool:
    """Whether torch's antialias fails here: to width 1, every output row repeats the first (floats)."""
    if not keywords.get("antialias"):
        return False
    size = keywords.get("size")
    outs = sizes_after(shape[2:], keywords["scale_factor"]) if size is None else per_axis(size, 2)
    return outs[1] == 1 and outs[0] != 1


def float_by_torch(x: np.ndarray, keywords: dict[str, Any]) -> np.ndarray:
    """torch's float result; by way of the transpose where its antialias repeats the first row."""
    if not repeats_first_row(x.shape, keywords):
        return call("interpolate", x, **keywords)
    swapped = {k: v[::-1] if k in ("size", "scale_factor") and isinstance(v, tuple) else v for k, v in keywords.items()}
    return call("interpolate", x.swapaxes(2, 3), **swapped).swapaxes(2, 3)


def uint8_by_torch(x: np.ndarray, keywords: dict[str, Any]) -> np.ndarray:
    """torch's uint8 result, plane by plane where the output is 1x1.

    There torch 2.13 mistakes several channels for channels_last and stops with an internal assert.
    """
    planes = x.reshape(-1, 1, *x.shape[2:])
    if keywords.get("size") in (1, (1, 1)):
        return call("interpolate", planes, **keywords).reshape(*x.shape[:2], 1, 1)
    return call("interpolate", x, **keywords)


def assert_interpolate_agrees(ours: Any, x: np.ndarray, keywords: dict[str, Any]) -> None:
    """The rule for this mode and dtype, `keywords` being those of the call."""
    name = "bfloat16" if x.dtype == BFLOAT16 else x.dtype.name
    if keywords["mode"] in MOVES:
        shortcut = takes_shortcut(x.shape, keywords)
        expected = nearest_by_formula(x, keywords) if shortcut else call("interpolate", x, **keywords)
        assert_same_bits(ours, expected)
    elif name == "uint8":
        assert_uint8_agrees(ours, uint8_by_torch(x, keywords))
    elif name in HALVES:
        exact = float_by_torch(x.astype(np.float64), keywords)
        assert_half_agrees(ours, exact, x.dtype, largest(x, exact))
    else:
        theirs = float_by_torch(x, keywords)
        exact = theirs if name == "float64" else float_by_torch(x.astype(np.float64), keywords)
        assert_float_agrees(ours, theirs, exact, largest(x, exact))


# ------------------------------------------------------------------------------------------------ pools


def has_empty_window(spatial: tuple[int, ...], out: tuple[int, ...], window: tuple[Any, ...]) -> bool:
    """Whether some window of this pool meets no element of the input; torch returns garbage there."""
    kernel, stride, padding, dilation = (per_axis(w, len(spatial)) for w in window)
    for n, o, k, s, p, d in zip(spatial, out, kernel, stride, padding, dilation, strict=True):
        for i in range(o):
            if not any(0 <= i * s - p + j * d < n for j in range(k)):
                return True
    return False


def per_axis(value: Any, rank: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * rank


def pool_out(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> int:
    """torch's documented output size; a last window must start inside the input or its left padding."""
    span = n + 2 * p - d * (k - 1) - 1
    o = (span + (s - 1 if ceil_mode else 0)) // s + 1
    return o - 1 if ceil_mode and (o - 1) * s >= n + p else o


def special_batches(shape: tuple[int, ...], dtype: str) -> Iterator[tuple[str, np.ndarray]]:
    """For each of NaN, inf and -inf: a batch in which item i is an array with it at position i alone."""
    count = math.prod(shape)
    for name, special in (("NaN", np.nan), ("+inf", np.inf), ("-inf", -np.inf)):
        x = np.tile(values(shape, dtype, 5), (count, *(1,) * len(shape)))
        x.reshape(count, count)[np.arange(count), np.arange(count)] = special
        yield name, x

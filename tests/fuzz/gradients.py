"""The gradients of a call: refused in the package's words, or the transpose of what the reference does.

A call is linear in each of its floating arrays (a pool, given where its maxima lie). So for any ``u`` in the place of
such an array, ``<g, f(u)>`` is ``<gradient by it of g, u>``; with ``f`` the reference, this says that the gradient is
right wherever ``u`` is not zero.
"""

from __future__ import annotations

import inspect
import itertools
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from tolerances import EPS, name_of

import upsample
from fuzz import expected
from fuzz.errors import reads_well
from fuzz.limits import TALLY, attempt
from fuzz.values import numbers

if TYPE_CHECKING:
    from fuzz.checks import Prepared

__all__ = ["check"]

ARRAYS = ("input", "x", "X", "weight", "W", "bias", "b")
"""What has gradients."""
Pick = Callable[[tuple[str, ...]], str]


def check(p: Prepared, result: Any, pick: Pick, much: bool) -> None:
    """Take the call's gradients; `result` is what the call itself came to, `much` whether it may want all memory."""
    wrt = pick(("all",) * 6 + ("one", "nonsense", "number"))
    given = dict(p.given)
    given.pop("out", None)
    names = _arrays_of(p, given)
    options = {"one": names[:1], "nonsense": "nothing", "number": 3}
    extra = {} if wrt == "all" else {"wrt": options[wrt]}
    taken = attempt(lambda: upsample.vjp(p.function, **extra, **given))
    if isinstance(taken, Exception):
        _check_refusal(p, taken, result, wrt)
        return
    assert wrt in ("all", "one"), f"vjp(wrt={wrt}), {p.call}: it was taken"
    assert not isinstance(result, Exception), f"vjp, {p.call}\n    works, and the call raises {result!r}"
    output, pullback = taken
    output = output[0] if isinstance(output, tuple) else output
    if (
        type(output) is not np.ndarray
        or output.ndim > 9
        or output.dtype.name == "bfloat16"
        or math.prod(filter(None, output.shape)) > 1e6
    ):
        return
    _check_hostile(p, pullback, output, pick, much)
    g = np.asarray(numbers(output.dtype.str.lstrip("<>|="), *output.shape, seed=77), dtype=output.dtype)
    grads = attempt(lambda: pullback(g))
    if isinstance(grads, MemoryError) and much:
        return
    assert isinstance(grads, tuple), f"vjp, {p.call}: {grads!r}"
    _check_shapes(p, {name: given[name] for name in names}, grads, wrt)
    if all(_is_small(given[name], given.get("nan") == "omit") for name in names):  # nothing overflows
        _check_transposes(p, g, dict(zip(names, grads, strict=True)))


def _is_small(x: Any, has_holes: bool) -> bool:
    """Whether all numbers are small; NaN is allowed where it counts as missing."""
    size = np.abs(np.asarray(x, dtype=complex))
    return bool(((size < 1e4) | (np.isnan(size) & has_holes)).all())


def _arrays_of(p: Prepared, given: dict[str, Any]) -> list[str]:
    """Names of the arrays, in the order of the signature; what it does not name comes last."""
    order = [*inspect.signature(getattr(p.function, "forward", p.function)).parameters]
    arrays = [name for name in given if name in (*ARRAYS, "indices", "indexes")]  # others may be arrays of numbers
    names = [name for name in arrays if hasattr(given[name], "dtype") and len(getattr(given[name], "shape", ())) > 0]
    return sorted(names, key=lambda name: order.index(name) if name in order else len(order))


def _check_refusal(p: Prepared, error: Exception, result: Any, wrt: str) -> None:
    said = f"vjp(wrt={wrt}), {p.call}\n    raised {type(error).__name__}: {error}"
    if isinstance(error, MemoryError):
        assert isinstance(result, MemoryError), said
        return
    assert reads_well(error), said
    if not isinstance(result, Exception) and wrt == "all":
        assert any(words in str(error) for words in ("integers or bools", "64-bit index")), said


def _check_hostile(p: Prepared, pullback: Any, output: np.ndarray, pick: Pick, much: bool) -> None:
    """A gradient of another shape or dtype, or none at all."""
    kinds: dict[str, Any] = {
        "none": None,
        "number": 1.0,
        "text": "ones",
        "list": output.tolist(),
        "nothing": (),
        "longer": np.ones((*output.shape, 1), output.dtype),
        "integers": np.ones(output.shape, int),
        "objects": np.ones(output.shape, object),
        "masked": np.ma.ones(output.shape, output.dtype),
        "complex": np.ones(output.shape, "c16"),
        "double": np.ones(output.shape, "f8"),
        "swapped": np.ones(output.shape, output.dtype.newbyteorder()) if output.dtype.kind in "fc" else None,
        "nans": np.full(output.shape, np.nan, output.dtype) if output.dtype.kind in "fc" else None,
        "one for all": np.broadcast_to(np.ones((), output.dtype), output.shape),
        "scalar": output.dtype.type(1),
    }
    kind = pick(tuple(kinds))
    grads = attempt(lambda: pullback(kinds[kind]))
    if isinstance(grads, MemoryError) and much:
        return
    if isinstance(grads, Exception):
        said = f"vjp, {p.call}\n    grad_output is {kind}: {type(grads).__name__}: {grads}"
        assert not isinstance(grads, IndexError), said
        assert reads_well(grads), said
        assert kind not in ("double", "swapped", "nans", "one for all") or output.dtype.kind not in "fc", said
    else:
        assert isinstance(grads, tuple), f"vjp, {p.call}\n    grad_output is {kind}: {grads!r}"


def _check_shapes(p: Prepared, arrays: dict[str, Any], grads: tuple[Any, ...], wrt: str) -> None:
    """Like the arrays, and there where they are asked for: of all floating ones, or of the first alone."""
    assert len(grads) == len(arrays), p.call
    for place, ((name, x), grad) in enumerate(zip(arrays.items(), grads, strict=True)):
        floating = x.dtype.kind in "fc" or x.dtype.name == "bfloat16"
        wanted = floating and name in ARRAYS and (wrt == "all" or place == 0)
        assert (grad is not None) == wanted, f"vjp(wrt={wrt}), {p.call}: {name} has {grad}"
        if grad is not None:
            assert (grad.shape, grad.dtype) == (x.shape, x.dtype), f"vjp, {p.call}: {name} {grad.shape} {grad.dtype}"


# ------------------------------------------------------------------------------------------------- the transpose


def _check_transposes(p: Prepared, g: np.ndarray, grads: dict[str, Any]) -> None:
    name, arguments = p.reads
    for argument, grad in grads.items():
        if grad is None or argument not in ARRAYS or grad.size == 0:
            continue
        x = np.asarray(arguments[argument])
        if x.dtype.name == "bfloat16":
            continue
        u = numbers(x.dtype.str.lstrip("<>|="), *x.shape, seed=99) if x.ndim else x
        u = np.asarray(u, dtype=x.dtype.newbyteorder("="))
        is_gone = np.isnan(x) & (arguments.get("nan") == "omit")
        try:
            through = _linear(name, arguments, argument, np.where(is_gone, u.dtype.type(np.nan), u))
        except expected.Unsure:
            continue
        if is_gone.any():  # a missing output has no gradient, nor has a missing sample
            assert not np.asarray(grad)[is_gone].any(), f"vjp, {p.call}: a missing sample has a gradient"
            through, u = np.where(np.isnan(through), 0.0, through), np.where(is_gone, u.dtype.type(0), u)
        _assert_adjoint(p, argument, g, through, grad, u)
        TALLY["gradients"] += 1


def _linear(name: str, arguments: dict[str, Any], argument: str, u: np.ndarray) -> np.ndarray:
    """What the reference makes of `u` in the place of an argument."""
    if re.match(r"(adaptive_)?max_pool", name):
        return _picked(name, arguments, u)
    call = {**arguments, argument: u}
    for key in ("bias", "b"):  # the call is linear without it
        if key in call and key != argument:
            call[key] = None
    if argument in ("bias", "b"):
        first = "x" if "x" in call else "input"
        call[first] = np.zeros_like(expected.held(call[first]))
    if "cval" in call:  # and without the constant
        call["cval"] = 0.0
    if call.get("duplicates", "last") == "last" and call.get("duplicate_grad") == "all":
        call["duplicates"] = "sum"
    return expected.want(name, call).arrays[0]


def _picked(name: str, arguments: dict[str, Any], u: np.ndarray) -> np.ndarray:
    """The elements of `u` that lie where the maxima do."""
    chainer = "pooling" in name
    wanted = expected.want(name, {**arguments, "return_indices": True})
    indices = wanted.arrays[1]
    spatial = u.ndim - 2 if chainer else expected.rank_of(name, u)
    large = u.shape[u.ndim - spatial :]
    if not chainer:
        flat = u.reshape(*u.shape[: u.ndim - spatial], -1)
        at = indices.reshape(*indices.shape[: u.ndim - spatial], -1)
        return np.take_along_axis(flat, at, -1).reshape(indices.shape)
    kernel = expected.each(arguments["ksize"], spatial)
    stride = kernel if arguments.get("stride") is None else expected.each(arguments["stride"], spatial)
    pad = expected.each(arguments.get("pad", 0), spatial)
    picked = np.zeros(indices.shape)
    taps = np.unravel_index(indices, kernel)
    for cell in itertools.product(*map(range, indices.shape)):
        place = tuple(o * s - p + t[cell] for o, s, p, t in zip(cell[2:], stride, pad, taps, strict=True))
        if all(0 <= i < n for i, n in zip(place, large, strict=True)):
            picked[cell] = u[cell[:2] + place]
    return picked


def _assert_adjoint(p: Prepared, argument: str, g: np.ndarray, through: np.ndarray, grad: Any, u: np.ndarray) -> None:
    wide = np.complex128 if any(a.dtype.kind == "c" for a in (g, through, np.asarray(grad), u)) else np.float64
    g, through, grad, u = (np.asarray(a).astype(wide) for a in (g, through, grad, u))
    here, there = np.vdot(g, through), np.vdot(grad, u)
    name = name_of(p.reads[1][argument].dtype)
    name = {"complex64": "float32", "complex128": "float64"}.get(name, name)
    rounded = EPS[name] * float(np.abs(grad * u).sum())
    summed = EPS["float64" if name == "float64" else "float32"]
    most = float(np.abs(through).max(initial=0.0)) + 16 * float(np.abs(u).max(initial=0.0))
    slack = 2 * rounded + 256 * summed * (float(np.abs(g).sum()) * most + float(np.abs(grad * u).sum()))
    said = f"vjp, {p.call}\n    on {p.engine}, by {argument}: <g, f(u)> = {here}, <gradient, u> = {there} ± {slack:.3g}"
    assert np.abs(here - there) <= slack, said

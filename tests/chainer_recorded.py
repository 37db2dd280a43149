"""What the tests against Chainer's recorded calls share: the calls, how many there are, and the comparison."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["COUNTS", "complaints", "difference", "recorded", "rejected"]

FOLDER = Path(__file__).parent / "conformance"
RECORDED = str(FOLDER / "chainer_open")

COUNTS = {
    "deconvolution_1d": (49, 17),
    "deconvolution_2d": (289, 69),
    "deconvolution_3d": (37, 31),
    "deconvolution_nd": (154, 51),
    "depth2space": (49, 6),
    "max_pooling_1d": (47, 13),
    "max_pooling_2d": (317, 60),
    "max_pooling_3d": (38, 20),
    "max_pooling_nd": (165, 22),
    "resize_images": (239, 13),
    "space2depth": (53, 6),
    "unpooling_1d": (38, 8),
    "unpooling_2d": (215, 23),
    "unpooling_3d": (32, 8),
    "unpooling_nd": (156, 7),
    "upsampling_2d": (464, 80),
}
"""By op: calls that Chainer carried out, and calls that it rejected; quirks not counted."""


@functools.cache
def _golden_io() -> ModuleType:
    """The reader that was handed over with the calls."""
    spec = importlib.util.spec_from_file_location("golden_io", FOLDER / "golden_io.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def recorded() -> list[Any]:
    """Calls that Chainer carried out."""
    return _golden_io().load(RECORDED)


@functools.cache
def rejected() -> list[Any]:
    """Calls that it rejected."""
    return _golden_io().load_errors(RECORDED)


def difference(got: Any, want: np.ndarray, tolerance: float) -> str | None:
    """Return None, or in words how a result differs."""
    if type(got) is not np.ndarray or got.shape != want.shape or got.dtype != want.dtype:
        return f"is {type(got).__name__} {got.dtype}{got.shape}, not {want.dtype}{want.shape}"
    if want.dtype.kind != "f":
        return None if np.array_equal(got, want) else "differs"
    got, want = got.astype(np.float64), want.astype(np.float64)
    with np.errstate(invalid="ignore"):
        near = np.abs(got - want) <= tolerance
    same = near | (got == want) | (np.isnan(got) & np.isnan(want))
    if same.all():
        return None
    place = np.unravel_index(np.argmin(same), same.shape)
    return f"differs at {place}: {got[place]}, not {want[place]} ± {tolerance}"


def complaints(case: Any, function: Callable[..., Any], *, wide: bool) -> Iterator[str]:
    """Call a function as Chainer was called, and say what is wrong.

    One that is `wide` may return float64 where Chainer returned other floats.
    """
    before = [a.tobytes() for a in case.args]
    try:
        result = function(*case.args, **case.kwargs)
    except Exception as error:
        yield f"{case}: raised {error!r}"
        return
    got = dict(zip(("y", "indexes"), result, strict=True)) if isinstance(result, tuple) else {"y": result}
    if got.keys() != case.outputs.keys():
        yield f"{case}: returned {sorted(got)}, not {sorted(case.outputs)}"
        return
    for name, want in case.outputs.items():
        made = got[name]
        if wide and want.dtype.kind == "f":
            made, want = made.astype(np.float64), want.astype(np.float64)
        why = difference(made, want, case.tolerance(name))
        if why:
            yield f"{case}: {name} {why}"
    if before != [a.tobytes() for a in case.args]:
        yield f"{case}: an argument was changed"

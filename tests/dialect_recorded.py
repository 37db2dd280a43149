"""Recorded calls of other libraries: TensorFlow, Keras, JAX, SciPy, scikit-image, ONNX.

A file of ``conformance/dialects_open`` is an npz of one JSON document, which lists the calls and the versions of the
libraries that made the results, and one flat array per dtype.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent / "conformance" / "dialects_open"


@dataclass(frozen=True)
class Call:
    """One call and its result.

    Attributes
    ----------
    function : str
        The name of the function in the dialect.
    args : tuple
        Arrays and plain values.
    options : dict
        Plain values by name.
    result : ndarray
        What the original returned.
    tolerance : float
        Levels for integers; for floats, a multiple of the largest magnitude of the input.
    tag : str
        What the call is an example of.
    """

    function: str
    args: tuple[Any, ...]
    options: dict[str, Any]
    result: np.ndarray
    tolerance: float
    tag: str

    def __repr__(self) -> str:
        shown = [f"{a.dtype}{list(a.shape)}" if isinstance(a, np.ndarray) else repr(a) for a in self.args]
        return f"{self.function}({', '.join(shown + [f'{k}={v!r}' for k, v in self.options.items()])})"


@lru_cache(maxsize=2)
def calls(name: str) -> tuple[Call, ...]:
    """Read a file of calls."""
    with np.load(FOLDER / f"{name}.npz") as data:
        document = json.loads(data["doc"].tobytes())
        flat = {key[1:]: data[key] for key in data.files if key != "doc"}

    def array(place: tuple[str, int, list[int]]) -> np.ndarray:
        dtype, begin, shape = place
        return flat[dtype[1:]][begin : begin + math.prod(shape)].reshape(shape)

    def value(given: Any) -> Any:
        if isinstance(given, dict):
            return array(given["a"])
        return tuple(map(value, given)) if isinstance(given, list) else given

    def read() -> Iterator[Call]:
        for c in document["calls"]:
            options = {key: value(v) for key, v in c["kw"].items()}
            yield Call(c["f"], tuple(map(value, c["args"])), options, array(c["out"]), c["tol"], c["tag"])

    return tuple(read())


def fault(call: Call, got: np.ndarray) -> str | None:
    """Return None for a result that is right, otherwise what is wrong with it."""
    want = call.result
    if (got.shape, got.dtype) != (want.shape, want.dtype):
        return f"{got.dtype}{list(got.shape)} instead of {want.dtype}{list(want.shape)}"
    if np.array_equal(got, want, equal_nan=want.dtype.kind == "f"):
        return None
    if want.dtype.kind == "b":
        return "other bools"
    if not np.array_equal(np.isfinite(got), np.isfinite(want)):
        return "not finite in other places"
    unit = 1.0
    if want.dtype.kind == "f":
        unit = max(float(np.abs(np.nan_to_num(np.asarray(call.args[0], np.float64))).max()), 1e-300)
        if call.function == "conv_transpose":
            unit *= float(np.abs(call.args[1]).sum())
    off = float(np.nanmax(np.abs(got.astype(np.float64) - want.astype(np.float64)))) / unit
    return None if off <= call.tolerance else f"off by {off:.3g}, and {call.tolerance:.3g} is allowed"

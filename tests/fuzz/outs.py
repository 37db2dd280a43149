"""The same call with an ``out=`` that suits, or all but suits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fuzz.calls import ARRAYS

if TYPE_CHECKING:
    from fuzz.checks import Prepared

__all__ = ["check"]

Pick = Callable[[tuple[str, ...]], str]
GOOD = ("good", "strided", "mirrored", "misaligned", "file order")
BAD = (
    *("input", "behind the input", "before the input", "read-only", "one for all", "each other", "half", "list"),
    *("another dtype", "swapped", "longer", "flat", "masked", "a number", "three", "indices of another dtype"),
)


def check(p: Prepared, result: Any, pick: Pick, run: Callable[[Prepared], Any]) -> None:
    """Call once more with an `out` of a kind that is picked; `run` calls and checks what is promised of every call."""
    first = next(v for v in p.given.values() if v is not None)
    if not isinstance(first, np.ndarray) or not isinstance(result, (np.ndarray, tuple)):
        return
    kind = pick((*GOOD, *BAD))
    pair = isinstance(result, tuple)
    model = np.asarray(result[0] if pair else result)
    if sum(model.shape) > 10**6 or model.ndim > 60:
        return
    given = _pair(kind, p, model) if pair else _one(kind, p, model)
    before = _bytes(given)
    got = run(type(p)(p.call, p.function, {**p.given, "out": given}, p.says))
    said = f"{p.call}\n    with out= {kind}: "
    if kind in GOOD:
        assert not isinstance(got, Exception), f"{said}{got!r}"
        for made, wanted in zip(*(item if pair else (item,) for item in (got, result)), strict=True):
            np.testing.assert_array_equal(made, wanted, err_msg=said)
        assert all(a is b for a, b in zip(got, given, strict=True)) if pair else got is given, said
    elif isinstance(got, Exception):
        assert _bytes(given) == before, f"{said}it was refused and written to"
    elif kind != "file order":
        assert model.size <= 1 or _fits(given, model), f"{said}it was taken"


def _fits(given: Any, model: np.ndarray) -> bool:
    """Whether an `out` that was meant to be bad is good for this result, such as the input for another dtype's sake."""
    each = given if isinstance(given, tuple) else (given,)
    return all(isinstance(out, np.ndarray) and out.shape == model.shape for out in each)


def _bytes(given: Any) -> Any:
    each = given if isinstance(given, (tuple, list)) else (given,)
    return [x.tobytes() if isinstance(x, np.ndarray) else x for x in each]


def _pair(kind: str, p: Prepared, model: np.ndarray) -> Any:
    indices = np.empty(model.shape, dtype=np.int64)
    if kind == "each other":  # where the maxima end, or where they begin
        memory = np.zeros(2 * model.size * 8 + 8, dtype="u1")
        values = memory[: model.nbytes].view(model.dtype).reshape(model.shape)
        places = memory[model.nbytes // 2 // 8 * 8 :][: model.size * 8].view(np.int64).reshape(model.shape)
        return values, places
    if kind == "half":
        return np.empty_like(model)
    if kind == "list":
        return [np.empty_like(model), indices]
    if kind == "three":
        return np.empty_like(model), indices, indices
    if kind == "indices of another dtype":
        return np.empty_like(model), indices.astype(np.int32)
    return _one(kind, p, model), indices


def _one(kind: str, p: Prepared, model: np.ndarray) -> Any:  # one line a kind
    shape, dtype = model.shape, model.dtype
    inputs = [v for name, v in p.given.items() if name in ARRAYS and isinstance(v, np.ndarray) and v.ndim]
    makers: dict[str, Callable[[], Any]] = {
        "good": lambda: np.empty_like(model),
        "strided": lambda: np.zeros((*shape, 2), dtype=dtype)[..., 1],
        "mirrored": lambda: np.zeros(shape, dtype=dtype)[(slice(None, None, -1),) * len(shape)],
        "misaligned": lambda: np.zeros(model.nbytes + 1, dtype="u1")[1:].view(dtype).reshape(shape),
        "file order": lambda: np.zeros(shape, dtype=dtype, order="F"),
        "input": lambda: inputs[-1] if inputs else None,
        "behind the input": lambda: _in_memory_of(inputs[-1], model, 1) if inputs else 0,
        "before the input": lambda: _in_memory_of(inputs[0], model, 0) if inputs else 0,
        "read-only": lambda: np.broadcast_to(model, shape),
        "one for all": lambda: np.lib.stride_tricks.as_strided(np.zeros(1, dtype=dtype), shape, (0,) * len(shape)),
        "each other": lambda: np.lib.stride_tricks.as_strided(
            np.zeros(sum(shape) + 1, dtype=dtype), shape, (model.itemsize,) * len(shape)
        ),
        "another dtype": lambda: np.zeros(shape, dtype="i2" if dtype != np.int16 else "f4"),
        "swapped": lambda: np.zeros(shape, dtype=dtype.newbyteorder()),
        "longer": lambda: np.zeros((*shape, 1), dtype=dtype),
        "flat": lambda: np.zeros(model.size, dtype=dtype),
        "masked": lambda: np.ma.zeros(shape, dtype=dtype),
        "a number": lambda: 1.0,
        "list": lambda: [0.0],
        "half": lambda: np.zeros(shape, dtype=dtype)[..., :0],
        "three": lambda: (np.zeros(shape, dtype=dtype),) * 3,
        "indices of another dtype": lambda: "out",
    }
    return makers[kind]()


def _in_memory_of(x: np.ndarray, model: np.ndarray, end: int) -> Any:
    """An array of the result's shape and dtype in the memory of an input, at its beginning or its end."""
    flat = x if x.flags.c_contiguous and x.flags.writeable else None
    if flat is None or model.nbytes > x.nbytes or model.nbytes == 0:
        return x
    memory = flat.reshape(-1).view("u1")
    start = (x.nbytes - model.nbytes) // 8 * 8 * end
    return memory[start : start + model.nbytes].view(model.dtype).reshape(model.shape)

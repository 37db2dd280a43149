"""Random calls on Dask arrays in random chunks: the bytes of the same call on NumPy arrays."""

from __future__ import annotations

import os
import random
from typing import Any

import numpy as np
import pytest
from drawn_calls import KINDS, Drawn, chunks_of, draw

import upsample
from upsample.plans import cell_blocks

da = pytest.importorskip("dask.array", reason="dask is not installed")

FLOOR = 2000
EACH = int(os.environ.get("UPSAMPLE_FUZZ_EXAMPLES") or 0) or -(-FLOOR * 11 // (10 * len(KINDS)))  # some are refused


def lazy(call: Drawn, rng: random.Random) -> dict[str, Any]:
    """The arrays of a call in chunks; weights and biases, too."""
    made = {}
    for name, x in call.arrays.items():
        most = {"weight": 2, "bias": 2}.get(name, max(2, 14 // x.ndim))
        chunks = tuple(chunks_of(rng, n, most) for n in x.shape)
        if call.whole:
            chunks = (*chunks[:2], *((n,) for n in x.shape[2:]))
        made[name] = da.from_array(x, chunks=chunks)
    return made


def outcome(run: Any) -> Any:
    try:
        return run()
    except (ValueError, TypeError, IndexError) as error:
        return error


def parts(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("kind", KINDS)
def test_calls(kind: str, record_property: pytest.RecordProperty) -> None:
    compared = 0
    for seed in range(EACH):
        call, rng = draw(kind, seed)
        given = lazy(call, rng)
        want = outcome(lambda call=call: call.function(**call.arrays, **call.beside, **call.options))
        got = outcome(lambda call=call, given=given: call.function(**given, **call.beside, **call.options))
        if isinstance(want, Exception):
            assert type(got) is type(want), (seed, str(call), got)
            continue
        assert not isinstance(got, Exception), (seed, str(call), got)
        for one, other in zip(parts(got), parts(want), strict=True):
            assert (one.shape, one.dtype) == (other.shape, other.dtype), (seed, str(call))
            made = one.compute(scheduler="synchronous")
            assert made.dtype == other.dtype
            said = (seed, str(call), {name: x.chunks for name, x in given.items()})
            assert np.ascontiguousarray(made).tobytes() == np.ascontiguousarray(other).tobytes(), said
        compared += 1
    record_property("compared", compared)
    assert compared >= 0.8 * EACH


FLOATS = ("float32", "float64", "float16", "complex64")


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of weights and biases, too, whose sums have many blocks here."""
    monkeypatch.setattr(cell_blocks, "_CELLS", 20)
    monkeypatch.setattr(cell_blocks, "_POSITIONS", 50)
    compared = 0
    for seed in range(1000, 1000 + EACH // 5):
        call, rng = draw(kind, seed)
        if any(x.dtype.name not in FLOATS for name, x in call.arrays.items() if name not in ("indices", "indexes")):
            continue
        given = lazy(call, rng)
        try:
            want, back = upsample.vjp(call.function, **call.arrays, **call.beside, **call.options)
        except (ValueError, TypeError):
            continue
        got, pull = upsample.vjp(call.function, **given, **call.beside, **call.options)
        first = parts(want)[0]
        grad = np.random.default_rng(seed).standard_normal(first.shape).astype(first.dtype)
        chunked = grad if seed % 2 else da.from_array(grad, chunks=tuple(chunks_of(rng, n, 4) for n in grad.shape))
        if call.whole:
            chunked = grad if seed % 2 else chunked.rechunk(parts(got)[0].chunks)
        for name, one, other in zip((call.arrays | call.beside), pull(chunked), back(grad), strict=True):
            if other is None:
                assert one is None
                continue
            made = np.asarray(one.compute(scheduler="synchronous") if hasattr(one, "compute") else one)
            said = (seed, str(call), name, {key: x.chunks for key, x in given.items()})
            assert (made.dtype, made.shape) == (other.dtype, other.shape), said
            assert np.ascontiguousarray(made).tobytes() == np.ascontiguousarray(other).tobytes(), said
        compared += 1
    assert compared or kind == "shuffle"

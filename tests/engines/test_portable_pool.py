"""The portable pooling by keys, of values and places in one: the bits of pooling without."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import noise

import upsample
from upsample.engines.portable.pool import numpy_packed_keys

WINDOWS = [
    (2, 2, 0, 1),
    (3, 2, 1, 1),
    (3, 1, 1, 2),
    ((5, 1), (1, 3), (2, 0), (1, 1)),
    (4, 5, 2, 1),
    ((1, 7), 1, (0, 3), 1),
]
FLOATS, INTEGERS = ("float32", "float16"), ("int32", "int16", "int8", "uint16", "uint8", "bool")
KINDS = {
    **{f"{name} of both signs": (name, lambda x: x, True) for name in FLOATS},
    "positive": ("float32", abs, True),
    "negative": ("float32", lambda x: -abs(x) - 1, True),
    "infinite": ("float32", lambda x: np.where(x < 0.7, -np.inf, np.where(x > 1, np.inf, x)), True),
    "denormal": ("float32", lambda x: x * 1e-42 + 0, True),
    "many ties": ("float32", lambda x: x.round() + 0, True),
    "zeros of both signs": ("float32", lambda x: x.round(), False),
    "NaN": ("float32", lambda x: np.where(x > 1, np.nan, x), False),
    **{name: (name, lambda x: x * 100, True) for name in INTEGERS},
}


@pytest.mark.parametrize("shape", [(2, 3, 9, 14), (3, 2, 37, 8)], ids=str)
@pytest.mark.parametrize("window", WINDOWS, ids=str)
@pytest.mark.parametrize(("dtype", "made", "by_keys"), KINDS.values(), ids=KINDS)
def test_keys_give_the_same_bits(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, ...], window: Any, dtype: str, made: Any, by_keys: bool
) -> None:
    x = made(noise(*shape)).astype(np.int64 if dtype.startswith("u") else dtype).astype(dtype)
    said = []
    pooled = numpy_packed_keys.PoolKeys.pool
    monkeypatch.setattr(numpy_packed_keys.PoolKeys, "pool", lambda *given: said.append(pooled(*given)) or said[-1])

    def bits() -> list[bytes]:
        return [array.tobytes() for array in upsample.max_pool2d_with_indices(x, *window, engine="portable")]

    monkeypatch.setattr("upsample.engines.portable.pool.driver.pool_small", lambda *given: None)
    got = bits()
    assert said
    assert all(said) == by_keys
    monkeypatch.setattr(numpy_packed_keys.PoolKeys, "suits", staticmethod(lambda *given: False))
    count = len(said)
    assert bits() == got
    assert len(said) == count

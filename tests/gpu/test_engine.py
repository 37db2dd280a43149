"""The CUDA engine on a GPU agrees with the portable one on NumPy arrays."""

from __future__ import annotations

from typing import Any

import backends
import numpy as np
import pytest
import tolerances
from backends import Backend
from dtypes import dtype_of

import upsample
from gpu.calls import CALLS, Call
from upsample.engines.cuda.runtime import device
from upsample.ops import call_cache

pytestmark = pytest.mark.gpu


def as_dtype(values: np.ndarray, dtype: str) -> np.ndarray:
    """Convert what is not an index; numbers past the largest float16 begin again, for infinities compare as NaN."""
    if values.dtype.kind in "iu":
        return values
    folded = np.fmod(values, 2048) if dtype == "float16" and np.abs(values).max() > 2048 else values
    return folded.astype(dtype_of(dtype))


def needs_bfloat16() -> None:
    """Skip where CuPy is older than 14, which has the dtype of ml_dtypes."""
    cupy = pytest.importorskip("cupy")
    if int(cupy.__version__.split(".")[0]) < 14:
        pytest.skip("CuPy before version 14 has no bfloat16")


BY_NAME = {call.id: call for call in CALLS}


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_agrees_with_the_portable_engine(call: Call, backend: Backend) -> None:
    results = call.on(tuple(map(backend.make, call.arrays)), "cuda")
    for got, wanted in zip(results, call.on(call.arrays, "portable"), strict=True):
        assert type(got) is type(backend.make(call.arrays[0]))
        tolerances.assert_close(backend.back(got), wanted, call.exact, margin=4.0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_other_dtypes(call: Call, dtype: str, backend: Backend) -> None:
    if dtype == "bfloat16" and backend.name == "cupy":
        needs_bfloat16()
    arrays = tuple(as_dtype(a, dtype) for a in call.arrays)
    results = call.on(tuple(map(backend.make, arrays)), "cuda")
    for got, wanted in zip(results, call.on(arrays, "portable"), strict=True):
        tolerances.assert_close(backend.back(got), wanted, call.exact, margin=4.0)


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_is_what_a_plain_call_takes(call: Call, backend: Backend) -> None:
    assert upsample.explain(call.function, *map(backend.make, call.arrays)).engine == "cuda"


@pytest.mark.parametrize("call", CALLS, ids=repr)
def test_64_bit_kernels_agree(call: Call, cupy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    arrays = tuple(map(cupy.asarray, call.arrays))
    wanted = call.on(arrays, "cuda")
    with device.of(arrays[0]) as gpu:
        monkeypatch.setattr(gpu, "index_limit", 1)
    call_cache._known.clear()  # a repeated call would launch what it did before
    try:
        for got, same in zip(call.on(arrays, "cuda"), wanted, strict=True):
            tolerances.assert_close(cupy.asnumpy(got), cupy.asnumpy(same), call.exact, margin=4.0)
    finally:
        call_cache._known.clear()


@pytest.mark.parametrize("name", ["nearest", "bicubic", "pool-overlapping", "unpool-apart-last", "conv-k4s2"])
def test_gaps_and_out(name: str, backend: Backend) -> None:
    call = BY_NAME[name]
    arrays = tuple(backend.make(np.repeat(a, 2, axis=-1))[..., ::2] for a in call.arrays)
    wanted = call.on(tuple(map(backend.make, call.arrays)), "cuda")
    blank = tuple(backend.make(np.repeat(backend.back(w), 2, axis=-1))[..., ::2] for w in wanted)
    for b in blank:
        b[...] = 0
    got = call.function(*arrays, engine="cuda", out=blank if len(blank) > 1 else blank[0])
    assert got is blank[0] or all(g is b for g, b in zip(got, blank, strict=True))
    for g, w in zip(blank, wanted, strict=True):
        np.testing.assert_array_equal(backend.back(g), backend.back(w))


def test_the_arrays_device_is_used(cupy: Any) -> None:
    if cupy.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("there is no second CUDA device")
    for call in CALLS:
        with cupy.cuda.Device(1):
            arrays = tuple(map(cupy.asarray, call.arrays))
        results = call.on(arrays, "cuda")
        assert cupy.cuda.Device().id == 0
        for got, wanted in zip(results, call.on(tuple(map(cupy.asarray, call.arrays)), "cuda"), strict=True):
            assert got.device.id == 1
            np.testing.assert_array_equal(cupy.asnumpy(got), cupy.asnumpy(wanted))


def test_torch_tensors_that_are_conjugated_when_read() -> None:
    made = backends.get("torch-cuda")
    x = made.make((np.arange(24) + 1j * np.arange(24)[::-1]).astype("complex64").reshape(2, 1, 3, 4))
    want = made.back(x).conj().repeat(2, axis=2).repeat(2, axis=3)
    np.testing.assert_array_equal(made.back(upsample.interpolate(x.conj(), scale_factor=2, engine="cuda")), want)
    out = made.make(np.zeros((2, 1, 6, 8), dtype="complex64")).conj()
    upsample.interpolate(x.conj(), scale_factor=2, engine="cuda", out=out)
    np.testing.assert_array_equal(made.back(out.resolve_conj()), want)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_torch_tensors_of_other_dtypes(dtype: str) -> None:
    made = backends.get("torch-cuda")
    x = np.random.default_rng(0).integers(0, 2, (2, 3, 5, 7)).astype(dtype)
    got = made.back(upsample.interpolate(made.make(x), scale_factor=2, engine="cuda"))
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, x.repeat(2, axis=2).repeat(2, axis=3))

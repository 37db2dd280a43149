"""The portable engine has the same bits on any number of threads, of its own and of BLAS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from upsample.engines.portable import products
from upsample.engines.portable.products import fits, matmul


def test_threads_do_not_show() -> None:
    """Each number of threads in one process, because what a call prepares is kept; those of BLAS in two processes."""
    found = []
    for count in ("1", "2"):
        env = os.environ | {"OPENBLAS_NUM_THREADS": count}
        script = Path(__file__).with_name("portable_bits.py")
        done = subprocess.run([sys.executable, str(script)], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout))
    assert found[0] == found[1]
    assert len(found[0]) == 12


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("leads", [((), ()), ((3,), (2, 1))], ids=repr)
def test_products_of_integers(dtype: str, leads: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    rng = np.random.default_rng(0)
    for m, k, n in product((1, 2, 63, 65, 300), (1, 5, 129, 1000), (1, 2, 17, 513)):
        a, b = (rng.integers(-9, 9, (*lead, *s)).astype(dtype) for lead, s in zip(leads, ((m, k), (k, n)), strict=True))
        for left in (a, a.swapaxes(-1, -2).copy().swapaxes(-1, -2), np.repeat(a, 2, axis=-1)[..., ::2]):
            np.testing.assert_array_equal(matmul(np, left, b), np.matmul(a, b))


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
def test_every_piece_fits_one_thread(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A product that BLAS receives is one that it makes in the calling thread, for any shape."""
    received: list[tuple[int, int, int]] = []

    class Recorded:
        def __getattr__(self, name: str) -> object:
            return getattr(np, name)

        def matmul(self, a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
            received.append((*a.shape[-2:], b.shape[-1]))
            made = np.zeros((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]), a.dtype)
            return made if out is None else out

    recorded = Recorded()
    monkeypatch.setattr(products, "np", recorded)
    for m, k, n in product((1, 2, 65, 400), (1, 129, 1000, 9000), (1, 2, 33, 300)):
        a, b = np.broadcast_to(np.zeros(1, dtype), (m, k)), np.broadcast_to(np.zeros(1, dtype), (k, n))
        monkeypatch.setattr(products, "_regular", lambda x: x)
        matmul(recorded, a, b)  # type: ignore[arg-type]
    assert len(received) > 50
    assert all(fits(*shape, np.dtype(dtype)) for shape in received)

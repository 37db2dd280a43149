"""A value of an environment variable that means nothing is named in one warning; calls work as without it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from backends import needs_numba

import upsample
from upsample import caches, environment
from upsample.engines import lazy_compile, result_pool

NUMBERS = {
    "UPSAMPLE_CACHE_MIB": (caches.capacity, 64 << 20),
    "UPSAMPLE_KEEP_MIB": (result_pool.capacity, 256 << 20),
    "UPSAMPLE_NUM_THREADS": (upsample.get_num_threads, None),
}
NONSENSE = ("-1", "lots", "1.5", "0x10", "256 MiB", "1e3", "9" * 12)


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "_warned", set())


@pytest.mark.parametrize("text", NONSENSE)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, usual = NUMBERS[name]
    if name == "UPSAMPLE_KEEP_MIB" and not result_pool._POSSIBLE:
        usual = 0
    monkeypatch.delenv(name, raising=False)
    before = call()
    assert usual is None or before == usual
    monkeypatch.setenv(name, text)
    with pytest.warns(
        UserWarning, match=f"^{name}='{text}' is ignored: it must be an integer of at least [01]$"
    ) as seen:
        assert call() == before
    assert [warning.filename for warning in seen] == [__file__]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert call() == before


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_in_spaces(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, " 3 ")
    assert NUMBERS[name][0]() in (3, 3 << 20)


def test_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSAMPLE_COMPILE", "Eager")
    lazy_compile.wish.cache_clear()
    try:
        with pytest.warns(UserWarning, match="UPSAMPLE_COMPILE='Eager' is ignored: it must be one of lazy, eager"):
            assert lazy_compile.wish() == "lazy"
    finally:
        lazy_compile.wish.cache_clear()


@pytest.mark.parametrize("text", ["kernels", "./kernels"])
def test_a_folder(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that cannot be written is noted by `upsample info`: a read-only image need not hear of it in each process."""
    needs_numba()
    from upsample.engines.cpu.runtime import kernel_cache

    monkeypatch.setattr(kernel_cache, "_problems", {})
    monkeypatch.setenv("UPSAMPLE_CACHE_DIR", text)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    kernel_cache.folders.cache_clear()
    try:
        with pytest.warns(UserWarning, match=f"^UPSAMPLE_CACHE_DIR='{text}' is ignored: it must be an absolute path"):
            assert kernel_cache.folders()
    finally:
        kernel_cache.folders.cache_clear()


def test_a_call_names_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSAMPLE_KEEP_MIB", "much")
    x = np.zeros((1, 8, 1024, 1024), np.float32)
    with pytest.warns(UserWarning, match="UPSAMPLE_KEEP_MIB='much' is ignored") as seen:
        first, second = (upsample.interpolate(x, scale_factor=2) for _ in range(2))
    assert len(seen) == 1
    assert (first == second).all()

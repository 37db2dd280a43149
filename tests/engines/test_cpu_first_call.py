"""The kernel for small arrays of new sizes has the bits of those that are chosen when a size comes again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bits.drawn_calls import bits
from drawn import repeatable
from hypothesis import given
from hypothesis import strategies as st

import upsample
from upsample.caches import Cache
from upsample.engines import lazy_compile
from upsample.ops import call_cache

pytest.importorskip("numba", reason="numba is not installed: no compiled engine")
from upsample.engines.cpu.resize import driver, first_call

SPECIAL = (0.0, -0.0, np.nan, np.inf, -np.inf, 1e-42, 3e38)
METHODS = (("linear", False), ("linear", True), ("cubic", False), ("cubic", True), ("lanczos", True), ("area", False))


@pytest.fixture(autouse=True)
def _new_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget all sizes, and choose kernels at the second call, as programs do by default."""
    monkeypatch.setattr(lazy_compile, "wish", lambda: "lazy")
    for module, name in ((driver, "_works"), (driver, "_once"), (call_cache, "_known"), (call_cache, "_seen")):
        monkeypatch.setattr(module, name, Cache())


def values(dtype: str, shape: tuple[int, ...], seed: int) -> Any:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if dtype.startswith("complex") else 0)
    x = x.astype(dtype)
    x.reshape(-1)[rng.integers(0, max(x.size, 1), x.size // 40)] = rng.choice(SPECIAL)
    return x


def called_thrice(monkeypatch: pytest.MonkeyPatch, call: Any) -> list[Any]:
    """Make a call for the first, second and third time; hold that only the first one ran this kernel."""
    made, ran = [], []
    resample = first_call.resample

    def counted(*args: Any) -> None:
        ran.append(len(made))
        resample(*args)

    with monkeypatch.context() as patch, np.errstate(all="ignore"):
        patch.setattr(driver, "resample", counted)
        for _ in range(3):
            made.append(call())
    assert set(ran) == {0}
    return made


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize(("mode", "antialias"), METHODS)
@pytest.mark.parametrize("scale", [2, 1.37, 0.5, 0.3])
def test_the_first_call_has_the_bits_of_the_others(
    monkeypatch: pytest.MonkeyPatch, dtype: str, mode: str, antialias: bool, scale: float
) -> None:
    for axes, shape in (((1, 2), (2, 31, 37)), ((0, 1), (19, 26, 3)), ((0, 2), (21, 2, 40)), ((0,), (90,))):
        x = values(dtype, shape, len(shape))
        made = called_thrice(
            monkeypatch,
            lambda: upsample.resize(x, scale=scale, axes=axes, mode=mode, antialias=antialias, engine="cpu"),  # noqa: B023
        )
        assert bits(made[0]) == bits(made[1]) == bits(made[2])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("mode", "antialias"), METHODS)
@pytest.mark.parametrize("scale", [2, 1.37, 0.5])
def test_gradients(monkeypatch: pytest.MonkeyPatch, dtype: str, mode: str, antialias: bool, scale: float) -> None:
    x = values(dtype, (2, 31, 37), 0)

    def pulled() -> Any:
        y, pullback = upsample.vjp(
            upsample.resize, x, scale=scale, axes=(1, 2), mode=mode, antialias=antialias, engine="cpu"
        )
        return pullback(values(dtype, y.shape, 1))[0]

    made = called_thrice(monkeypatch, pulled)
    assert bits(made[0]) == bits(made[1]) == bits(made[2])


@repeatable(100)
@given(
    sizes=st.lists(st.integers(1, 24), min_size=2, max_size=3),
    outs=st.lists(st.integers(1, 40), min_size=3, max_size=3),
    method=st.sampled_from(METHODS),
    corners=st.booleans(),
    torch=st.booleans(),
    seed=st.integers(0, 1 << 16),
)
def test_any_first_call(
    sizes: list[int], outs: list[int], method: tuple[str, bool], corners: bool, torch: bool, seed: int
) -> None:
    mode, antialias = method
    size, x = tuple(outs[: len(sizes)]), values("float32", (2, 1, *sizes), seed)
    names = {"linear": ("linear", "bilinear", "trilinear"), "cubic": ("", "bicubic", ""), "area": ("area",) * 3}

    def call() -> Any:
        name = names.get(mode, ("", "lanczos", ""))[len(sizes) - 1]
        if torch and name and not (antialias and len(sizes) != 2):
            aligned = corners if mode in ("linear", "cubic") else None
            return upsample.interpolate(
                x, size=size, mode=name, antialias=antialias, align_corners=aligned, engine="cpu"
            )
        return upsample.resize(x, size, axes=range(2, x.ndim), mode=mode, antialias=antialias, engine="cpu")

    driver._works.clear()
    driver._once.clear()
    with np.errstate(all="ignore"):
        assert bits(call()) == bits(call())


def test_out_and_layouts() -> None:
    x = values("float32", (3, 20, 24), 0)
    for kind in (x, x[:, ::-1, ::2], np.asfortranarray(x), x.astype(x.dtype.newbyteorder())):
        for where in ("contiguous", "strided"):
            driver._works.clear()
            driver._once.clear()
            wanted = upsample.resize(np.ascontiguousarray(kind, dtype="f4"), scale=2, axes=(1, 2), engine="portable")
            whole = np.full((*wanted.shape, 2), 7, "f4")
            out = whole[..., 0] if where == "strided" else np.ascontiguousarray(whole[..., 0])
            if kind.dtype.isnative:
                assert upsample.resize(kind, scale=2, axes=(1, 2), out=out, engine="cpu") is out
                np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-5)
                assert (whole[..., 1] == 7).all()
            else:
                made = upsample.resize(kind, scale=2, axes=(1, 2), engine="cpu")
                np.testing.assert_allclose(made, wanted, rtol=1e-5, atol=1e-5)


def test_large_arrays_and_eager_programs_choose_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[int] = []
    monkeypatch.setattr(driver, "resample", lambda *args: ran.append(1))
    upsample.resize(np.ones((700, 700), "f4"), scale=1.5, axes=(0, 1), engine="cpu")
    monkeypatch.setattr(lazy_compile, "wish", lambda: "eager")
    upsample.resize(np.ones((20, 20), "f4"), scale=1.5, axes=(0, 1), engine="cpu")
    assert not ran

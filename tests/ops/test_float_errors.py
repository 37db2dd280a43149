"""No result depends on the caller's np.errstate: calls that overflow, underflow and meet NaN, all errors raised."""

from __future__ import annotations

import importlib
import pkgutil
import time
from collections.abc import Callable

import numpy as np
import pytest
from backends import needs_numba
from cases import CASES, Case

import upsample
from upsample.engines import threads
from upsample.float_errors import quiet

ENGINES = ("portable", "cpu")
DTYPES = ("float16", "float32", "float64")
SPECIAL = (np.nan, np.inf, -np.inf, 0.0)


def hostile(x: np.ndarray, dtype: str) -> np.ndarray:
    """Values at both ends of a dtype's range, subnormal numbers, infinities and NaN among them."""
    info = np.finfo(dtype)
    rng = np.random.default_rng(x.size)
    exponents = rng.integers(info.minexp - 8, info.maxexp, x.shape)
    with np.errstate(all="ignore"):
        made = np.ldexp(rng.uniform(-2.0, 2.0, x.shape), exponents).astype(dtype)
        made.reshape(-1)[rng.permutation(x.size)[: x.size // 8]] = rng.choice(SPECIAL, x.size // 8)
    return made


def bits(function: Callable[[], object]) -> list[bytes]:
    made = function()
    return [x.tobytes() for x in (made if isinstance(made, tuple) else (made,)) if x is not None]


def check(call: Callable[[], object], errors: str) -> list[bytes]:
    with np.errstate(all=errors):
        return bits(call)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", [case for case in CASES if case.arrays[0].dtype.kind == "f"], ids=repr)
def test_a_call_and_its_gradient(case: Case, engine: str, dtype: str) -> None:
    if engine == "cpu":
        needs_numba()
    given = [hostile(x, dtype) if x.dtype.kind == "f" else x for x in case.arrays]

    def call() -> object:
        return case.function(*given, **case.options, engine=engine)

    def gradient() -> object:
        made, pullback = upsample.vjp(case.function, *given, **case.options, engine=engine)
        made = made[0] if isinstance(made, tuple) else made
        return pullback(hostile(made, dtype))

    for function in (call, gradient):
        try:
            wanted = check(function, "ignore")
        except ValueError as error:
            assert "engine=" in str(error)  # noqa: PT017
            return
        assert check(function, "raise") == wanted


@pytest.mark.parametrize("engine", ENGINES)
def test_every_op_of_an_engine_sets_the_state(engine: str) -> None:
    """A task of Dask runs an op in a thread that has its own state."""
    if engine == "cpu":
        needs_numba()
    package = importlib.import_module(f"upsample.engines.{engine}")
    names = [module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    modules = [module for module in map(importlib.import_module, names) if "run" in getattr(module, "__all__", ())]
    assert len(modules) >= 7
    for module in modules:
        assert hasattr(module.run, "__wrapped__"), module.__name__


def test_threads_that_help_set_the_state() -> None:
    def overflow(_: int) -> None:
        with np.errstate():
            states.add(np.geterr()["over"])
        time.sleep(0.001)

    states: set[str] = set()
    threads.each_block(quiet(overflow), 64, 4)
    assert states == {"ignore"}
    states.clear()
    threads.each_block(overflow, 64, 4)
    assert "ignore" in states  # the helpers'

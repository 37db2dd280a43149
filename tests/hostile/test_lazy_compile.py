"""The first calls of a process, before the compiled engine is loaded: which are early, and that no bit changes."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from backends import needs_numba

import upsample
from hostile import worlds
from upsample.caches import Cache
from upsample.engines import lazy_compile
from upsample.ops import call_cache

needs_numba()

CALLS = """
import json, sys
import numpy as np, upsample
from upsample.engines import lazy_compile
rng = np.random.default_rng(0)
photo = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
x = rng.standard_normal((1, 2, 12, 14)).astype(np.float32)
x[0, 0, 3:5, 3:6] = np.nan
values, indices = upsample.max_pool2d_with_indices(x, 2, engine="portable")
CALLS = {
    "photo": lambda **e: upsample.resize(photo, scale=1.7, axes=(0, 1), mode="cubic", antialias=True, **e),
    "nearest": lambda **e: upsample.interpolate(x, scale_factor=3, **e),
    "pool": lambda **e: upsample.max_pool2d_with_indices(x, 3, 2, 1, **e)[1],
    "unpool": lambda **e: upsample.max_unpool2d(values, indices, 2, **e),
}
loaded = lambda: "numba" in sys.modules
"""


def test_small_scripts_never_load_numba() -> None:
    code = CALLS + (
        "results = [[call().tobytes() for call in CALLS.values()] for _ in range(3)]\n"
        "before = loaded()\n"
        "compiled = [call(engine='cpu').tobytes() for call in CALLS.values()]\n"
        "print(json.dumps({'before': before, 'same': all(each == compiled for each in results), 'after': loaded()}))"
    )
    assert worlds.said(code, UPSAMPLE_COMPILE="lazy") == {"before": False, "same": True, "after": True}


def test_work_pays_for_loading() -> None:
    """Only the next call loads: what was called before may have been all. Then the same call runs compiled."""
    code = CALLS + (
        "lazy_compile.SECONDS = 1e-9\n"
        "results, steps = set(), []\n"
        "for _ in range(3):\n"
        "    results.add(CALLS['photo']().tobytes())\n"
        "    steps.append(loaded())\n"
        "print(json.dumps({'steps': steps, 'results': len(results), 'spent': lazy_compile._spent[0] > 0}))"
    )
    got = worlds.said(code, UPSAMPLE_COMPILE="lazy")
    assert got == {"steps": [False, True, True], "results": 1, "spent": True}


@pytest.mark.parametrize("wish", ["lazy", "eager", "never"])
def test_what_is_asked_for(wish: str) -> None:
    code = CALLS + (
        "CALLS['photo']()\n"
        "first = loaded()\n"
        "upsample.interpolate(x, scale_factor=2, mode='bilinear')\n"
        "choice = upsample.explain(CALLS['photo'])\n"
        "why = choice.reasons.get('cpu')\n"
        "print(json.dumps({'first': first, 'then': loaded(), 'engine': choice.engine, 'why': why}))"
    )
    assert (
        worlds.said(code, UPSAMPLE_COMPILE=wish)
        == {
            "lazy": {"first": False, "then": True, "engine": "cpu", "why": None},
            "eager": {"first": True, "then": True, "engine": "cpu", "why": None},
            "never": {
                "first": False,
                "then": False,
                "engine": "portable",
                "why": "UPSAMPLE_COMPILE=never is set: unset it",
            },
        }[wish]
    )


@pytest.fixture
def at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if nothing were loaded, and all calls early that may be."""
    monkeypatch.delitem(sys.modules, lazy_compile._COMPILER, raising=False)
    monkeypatch.setattr(lazy_compile, "wish", lambda: "lazy")
    monkeypatch.setattr(lazy_compile, "SECONDS", 1e9)
    monkeypatch.setattr(call_cache, "_known", Cache())  # a call that an earlier test made asks no engine


@pytest.mark.usefixtures("at_the_start")
def test_what_is_early() -> None:
    """Sums of floats have other bits on the other engine, and so has what other libraries hold."""
    from upsample.engines import dispatch

    chosen: list[bool] = []
    original = lazy_compile.is_early

    def noted(*given: Any) -> bool:
        chosen.append(original(*given))
        return chosen[-1]

    x = np.ones((1, 1, 4, 4), dtype=np.float32)
    values, indices = upsample.max_pool2d_with_indices(x, 2, engine="portable")
    calls = {
        True: [
            lambda: upsample.interpolate(x, scale_factor=2),
            lambda: upsample.resize(x.astype(np.int16), scale=2, axes=(2, 3), mode="linear"),
            lambda: upsample.max_pool2d(x, 2),
            lambda: upsample.max_unpool2d(values, indices, 2),
        ],
        False: [
            lambda: upsample.interpolate(x, scale_factor=2, mode="bilinear"),
            lambda: upsample.max_unpool2d(values, indices, 2, duplicates="sum"),
            lambda: upsample.conv_transpose2d(x, x),
        ],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch.lazy_compile, "is_early", noted)
        for expected, some in calls.items():
            for call in some:
                chosen.clear()
                call()
                assert chosen[0] is expected


@pytest.mark.usefixtures("at_the_start")
@pytest.mark.parametrize("seed", range(12))
def test_early_results_are_those_of_the_compiled_engine(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 40, 2))
    out = tuple(int(n) for n in rng.integers(1, 90, 2))
    for dtype in sorted(lazy_compile._INTEGERS):
        about = np.iinfo(dtype)
        x = rng.integers(about.min, about.max, (*shape, 3) if seed % 2 else (3, *shape), dtype=dtype, endpoint=True)
        axes = (0, 1) if seed % 2 else (1, 2)
        for mode in ("nearest", "linear", "cubic", "area", "lanczos"):
            antialias = mode == "lanczos" or (mode in ("linear", "cubic") and seed % 3 == 0)
            call = dict(axes=axes, mode=mode, antialias=antialias)
            first = upsample.resize(x, out, **call)
            assert first.tobytes() == upsample.resize(x, out, engine="cpu", **call).tobytes(), (dtype, mode)

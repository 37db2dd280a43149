"""Random calls on Dask arrays in random chunks: the bytes of the same call on NumPy arrays."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from drawn_calls import KINDS, Drawn, chunks_of, draw

import upsample
from upsample.plans import cell_blocks
from upsample.plans.window import WindowAxis

da = pytest.importorskip("dask.array", reason="dask is not installed")
from upsample.engines.dask import resize  # noqa: E402

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


@pytest.mark.parametrize("kind", ["interpolate", "resize"])
def test_slabs_are_resampled_block_by_block(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As large ones are where no output needs two blocks: the blocks are not copied, and the bits are the same."""
    found = []
    function = resize._parts
    monkeypatch.setattr(resize, "_LARGE", 0)
    monkeypatch.setattr(resize, "_parts", lambda *given: found.append(function(*given)) or found[-1])
    for seed in range(5000, 5000 + EACH // 4):
        call, rng = draw(kind, seed)
        want, given = outcome(lambda call=call: call.function(**call.arrays, **call.options)), lazy(call, rng)
        if not isinstance(want, Exception):
            made = call.function(**given, **call.options).compute(scheduler="synchronous")
            assert made.tobytes() == np.ascontiguousarray(want).tobytes(), (seed, str(call))
    assert sum(parts is not None for parts in found) > 50
    assert None in found


FLOATS = ("float32", "float64", "float16", "complex64")


@pytest.mark.parametrize("kind", KINDS)
def test_gradients(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients have NumPy's bits, also by weight and bias, whose sums have many blocks here."""
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


def differing(kinds: tuple[str, ...], seeds: range) -> int:
    """Return how many results do not have the bytes of the call on NumPy arrays, or are an error."""
    count = 0
    for kind in kinds:
        for seed in seeds:
            call, rng = draw(kind, seed)
            given = lazy(call, rng)
            want = outcome(lambda call=call: call.function(**call.arrays, **call.beside, **call.options))
            if isinstance(want, Exception):
                continue
            got = outcome(lambda call=call, given=given: call.function(**given, **call.beside, **call.options))
            for one, other in zip(parts(got), parts(want), strict=True):
                made = outcome(lambda one=one: one.compute(scheduler="synchronous"))
                same = not isinstance(made, Exception) and made.tobytes() == np.ascontiguousarray(other).tobytes()
                count += not same
    return count


def test_a_halo_short_by_one_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def short(rule: Any, begin: int, end: int) -> tuple[int, int]:
        low, high = needs(rule, begin, end)
        return (low, high - 1) if high - low > 1 and end < rule.out_size else (low, high)

    def shorter(axis: Any, begin: int, end: int) -> tuple[int, int]:
        low, high = reads(axis, begin, end)
        return (low, high - 1) if high - low > 1 and end < axis.small else (low, high)

    needs, reads = resize.needs, WindowAxis.needs
    assert not differing(("resize", "pool"), range(40))
    monkeypatch.setattr(resize, "needs", short)
    assert differing(("resize",), range(40))
    monkeypatch.setattr(WindowAxis, "needs", shorter)
    assert differing(("pool",), range(40))


def test_a_table_made_anew_for_the_slab_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slab that is resampled as if it were an image has other weights at its borders."""

    def anew(plan: Any, ranges: dict[int, tuple[int, int]], order: tuple[int, ...]) -> Any:
        cut = []
        for axis, rule in zip(plan.axes, plan.rules, strict=True):
            (low, high), (begin, end) = resize.needs(rule, *ranges[axis]), ranges[axis]
            cut.append(replace(rule, in_size=high - low, out_size=end - begin))
        return replace(plan, rules=tuple(cut), order=order)

    monkeypatch.setattr(resize, "part_of_plan", anew)
    assert differing(("resize",), range(40))


def test_an_order_of_axes_left_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Then a slab is filtered in the order that its own size suggests."""
    monkeypatch.setattr(resize, "_order", lambda plan, x: plan.order)
    assert differing(("resize", "interpolate"), range(150))

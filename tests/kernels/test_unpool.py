"""Max-unpooling on the CUDA engine: the portable engine's bits and errors, whatever the indices say."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import pytest
from backends import LAYOUTS, get
from cases import CASES, Case, noise
from drawn import bits, indices_of, outcome, unpools
from dtypes import MOVABLE, dtype_of
from emulator import trials
from emulator.device import EmulatedDevice
from emulator.preloaded import SANITIZER
from emulator.trials import examples, faults_are_planted
from hypothesis import given
from hypothesis import strategies as st

import upsample
import upsample.chainer
from upsample.engines.cuda.runtime.device import emulating
from upsample.engines.cuda.unpool import driver as cuda
from upsample.engines.portable.unpool import driver as portable
from upsample.plans.window import UnpoolPlan, WindowAxis

UNPOOLS = [case for case in CASES if "max_unpool" in case.id or "upsampling" in case.id]
NAMES = ("max_unpool", "indices")


def entries(gpu: EmulatedDevice) -> list[str]:
    """Names of the kernels that ran since the last call, without the op's."""
    return [name.removeprefix("unpool_") for name in trials.entries(gpu)]


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("case", UNPOOLS, ids=repr)
def test_agrees_with_reference_and_portable(gpu: EmulatedDevice, case: Case, kind: str) -> None:
    args = tuple(get(kind).make(a) for a in case.arrays)
    before = [a.copy() for a in args]
    got = case.function(*args, **case.options, engine="cuda")
    assert bits(got) == bits(case.function(*args, **case.options, engine="portable"))
    np.testing.assert_array_equal(got, case.expected(*case.arrays))
    for a, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, b)


@examples(120)
@given(
    unpools(axes=3),
    st.sampled_from(MOVABLE),
    st.sampled_from(["int8", "int16", "int32", "int64", "uint64"]),
    st.sampled_from(["own", "own", "legal", "distinct", "beyond", "anywhere"]),
    st.integers(0, 2**31),
    st.booleans(),
    st.booleans(),
)
def test_equals_portable(
    gpu: EmulatedDevice,
    plan: UnpoolPlan,
    dtype: str,
    index: str,
    kind: str,
    seed: int,
    small_limit: bool,
    with_out: bool,
) -> None:
    if plan.duplicates == "sum" and dtype == "bool":
        dtype = "uint16"
    rng = np.random.default_rng(seed)
    shape = (3, 1, *plan.small_shape)
    x = rng.integers(1, 5, shape).astype(dtype_of(dtype))  # small integers: their sums are exact in any order
    indices = indices_of(kind, plan, rng, 3).reshape(shape).astype(index)
    gpu.index_limit = 20 if small_limit else 2**31
    out = [np.full((3, 1, *plan.large_shape), 1, x.dtype) if with_out else None for _ in range(2)]
    got = outcome(cuda.run, plan, x, indices, out[0], NAMES)
    assert got == outcome(portable.run, plan, x, indices, out[1], NAMES)
    if len(got) == 2:
        assert out[0] is None or (out[0] == 1).all()  # an error leaves out= as it was
    for launch in gpu.launches:
        assert dict(launch.kernel.macros).get("INDEX", "int64") == ("int64" if small_limit else "int") or (
            launch.kernel.entry in ("unpool_runs", "unpool_scatter")
        )
    gpu.launches.clear()


@pytest.mark.parametrize("dtype", MOVABLE)
@pytest.mark.parametrize("rule", ["last", "sum"])
def test_every_dtype(gpu: EmulatedDevice, dtype: str, rule: str) -> None:
    """By every path, in both index types."""
    if (dtype, rule) == ("bool", "sum"):
        pytest.skip("bools do not add")
    rng = np.random.default_rng(1)
    tiles = UnpoolPlan((WindowAxis(6, 3, 2, 2, 0, 1), WindowAxis(32, 16, 2, 2, 0, 1)), False, rule, True, True)
    overlap = UnpoolPlan((WindowAxis(7, 3, 3, 2, 0, 1), WindowAxis(32, 16, 3, 2, 1, 1)), False, rule, True, True)
    for plan in (tiles, overlap):
        x = rng.integers(0, 2 if dtype == "bool" else 99, (2, *plan.small_shape)).astype(dtype_of(dtype))
        for indices in (indices_of("own", plan, rng, 2), indices_of("legal", plan, rng, 2)):
            want = bits(portable.run(np, plan, x, indices, None, NAMES))
            for gpu.index_limit in (2**31, 20):
                assert bits(cuda.run(np, plan, x, indices, None, NAMES)) == want


def test_which_kernels_run(gpu: EmulatedDevice) -> None:
    """The fast path looks at the indices while it writes; only indices outside their windows are sorted."""
    x = noise(2, 6, 8)
    tiles = UnpoolPlan((WindowAxis(12, 6, 2, 2, 0, 1), WindowAxis(16, 8, 2, 2, 0, 1)), False, "last", True, True)
    own = indices_of("own", tiles, np.random.default_rng(0), 2)
    upsample.max_unpool2d(x, own, 2, engine="cuda")
    assert entries(gpu) == ["tiles"]
    upsample.max_unpool2d(x, own, 2, engine="cuda", check_indices=False)
    assert entries(gpu) == ["tiles"]
    upsample.max_unpool2d(x, own, 2, engine="cuda", out=np.empty((2, 12, 16), np.float32))
    assert entries(gpu) == ["check", "tiles"]
    upsample.max_unpool2d(x, own, 2, engine="cuda", output_size=(12, 17))
    assert entries(gpu) == ["check", "runs"]
    upsample.max_unpool2d(x[..., :7], own[..., :7], 2, engine="cuda", check_indices=False)
    assert entries(gpu) == ["gather"]
    upsample.max_unpool2d(x, own[:, ::-1], 2, engine="cuda")
    assert entries(gpu) == ["tiles", "runs"]
    upsample.max_unpool2d(x, own[:, ::-1], 2, engine="cuda", deterministic=False)
    assert entries(gpu) == ["tiles", "scatter"]
    upsample.max_unpool2d(x, own[:, ::-1], 2, engine="cuda", deterministic=False, duplicates="sum")
    assert entries(gpu) == ["tiles", "runs"]
    upsample.max_unpool2d(x[None][:0], own[None][:0], 2, engine="cuda")
    assert entries(gpu) == []


def test_in_any_order(gpu: EmulatedDevice) -> None:
    """Distinct indices leave no choice; of cells that name one position, any wins."""
    rng = np.random.default_rng(0)
    x = np.arange(1.0, 31.0).reshape(1, 5, 6)
    distinct = rng.permutation(120)[:30].reshape(x.shape)
    got = upsample.max_unpool2d(x, distinct, 2, engine="cuda", deterministic=False)
    assert entries(gpu)[-1] == "scatter"
    assert bits(got) == bits(upsample.max_unpool2d(x, distinct, 2, engine="portable", deterministic=False))
    if SANITIZER == "thread":
        return  # the race is meant
    same = upsample.max_unpool2d(x, np.full(x.shape, 77), 2, engine="cuda", deterministic=False).reshape(-1)
    assert same[77] in x
    same[77] = 0
    assert not same.any()


def test_more_pieces_and_planes_than_threads(gpu: EmulatedDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every thread steps over pieces, and over planes; verdicts come from all of them."""
    monkeypatch.setattr(cuda, "BLOCKS", 1)
    gpu.processors = 3  # no other test has three: plans are cached
    rng = np.random.default_rng(0)
    for gpu.index_limit in (2**31, 20):
        for planes, small, window in ((1, (40, 64), (2, 2)), (900, (2, 4), (2, 2)), (3, (40, 33), (3, 2))):
            axes = tuple(WindowAxis((n - 1) * window[1] + window[0], n, *window, 0, 1) for n in small)
            plan = UnpoolPlan(axes, False, "last", True, True)
            x, indices = noise(planes, *small), indices_of("own", plan, rng, planes)
            assert bits(cuda.run(np, plan, x, indices, None, NAMES)) == bits(
                portable.run(np, plan, x, indices, None, NAMES)
            )
            assert all(launch.grid[0] * launch.grid[1] <= 3 for launch in gpu.launches)
            indices[-1, -1, -1] = math.prod(plan.large_shape)
            with pytest.raises(IndexError, match=rf"\[{planes - 1}, {small[0] - 1}, {small[1] - 1}\]"):
                cuda.run(np, plan, x, indices, None, NAMES)


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("width", [16, 17, 18])
@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 1), (3, 3, 0), (1, 3, 0)])
def test_rows_of_any_alignment(gpu: EmulatedDevice, width: int, start: int, window: tuple[int, int, int]) -> None:
    """Rows, the input, its indices or the result that do not begin at multiples of 16 bytes."""
    pooled = upsample.max_pool2d_with_indices(noise(3, 11, width), *window, engine="portable")
    x, indices = (np.concatenate([a.reshape(-1)[:start], a.reshape(-1)])[start:].reshape(a.shape) for a in pooled)
    want = upsample.max_unpool2d(x, indices, *window, (11, width), engine="portable")
    out = np.full(want.size + start, 7, np.float32)[start:].reshape(want.shape)
    assert bits(upsample.max_unpool2d(x, indices, *window, (11, width), engine="cuda")) == bits(want)
    assert upsample.max_unpool2d(x, indices, *window, (11, width), engine="cuda", out=out) is out
    assert bits(out) == bits(want)


@pytest.mark.parametrize("change", [np.asfortranarray, lambda a: a[..., ::-1]], ids=["fortran", "reversed"])
def test_out(gpu: EmulatedDevice, change: Any) -> None:
    x, indices = noise(2, 3, 4, 8), np.tile(np.arange(32).reshape(4, 8) * 4, (2, 3, 1, 1))
    want = upsample.max_unpool2d(x, indices, 2, engine="portable")
    out = change(np.full(want.shape, 1, x.dtype))
    assert upsample.max_unpool2d(x, indices, 2, engine="cuda", out=out) is out
    np.testing.assert_array_equal(out, want)


def test_bits_are_moved(gpu: EmulatedDevice) -> None:
    """Payloads of NaN, both zeros and infinities arrive as they are."""
    given_bits = np.asarray([[[0x7FC00123, 0xFF800000], [0x80000000, 0xFFC00001]]], dtype=np.uint32)
    for indices in ([[[0, 3], [8, 11]]], [[[3, 0], [11, 8]]]):  # in their windows, and not
        got = upsample.max_unpool2d(given_bits.view(np.float32), np.asarray(indices), 2, engine="cuda")
        places = np.asarray(indices).reshape(-1)
        np.testing.assert_array_equal(got.view(np.uint32).reshape(-1)[places], given_bits.reshape(-1))


def test_sums_in_float32(gpu: EmulatedDevice) -> None:
    """2048 + 1 + 1 is 2048 in float16, step by step."""
    x = np.asarray([[2048.0, 1.0, 1.0]], dtype=np.float16)
    sorted_ones = upsample.max_unpool1d(x, np.zeros((1, 3), dtype=int), 2, duplicates="sum", engine="cuda")
    gathered = upsample.max_unpool1d(x, np.full((1, 3), 2), 3, 1, duplicates="sum", engine="cuda")
    assert (entries(gpu), sorted_ones[0, 0], gathered[0, 2]) == (["check", "runs", "check", "gather"], 2050.0, 2050.0)


def test_error_names_the_first(gpu: EmulatedDevice) -> None:
    for place in (0, 7, 500):
        indices = np.zeros((1, 2, 20, 24), dtype=np.int64)
        indices.reshape(-1)[place::150] = 40 * 48
        for out in (None, np.ones((1, 2, 40, 48), np.float32)):
            messages = []
            for engine in ("cuda", "portable"):
                with pytest.raises(IndexError) as raised:
                    upsample.max_unpool2d(np.zeros((1, 2, 20, 24), np.float32), indices, 2, engine=engine, out=out)
                messages.append(str(raised.value))
            assert messages[0] == messages[1]
            assert out is None or (out == 1).all()


TILES, OVERLAP = (2, 2, 0), (3, 2, 1)


@pytest.mark.parametrize("window", [TILES, OVERLAP])
def test_a_later_check(gpu: EmulatedDevice, window: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """No call waits; what one finds, the next one or `synchronize` raises, once."""
    monkeypatch.setattr(gpu, "wait", lambda: pytest.fail("the call waited"))
    values, own = upsample.max_pool2d_with_indices(noise(2, 16, 16), *window, engine="portable")
    later: Any = partial(upsample.max_unpool2d, output_size=(16, 16), check_indices="later", engine="cuda")
    whole = upsample.max_unpool2d(values, own, *window, (16, 16), engine="portable")
    want = bits(whole)
    entries(gpu)
    assert bits(later(values, own, *window)) == want
    assert entries(gpu) == (["tiles"] if window == TILES else ["check", "gather"])
    for changed, says in ((own.max() + 200, r"outside the output plane \(16, 16\)"), (0, "outside its cell's window")):
        bad = own.copy()
        bad[-1, -1, -1] = changed
        got = later(values, bad, *window)
        np.testing.assert_array_equal(got[0], whole[0])
        with pytest.raises(IndexError, match=rf"max_unpool2d: indices=<of an earlier call>, but .*{says}"):
            later(values, own, *window)
        assert bits(later(values, own, *window)) == want
        later(values, bad, *window)
        with pytest.raises(IndexError, match=says):
            upsample.synchronize()
        upsample.synchronize()


def test_a_later_check_where_duplicates_are_errors(gpu: EmulatedDevice) -> None:
    """They are looked for at once where windows overlap, and cannot be where they do not."""
    later: Any = partial(upsample.max_unpool2d, check_indices="later", duplicates="error", engine="cuda")
    x = np.ones((1, 2, 8), np.float32)
    with pytest.raises(ValueError, match="an earlier cell"):
        later(x, np.full(x.shape, 2), 3, 2)
    later(x, np.zeros(x.shape, np.int64), 2)
    with pytest.raises(IndexError, match="of an earlier call"):
        upsample.synchronize()


def test_gradients_of_a_later_check_look_at_nothing(gpu: EmulatedDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "wait", lambda: pytest.fail("the call waited"))
    values, own = upsample.max_pool2d_with_indices(noise(2, 17, 17), *OVERLAP, engine="portable")
    gradients = []
    for engine, check in (("cuda", "later"), ("portable", True)):
        call: Any = partial(upsample.max_unpool2d, check_indices=check, output_size=(17, 17), engine=engine)
        y, pull = upsample.vjp(partial(call, kernel_size=3, stride=2, padding=1), values, own)
        gradients.append(bits(pull(np.ones_like(y))[0]))
    assert gradients[0] == gradients[1]


FAULTS = [
    (TILES, "own", "out[2 * n] = left ?", "out[2 * n] = right ?"),
    (TILES, "own", "row = piece.row * g.kernel[1];", "row = piece.depth * g.kernel[1];"),
    (TILES, "far", "found[n] = g.local;", "found[n] = true;"),
    (OVERLAP, "own", "row_cell + b * g.cell_step[1]", "row_cell"),
    (OVERLAP, "own", "return here ? static_cast<uint32>(at) : N;", "return here ? static_cast<uint32>(at) + 1 : N;"),
    (OVERLAP, "own", "value = v; }", "if (value == 0) value = v; }"),
    (OVERLAP, "own", "in_window(at[1] - row,", "in_window(at[1] - column,"),
    (OVERLAP, "near", "is_below(offset, g.reach[axis])", "is_below(offset, g.reach[axis] + 1)"),
    (OVERLAP, "far", "if (verdict == Own) return;", "if (verdict != Illegal) return;"),
    (OVERLAP, "far", "if (p + 1 < count && keys[order[p + 1]] == key) continue;", ""),
    (OVERLAP, "far", "made.take(values[order[q]])", "made.take(values[q])"),
    (OVERLAP, "any", "result[keys[p]] = values[p]", "result[p] = values[keys[p] % count]"),
]  # fmt: skip


def placed(kind: str, pooled: np.ndarray) -> np.ndarray:
    """Indices in a 16 by 16 plane: in their windows, one past their ends, anywhere by twos, or anywhere."""
    if kind == "own":
        return pooled
    if kind == "near":
        row, column = np.mgrid[:8, :8] * 2
        return np.stack([row * 16 + np.minimum(column + 2, 15)] * 2)
    anywhere = np.stack([np.random.default_rng(plane).permutation(256)[:64] for plane in range(2)])
    return (anywhere // 2 * 2 if kind == "far" else anywhere).reshape(pooled.shape)


@faults_are_planted
@pytest.mark.parametrize(("window", "kind", "old", "new"), FAULTS, ids=range(len(FAULTS)))
def test_planted_faults_are_caught(window: tuple[int, int, int], kind: str, old: str, new: str) -> None:
    """By other numbers; or, where the indices' check goes wrong and the sort mends it, by the kernels that run."""
    x = noise(2, 8, 8, seed=1)
    pooled = upsample.max_pool2d_with_indices(noise(2, 16, 16), *window, engine="portable")[1]
    results = []
    for fault in (None, (old, new)):
        gpu = EmulatedDevice(fault=fault, order=1)
        with emulating(gpu):
            got = upsample.max_unpool2d(
                x, placed(kind, pooled), *window, (16, 16), deterministic=kind != "any", engine="cuda"
            )
        results.append((bits(got), entries(gpu)))
    assert results[0][0] == bits(upsample.max_unpool2d(x, placed(kind, pooled), *window, (16, 16), engine="portable"))
    assert results[0] != results[1]

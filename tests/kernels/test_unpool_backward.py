"""The transpose of max-unpooling on the CUDA engine: the portable engine's bits, whatever the indices say."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import noise
from drawn import bits, indices_of, outcome, unpools
from dtypes import MOVABLE, dtype_of
from emulator.device import EmulatedDevice
from emulator.trials import entries, examples, faults_are_planted
from hypothesis import given
from hypothesis import strategies as st

import upsample
from upsample import chainer
from upsample.engines.cuda.runtime.device import emulating
from upsample.engines.cuda.unpool import backward as cuda
from upsample.engines.cuda.unpool import driver as cuda_unpool
from upsample.engines.portable.unpool import backward as portable
from upsample.engines.portable.unpool import driver as portable_unpool
from upsample.plans.window import SpanAxis, UnpoolPlan, WindowAxis

TILES = UnpoolPlan((WindowAxis(6, 3, 2, 2, 0, 1), WindowAxis(32, 16, 2, 2, 0, 1)), False, "last", True, True)
OVERLAP = UnpoolPlan((WindowAxis(7, 3, 3, 2, 0, 1), WindowAxis(31, 16, 3, 2, 1, 1)), False, "last", True, True)


@examples(150)
@given(
    unpools(axes=3),
    st.sampled_from(["last", "last", "sum", "error"]),
    st.booleans(),
    st.sampled_from(MOVABLE),
    st.sampled_from(["int8", "int16", "int32", "int64", "uint64"]),
    st.sampled_from(["own", "own", "legal", "beyond", "anywhere"]),
    st.integers(0, 2**31),
    st.booleans(),
)
def test_equals_portable(
    gpu: EmulatedDevice,
    plan: UnpoolPlan,
    duplicates: str,
    trusted: bool,
    dtype: str,
    index: str,
    kind: str,
    seed: int,
    small_limit: bool,
) -> None:
    rng = np.random.default_rng(seed)
    trusted &= kind == "own" and "64" in index and all(axis.every_window_has_an_element() for axis in plan.windows)
    plan = replace(plan, duplicates=duplicates, trusted=trusted)
    plan = replace(plan, check_indices=plan.check_indices and not plan.local_indices)  # else portable looks once more
    indices = indices_of(kind, plan, rng, 3).astype(index)
    y = rng.integers(0, 2 if dtype == "bool" else 99, (3, *plan.large_shape)).astype(dtype_of(dtype))
    gpu.index_limit = 20 if small_limit else 2**31
    gpu.launches.clear()
    assert outcome(cuda.run, plan, y, indices) == outcome(portable.run, plan, y, indices)
    for launch in gpu.launches:
        if launch.kernel.entry == "gather_cells":
            assert dict(launch.kernel.macros)["INDEX"] == ("int64" if small_limit else "int")


@pytest.mark.parametrize("dtype", MOVABLE)
@pytest.mark.parametrize("rule", ["last", "sum"])
def test_every_dtype(gpu: EmulatedDevice, dtype: str, rule: str) -> None:
    """By every path, in both index types; noughts with a sign, infinities and NaN among the values."""
    rng = np.random.default_rng(1)
    for plan in (replace(p, duplicates=rule) for p in (TILES, OVERLAP)):
        y = rng.integers(0, 2 if dtype == "bool" else 99, (2, *plan.large_shape)).astype(dtype_of(dtype))
        if y.dtype.kind in "fc":
            y.reshape(-1)[:4] = [-0.0, np.inf, -np.inf, np.nan]
        for kind in ("own", "legal"):
            indices = indices_of(kind, plan, rng, 2)
            want = bits(portable.run(np, plan, y, indices))
            for gpu.index_limit in (2**31, 20):
                assert bits(cuda.run(np, plan, y, indices)) == want


def test_bits_are_moved(gpu: EmulatedDevice) -> None:
    """Payloads of NaN arrive as they are."""
    values = np.asarray([[0x7FC00123, 0xFF800000, 0x80000000, 0xFFC00001]], dtype=np.uint32)
    plan = UnpoolPlan((WindowAxis(4, 2, 2, 2, 0, 1),), False, "last", True, True)
    got = cuda.run(np, plan, values.view(np.float32), np.asarray([[0, 3]]))
    np.testing.assert_array_equal(got.view(np.uint32), values[:, [0, 3]])


def test_by_hand(gpu: EmulatedDevice) -> None:
    """Of three cells that name position 2 the last one has its value; each has where every duplicate receives."""
    y, indices = np.asarray([[[1.0, 2.0, 5.0, 7.0, 9.0]]]), np.asarray([[[2, 2, 2]]])
    plan = UnpoolPlan((WindowAxis(5, 3, 3, 1, 0, 1),), False, "last", True, True)
    assert cuda.run(np, plan, y, indices).tolist() == [[[0.0, 0.0, 5.0]]]
    assert cuda.run(np, replace(plan, duplicates="sum"), y, indices).tolist() == [[[5.0, 5.0, 5.0]]]
    far = np.asarray([[[4, 4, 0]]])  # none in its window
    assert cuda.run(np, plan, y, far).tolist() == [[[0.0, 9.0, 1.0]]]
    assert cuda.run(np, replace(plan, check_indices=False), y, far).tolist() == [[[0.0, 0.0, 0.0]]]


def test_which_kernels_run(gpu: EmulatedDevice) -> None:
    """Only indices outside their windows are sorted, and none are where every duplicate receives."""
    rng = np.random.default_rng(0)
    own = indices_of("own", OVERLAP, rng, 2)
    y = noise(2, *OVERLAP.large_shape)
    cuda.run(np, OVERLAP, y, own)
    assert entries(gpu) == ["gather_cells"]
    cuda.run(np, OVERLAP, y, own[:, ::-1])
    assert entries(gpu) == ["gather_cells", "gather_winners", "gather_cells"]
    for change in (dict(duplicates="sum"), dict(duplicates="error"), dict(check_indices=False)):
        cuda.run(np, replace(OVERLAP, **change), y, own[:, ::-1])
        assert entries(gpu) == ["gather_cells"]
    cuda.run(np, OVERLAP, y[:0], own[:0])
    assert entries(gpu) == []


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("width", [31, 32, 33, 35])
@pytest.mark.parametrize("rule", ["last", "sum"])
@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64"])
def test_rows_of_any_alignment(gpu: EmulatedDevice, width: int, start: int, rule: str, dtype: str) -> None:
    plan = replace(OVERLAP, duplicates=rule)
    plan = replace(plan, axes=(plan.axes[0], WindowAxis(width, (width + 2 - 3) // 2 + 1, 3, 2, 1, 1)))
    given = noise(3, *plan.large_shape).astype(dtype), indices_of("own", plan, np.random.default_rng(0), 3)
    y, indices = (np.concatenate([a.reshape(-1)[:start], a.reshape(-1)])[start:].reshape(a.shape) for a in given)
    assert bits(cuda.run(np, plan, y, indices)) == bits(portable.run(np, plan, y, indices))


@pytest.mark.parametrize("kind", ["readonly", "reversed", "fortran", "expanded"])
def test_layouts(gpu: EmulatedDevice, kind: str) -> None:
    """Torch's autograd hands over gradients that are views, one number for all positions for instance."""
    y, indices = noise(2, *OVERLAP.large_shape), indices_of("own", OVERLAP, np.random.default_rng(0), 2)
    if kind == "expanded":
        y = np.broadcast_to(np.float32(3), y.shape)
    elif kind == "readonly":
        y.flags.writeable = indices.flags.writeable = False
    else:
        change = np.asfortranarray if kind == "fortran" else lambda a: a[..., ::-1]
        y, indices = change(y), change(indices)
    before = y.copy(), indices.copy()
    assert bits(cuda.run(np, OVERLAP, y, indices)) == bits(portable.run(np, OVERLAP, y, indices))
    np.testing.assert_array_equal(y, before[0])
    np.testing.assert_array_equal(indices, before[1])


def test_more_pieces_and_planes_than_threads(gpu: EmulatedDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every thread steps over pieces, and over planes."""
    monkeypatch.setattr(cuda, "BLOCKS", 1)
    gpu.processors = 3  # no other test has three: plans are cached
    rng = np.random.default_rng(0)
    for gpu.index_limit in (2**31, 20):
        for planes, small in ((1, (60, 90)), (2000, (2, 5))):
            for kernel, kind in ((2, "own"), (3, "own"), (3, "legal")):
                axes = tuple(WindowAxis(2 * n + kernel - 2, n, kernel, 2, 0, 1) for n in small)
                plan = UnpoolPlan(axes, False, "last", True, True)
                y, indices = noise(planes, *plan.large_shape), indices_of(kind, plan, rng, planes)
                assert bits(cuda.run(np, plan, y, indices)) == bits(portable.run(np, plan, y, indices))
                assert all(launch.grid[0] * launch.grid[1] <= 3 for launch in gpu.launches)


def test_illegal_indices_of_changed_arrays_are_named(gpu: EmulatedDevice) -> None:
    """As the portable engine says it: the forward call saw others, for an array may change until the pullback."""
    for place in (0, 7, 47):
        indices = indices_of("own", OVERLAP, np.random.default_rng(0), 1)
        indices.reshape(-1)[place] = 217
        messages = []
        for run in (cuda.run, portable.run):
            with pytest.raises(IndexError) as raised:
                run(np, OVERLAP, noise(1, 7, 31), indices)
            messages.append(str(raised.value))
        assert messages[0] == messages[1]


SPANS = [
    ((11,), (4,)),
    ((9, 11), (4, 5)),
    ((12, 8), (4, 4)),
    ((3, 2), (5, 7)),
    ((5, 7, 6), (2, 3, 4)),
]


@pytest.mark.parametrize(("large", "small"), SPANS)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_adaptive_windows(gpu: EmulatedDevice, large: tuple, small: tuple, dtype: str) -> None:
    """Unpooling that adds, which is pooling's gradient, and its transpose; gradients are small integers, so exact."""
    axes = tuple(SpanAxis(n, m) for n, m in zip(large, small, strict=True))
    plan = UnpoolPlan(axes, False, "sum", False, True, trusted=True)
    rng = np.random.default_rng(0)
    indices = np.zeros((3, *small), dtype=np.int64)
    for axis, first in zip(axes, np.ix_(*(axis.first() for axis in axes)), strict=True):
        count = axis.count().reshape(first.shape)
        indices = indices * axis.large + first + rng.integers(0, count, indices.shape)
    x = rng.integers(1, 9, (3, *small)).astype(dtype)
    y = noise(3, *large).astype(dtype)
    for gpu.index_limit in (2**31, 20):
        got = cuda_unpool.run(np, plan, x, indices, None, ("unpool", "indices"))
        assert bits(got) == bits(portable_unpool.run(np, plan, x, indices, None, ("unpool", "indices")))
        assert bits(cuda.run(np, plan, y, indices)) == bits(portable.run(np, plan, y, indices))
    assert set(entries(gpu)) in ({"unpool_gather", "gather_cells"}, {"unpool_gather", "unpool_tiles", "gather_cells"})


@pytest.mark.parametrize("engine", ["cuda", "portable"])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_torchs_backward(gpu: EmulatedDevice, rank: int, dtype: str, engine: str) -> None:
    """Where every duplicate receives, gradients are torch's."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    large = (7, 8, 9)[:rank]
    for window in ((2, 2, 0), (3, 2, 1), (3, 1, 0)):
        x, indices = getattr(upsample, f"max_pool{rank}d_with_indices")(noise(2, 3, *large).astype(dtype), *window)
        tensor = torch.tensor(x, requires_grad=True)
        function = getattr(torch.nn.functional, f"max_unpool{rank}d")
        made = function(tensor, torch.tensor(indices), *window, output_size=large)
        grad = noise(*made.shape, seed=3).astype(dtype)
        made.backward(torch.tensor(grad))
        call = getattr(upsample, f"max_unpool{rank}d")
        options = dict(output_size=large, duplicate_grad="all", engine=engine)
        _, pullback = upsample.vjp(call, x, indices, *window, **options)
        gpu.launches.clear()
        got, nothing = pullback(grad)
        assert nothing is None
        assert entries(gpu) == (["gather_cells"] if engine == "cuda" else [])
        assert bits(got) == bits(tensor.grad.numpy())


@pytest.mark.parametrize("options", [{}, dict(duplicate_grad="all"), dict(duplicates="sum"), dict(check_indices=False)])
@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 1)])
def test_gradients_of_max_unpool(gpu: EmulatedDevice, window: tuple[int, int, int], options: dict[str, Any]) -> None:
    pooled = upsample.max_pool2d_with_indices(noise(2, 3, 11, 16), *window, engine="portable")
    pulled = []
    for engine in ("cuda", "portable"):
        call = upsample.max_unpool2d
        y, pullback = upsample.vjp(call, *pooled, *window, output_size=(11, 16), engine=engine, **options)
        gpu.launches.clear()
        pulled.append(bits(pullback(noise(*y.shape, seed=2))[0]))
        assert entries(gpu) == (["gather_cells"] if engine == "cuda" else [])
    assert pulled[0] == pulled[1]


def test_gradients_of_chainers_upsampling(gpu: EmulatedDevice) -> None:
    x, indexes = chainer.max_pooling_2d(noise(2, 3, 11, 9), 3, stride=2, pad=1, return_indices=True, engine="portable")
    pulled = []
    for engine in ("cuda", "portable"):
        options = dict(ksize=3, stride=2, pad=1, outsize=(11, 9), engine=engine)
        y, pullback = upsample.vjp(chainer.upsampling_2d, x, indexes.astype(np.int32), **options)
        gpu.launches.clear()
        pulled.append(bits(pullback(noise(*y.shape, seed=2))[0]))
        assert entries(gpu) == (["gather_cells"] if engine == "cuda" else [])
    assert pulled[0] == pulled[1]


ROWS = UnpoolPlan((WindowAxis(9, 4, 3, 2, 0, 1), WindowAxis(26, 8, 5, 3, 0, 1)), False, "last", False, True)
FEW = UnpoolPlan((WindowAxis(5, 2, 3, 2, 0, 1), WindowAxis(5, 2, 3, 2, 0, 1)), False, "last", False, True)
DEEP = replace(ROWS, axes=(WindowAxis(5, 2, 3, 2, 0, 1), *ROWS.axes))
LOOKED = replace(ROWS, check_indices=True)
LOCAL = replace(ROWS, local_indices=True)
FAULTS = [
    (ROWS, "own", "v[n] = source[spots[n].position];", "v[n] = source[spots[n].position + 1];"),
    (ROWS, "own", "source = values + plane * g.positions;", "source = values + plane * g.cells;"),
    (ROWS, "own", "window_start(piece.row, 1, g),\n", "window_start(piece.depth, 1, g),\n"),
    (ROWS, "own", "window_start<Index>(begin + n, 2, g)", "window_start<Index>(begin, 2, g)"),
    (ROWS, "own", "go_to_first(first_column, first_column_offset, 2, g);", ""),
    (DEEP, "own", "go_to_first(first_row, first_row_offset, 1, g);", ""),
    (ROWS, "own", "column = cell[2] + g.cell_step[2]", "column = cell[2]"),
    (DEEP, "own", "depth < g.small[0] && depth_offset >= 0", "depth < g.small[0] && depth_offset > 0"),
    (ROWS, "own", "row < g.small[1] && row_offset >= 0", "row < g.small[1] && row_offset > 0"),
    (
        ROWS,
        "own",
        "(depth * g.small[1] + row) * g.small[2] + column]",
        "(depth * g.small[1] + column) * g.small[2] + row]",
    ),
    (FEW, "near", "offset + apart < g.reach[axis]", "offset + apart <= g.reach[axis]"),
    (ROWS, "legal", "spot.position = -1;", ""),
    (LOCAL, "legal", "spot.offset[axis], g.large[axis])", "spot.offset[axis], g.large[axis] - 1)"),
    (ROWS, "own", "at[2] = index - at[1] * g.counted[2]", "at[2] = index - at[1] * g.counted[1]"),
    (DEEP, "own", "at[0] = quotient(at[1], 1, g)", "at[0] = quotient(at[1], 2, g)"),
    (ROWS, "own", ">> g.shift[axis]", ">> (g.shift[axis] + 1)"),
    (LOCAL, "legal", "at[axis] * g.dilation[axis]", "at[AXES - 1 - axis] * g.dilation[axis]"),
    (LOCAL, "legal", "if (g.local && w < 0) w += g.bound;", ""),
    (LOOKED, "legal", "spot.verdict = Elsewhere;", ""),
    (LOOKED, "beyond", "spot.verdict = Illegal;", ""),
    (LOOKED, "legal", "? where[cell] : -1", "? where[p] : -1"),
    (LOOKED, "legal", "keys[order[p + 1]] != keys[cell]", "keys[order[p + 1]] == keys[cell]"),
]


@faults_are_planted
@pytest.mark.parametrize(("plan", "kind", "old", "new"), FAULTS, ids=range(len(FAULTS)))
def test_planted_faults_are_caught(plan: UnpoolPlan, kind: str, old: str, new: str) -> None:
    rng = np.random.default_rng(1)
    y = noise(40, *plan.large_shape)
    if kind == "near":  # the third cell names the second one's position, which its window ends before
        indices = np.tile(np.asarray([[0, 13], [13, 24]]), (40, 1, 1))
    else:
        indices = indices_of(kind, plan, rng, 40)
    results = []
    for fault in (None, (old, new)):
        with emulating(EmulatedDevice(fault=fault, order=1)):
            try:
                results.append(outcome(cuda.run, plan, y, indices))
            except AssertionError as error:
                results.append(error)
    assert results[0] == outcome(portable.run, plan, y, indices)
    assert results[0] != results[1]

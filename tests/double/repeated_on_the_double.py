"""Repeated calls on a GPU: the launches as recorded have the results of the call that was planned.

Run by ``test_on_the_double.py``, in a process in which CuPy and torch's GPU are the double.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import backends
import numpy as np
import pytest

import upsample
from double import memory
from upsample import caches
from upsample.engines.cuda import repeats
from upsample.engines.cuda.runtime import device
from upsample.ops import call_cache

cupy: Any = pytest.importorskip("cupy")
torch: Any = pytest.importorskip("torch")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((2, 16, 6, 8)).astype("float32")
WEIGHT = RNG.standard_normal((16, 40, 4, 4)).astype("float32")
DEPTHWISE = RNG.standard_normal((16, 1, 4, 4)).astype("float32")
INDICES = upsample.max_pool2d_with_indices(RNG.standard_normal((2, 16, 12, 16)), 2, engine="portable")[1]

CALLS: dict[str, tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = {
    "nearest": (partial(upsample.interpolate, scale_factor=2), (X,)),
    "bilinear": (partial(upsample.interpolate, scale_factor=2, mode="bilinear"), (X,)),
    "two passes": (partial(upsample.interpolate, size=(2, 2), mode="bicubic", antialias=True), (X,)),
    "native": (partial(upsample.resize, shape=9, axes=-1, mode="cubic"), (X,)),
    "pool": (partial(upsample.max_pool2d, kernel_size=2), (X,)),
    "pool with indices": (partial(upsample.max_pool2d_with_indices, kernel_size=3, stride=2, padding=1), (X,)),
    "unpool": (partial(upsample.max_unpool2d, kernel_size=2), (X, INDICES)),
    "unpool, overlapping": (
        partial(upsample.max_unpool2d, kernel_size=3, stride=2, padding=1, output_size=(12, 16)),
        (X, INDICES),
    ),
    "unpool, later": (partial(upsample.max_unpool2d, kernel_size=2, check_indices="later"), (X, INDICES)),
    "unpool, unchecked": (partial(upsample.max_unpool2d, kernel_size=2, check_indices=False), (X, INDICES)),
    "conv": (partial(upsample.conv_transpose2d, stride=2, padding=1), (X, WEIGHT)),
    "conv with bias": (partial(upsample.conv_transpose2d, stride=2), (X, WEIGHT, WEIGHT[0, :, 0, 0].copy())),
    "conv, depthwise": (partial(upsample.conv_transpose2d, stride=2, groups=16), (X, DEPTHWISE)),
    "conv of one image": (partial(upsample.conv_transpose2d, stride=2), (X[0].copy(), WEIGHT)),
}
every_call = pytest.mark.parametrize("name", CALLS)
every_library = pytest.mark.parametrize("library", ["cupy", "torch-cuda"])


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is on the devices and no call is known."""
    monkeypatch.setattr(device, "_devices", {})
    monkeypatch.setattr(call_cache, "_CALLS_BEFORE", 0)
    call_cache._known.clear()


def parts(result: Any) -> tuple[Any, ...]:
    return result if isinstance(result, tuple) else (result,)


def other_values(arrays: tuple[np.ndarray, ...]) -> tuple[np.ndarray, ...]:
    return tuple(a if a.dtype.kind == "i" else np.flip(a, -1).copy() for a in arrays)


def is_replayed() -> bool:
    """Whether the one known call on a GPU is repeated as recorded."""
    (known,) = known_on_gpus()
    return isinstance(getattr(known._play, "__self__", None), repeats._Replay)


def known_on_gpus() -> list[repeats.Repeated]:
    return [known.run for known in call_cache._known.values() if isinstance(known.run, repeats.Repeated)]


@every_call
@every_library
def test_a_repeated_call_launches_the_same_on_other_arrays(name: str, library: str) -> None:
    call, arrays = CALLS[name]
    made = backends.get(library)
    with memory.recording() as first:
        call(*map(made.make, arrays), engine="cuda")
    for values in (arrays, other_values(arrays), other_values(other_values(arrays))):
        given = tuple(map(made.make, values))
        with memory.recording() as again:
            got = call(*given, engine="cuda")
        want = call(*values, engine="portable")
        for g, w in zip(parts(got), parts(want), strict=True):
            assert type(g) is type(given[0])
            np.testing.assert_allclose(made.back(g), w, rtol=1e-5, atol=1e-5)
        launches = [[e.what for e in events if e.kind == "launch"] for events in (first, again)]
        assert launches[0] == launches[1]
        assert {e.kind for e in again} <= {"launch", "allocate", "wait" if name.startswith("unpool") else "launch"}
    assert is_replayed()


def in_channels_last(a: Any) -> Any:
    return a.contiguous(memory_format=torch.channels_last) if a.ndim == 4 else a


@every_call
def test_channels_last_tensors_are_repeated(name: str) -> None:
    call, arrays = CALLS[name]
    made = backends.get("torch-cuda")
    for values in (arrays, other_values(arrays), other_values(other_values(arrays))):
        given = [in_channels_last(made.make(a)) for a in values]
        got = parts(call(*given, engine="cuda"))
        want = parts(call(*map(made.make, values), engine="cuda"))
        unrecorded = parts(call(*given, engine="portable"))
        for g, w, u in zip(got, want, unrecorded, strict=True):
            assert torch.equal(g.contiguous(), w)
            assert g.stride() == u.stride()
    layouts = [run for run in known_on_gpus() if isinstance(run, repeats.RepeatedInLayout)]
    assert len(layouts) == 1
    assert all(isinstance(getattr(run._play, "__self__", None), repeats._Replay) for run in layouts)
    blank = tuple(torch.zeros_like(g) for g in got)
    result = parts(call(*given, engine="cuda", out=blank if len(blank) > 1 else blank[0]))
    assert all(r is b and torch.equal(b, g) for r, b, g in zip(result, blank, got, strict=True))


@every_call
@every_library
def test_the_current_stream_is_used(name: str, library: str) -> None:
    call, arrays = CALLS[name]
    made = backends.get(library)
    given = tuple(map(made.make, arrays))
    call(*given, engine="cuda")
    call(*given, engine="cuda")
    memory.seen_by_all(None)
    stream = torch.cuda.Stream() if library != "cupy" else cupy.cuda.Stream(non_blocking=True)
    with torch.cuda.stream(stream) if library != "cupy" else stream, memory.recording() as events:
        call(*given, engine="cuda")
    number = stream.cuda_stream if library != "cupy" else stream.ptr
    assert {e.stream for e in events if e.kind == "launch"} == {number}
    assert cupy.cuda.get_current_stream().ptr == 0
    assert {e.allocator for e in events if e.kind == "allocate"} <= ({"pool"} if library == "cupy" else set())


@every_call
def test_each_device_has_its_own_launches(name: str) -> None:
    call, arrays = CALLS[name]
    for number in (0, 1, 0, 1):
        with cupy.cuda.Device(number):
            given = tuple(map(cupy.asarray, arrays))
        with memory.recording() as events:
            result = call(*given, engine="cuda")
        assert {e.device for e in events if e.kind == "launch"} == {number}
        assert parts(result)[0].device.id == number
        assert cupy.cuda.Device().id == 0
    assert len(known_on_gpus()) == 2


@every_call
@every_library
def test_out(name: str, library: str) -> None:
    """Written in place; with gaps, at an odd address or over an input it is checked again."""
    call, arrays = CALLS[name]
    made = backends.get(library)
    given = tuple(map(made.make, arrays))
    want = [made.back(p) for p in parts(call(*given, engine="cuda"))]
    for change in (lambda a: a, lambda a: np.repeat(a, 2, -1), lambda a: a):
        blank = tuple(made.make(change(np.zeros_like(w))) for w in want)
        views = tuple(b if b.shape[-1] == w.shape[-1] else b[..., ::2] for b, w in zip(blank, want, strict=True))
        got = call(*given, engine="cuda", out=views if len(views) > 1 else views[0])
        assert all(g is v for g, v in zip(parts(got), views, strict=True))
        for view, w in zip(views, want, strict=True):
            np.testing.assert_array_equal(made.back(view), w)


@every_library
def test_out_that_overlaps_the_input_is_refused(library: str) -> None:
    made = backends.get(library)
    whole = made.make(np.zeros(3 * 64, dtype="float32"))
    x, apart = whole[:64].reshape(1, 1, 8, 8), whole[64:128].reshape(1, 1, 8, 8)
    call = partial(upsample.resize, shape=(8, 8), axes=(2, 3), mode="cubic", engine="cuda")
    call(x)
    assert call(x, out=apart) is apart
    with pytest.raises(ValueError, match="it shares memory with x"):
        call(x, out=whole[32:96].reshape(1, 1, 8, 8))
    with pytest.raises(ValueError, match="the result is"):
        call(x, out=whole[64:72].reshape(1, 1, 2, 4))


@every_library
@pytest.mark.parametrize("start", [0, 1, 2, 4])
def test_views_at_any_address(library: str, start: int) -> None:
    """The alignment is a part of the key: 16-byte loads need it."""
    made = backends.get(library)
    call = partial(upsample.interpolate, scale_factor=2, mode="nearest", engine="cuda")
    for begin in (start, 0, start):
        whole = np.arange(132, dtype="float32")
        x = made.make(whole)[begin : begin + 128].reshape(1, 2, 8, 8)
        want = whole[begin : begin + 128].reshape(1, 2, 8, 8).repeat(2, 2).repeat(2, 3)
        np.testing.assert_array_equal(made.back(call(x)), want)
        np.testing.assert_array_equal(made.back(call(x)), want)


@every_library
@pytest.mark.parametrize("name", ["two passes", "unpool, overlapping"])
def test_the_bound_of_all_caches_counts_the_tables_of_launches(name: str, library: str) -> None:
    call, arrays = CALLS[name]
    given = tuple(map(backends.get(library).make, arrays))
    call(*given, engine="cuda")
    before = caches.held()
    call(*given, engine="cuda")
    (known,) = call_cache._known.values()
    tables = {id(x): x.nbytes for x in known.constants if isinstance(x, cupy.ndarray)}
    assert sum(tables.values()) > 0
    assert caches.held().entries == before.entries
    assert caches.held().bytes >= before.bytes + sum(tables.values())
    call_cache._known.clear()
    assert caches.held().bytes <= before.bytes


def test_a_call_that_found_bad_indices_releases_its_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    call, arrays = CALLS["unpool"]
    given = tuple(map(cupy.asarray, arrays))
    for _ in range(2):
        call(*given, engine="cuda")
    bad = cupy.asarray(np.full_like(arrays[1], 10_000))
    slots = known_on_gpus()[0]._play.__self__._gpu.flags._free
    before = slots.qsize()
    for _ in range(3):
        with pytest.raises(IndexError):
            call(given[0], bad, engine="cuda")
    assert slots.qsize() == before

    def interrupted(self: object, pointer: int = 0) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cupy.cuda.Stream, "synchronize", interrupted)
    with pytest.raises(KeyboardInterrupt):
        call(*given, engine="cuda")
    assert slots.qsize() == before


def test_an_illegal_index_in_a_repeated_call_is_named() -> None:
    call, arrays = CALLS["unpool"]
    given = tuple(map(cupy.asarray, arrays))
    for _ in range(2):
        call(*given, engine="cuda")
    bad = arrays[1].copy()
    bad[1, 2, 3, 4] = 10_000
    with pytest.raises(IndexError, match=r"indices\[1, 2, 3, 4\]=10000"):
        call(given[0], cupy.asarray(bad), engine="cuda")
    elsewhere = np.roll(arrays[1], 3, -1)
    got = call(given[0], cupy.asarray(elsewhere), engine="cuda").get()
    np.testing.assert_array_equal(got, call(arrays[0], elsewhere, engine="portable"))


def test_a_later_check_in_a_repeated_call() -> None:
    call, arrays = CALLS["unpool, later"]
    given = tuple(map(cupy.asarray, arrays))
    for _ in range(2):
        call(*given, engine="cuda")
    call(given[0], cupy.asarray(np.full_like(arrays[1], 10_000)), engine="cuda")
    cupy.cuda.get_current_stream().synchronize()
    with pytest.raises(IndexError, match="of an earlier call"):
        call(*given, engine="cuda")
    call(*given, engine="cuda")


def test_gradients_are_followed_in_a_call_that_is_known() -> None:
    made = backends.get("torch-cuda")
    call = partial(upsample.interpolate, scale_factor=2, mode="bilinear", engine="cuda")
    x = made.make(X)
    for _ in range(2):
        call(x)
    tensor = made.make(X).requires_grad_()
    call(tensor).sum().backward()
    np.testing.assert_allclose(made.back(tensor.grad), np.full(X.shape, 4.0), rtol=1e-5)
    with torch.no_grad():
        assert not call(tensor).requires_grad
    _, pull = upsample.vjp(partial(upsample.interpolate, scale_factor=2, mode="bilinear"), cupy.asarray(X))
    np.testing.assert_allclose(pull(cupy.asarray(np.ones((2, 16, 12, 16), "float32")))[0].get(), 4.0, rtol=1e-5)


@pytest.mark.parametrize("size", [0, 200])
@pytest.mark.parametrize("place", [0, 1])
def test_a_storage_released_after_a_call_is_an_error(place: int, size: int) -> None:
    """FSDP releases the parameters of other ranks between calls; a launch would read what lies behind them."""
    made = backends.get("torch-cuda")
    call = partial(upsample.conv_transpose2d, stride=2, engine="cuda")
    given = made.make(X), made.make(WEIGHT)
    for _ in range(2):
        call(*given)
    given[place].untyped_storage().resize_(size)
    with pytest.raises(ValueError, match="its storage is shorter than the tensor"):
        call(*given)


def test_torchs_precision_is_a_part_of_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    made = backends.get("torch-cuda")
    x, weight = made.make(X), made.make(WEIGHT)
    kernels = []
    for precision in ("tf32", "float32", "tf32"):
        monkeypatch.setattr("upsample.precision._torchs", lambda tensor, p=precision: p)
        with memory.recording() as events:
            upsample.conv_transpose2d(x, weight, stride=2, engine="cuda")
        kernels.append([e.what for e in events if e.kind == "launch"][-1])
    assert kernels[0] == kernels[2] != kernels[1]


def test_arrays_with_gaps_and_other_dtypes_go_the_long_way() -> None:
    call = partial(upsample.interpolate, scale_factor=2, mode="bilinear", engine="cuda")
    for _ in range(2):
        got = call(cupy.asarray(np.repeat(X, 2, -1))[..., ::2]).get()
        want = upsample.interpolate(X, scale_factor=2, mode="bilinear", engine="portable")
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    assert known_on_gpus() == []
    for _ in range(3):
        got = upsample.resize(cupy.asarray(X.astype("int16")), scale=2, axes=(2, 3), mode="cubic", engine="cuda").get()
        want = upsample.resize(X.astype("int16"), scale=2, axes=(2, 3), mode="cubic", engine="portable")
        np.testing.assert_array_equal(got, want)
    assert not is_replayed()  # it converts beside its launches


def test_a_planted_fault_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A repeated call that keeps the first call's input, and one whose key lacks the alignment."""
    call = partial(upsample.interpolate, scale_factor=2, mode="bilinear", engine="cuda")
    first, second = cupy.asarray(X), cupy.asarray(other_values((X,))[0])
    want = call(second).get()
    real = repeats._Replay._launch

    def stale(steps: list[Any], memory: list[Any]) -> None:
        real(steps, [first, *memory[1:]])

    monkeypatch.setattr(repeats._Replay, "_launch", staticmethod(stale))
    assert (call(second).get() != want).any()

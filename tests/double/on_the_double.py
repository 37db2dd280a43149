"""What only the double can show: where each launch and allocation goes, and that a fault in that is found.

Run by ``test_on_the_double.py``, in a process in which CuPy and torch's GPU are the double.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any

import backends
import numpy as np
import pytest
from compiler import nvrtc
from emulator.build import FOLDER
from emulator.listing import listed

import upsample
from double import cuda, memory
from double.memory import Misuse
from upsample.engines.cuda.runtime import device, loader
from upsample.ops import call_cache

cupy: Any = pytest.importorskip("cupy")
torch: Any = pytest.importorskip("torch")

VALUES = np.random.default_rng(0).standard_normal((2, 16, 6, 8)).astype("float32")
WEIGHT = np.random.default_rng(1).standard_normal((16, 40, 4, 4)).astype("float32")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tables are on the devices and no call is known, so that each test uploads and plans its own."""
    monkeypatch.setattr(device, "_devices", {})
    call_cache._known.clear()


def convolved(made: Any) -> Any:
    return upsample.conv_transpose2d(made(VALUES), made(WEIGHT), stride=2, padding=1, engine="cuda")


def resized(made: Any) -> Any:
    return upsample.interpolate(made(VALUES), scale_factor=2, mode="bicubic", engine="cuda")


def unpooled(made: Any) -> Any:
    values, where = upsample.max_pool2d_with_indices(made(VALUES), 2, engine="cuda")
    return upsample.max_unpool2d(values, where, 2, engine="cuda")


CALLS = (convolved, resized, unpooled)


def tensors(x: np.ndarray) -> Any:
    return backends.get("torch-cuda").make(x)


@pytest.mark.parametrize("call", CALLS, ids=lambda f: f.__name__)
def test_cupy_calls_use_its_current_stream_and_its_pool(call: Callable[[Any], Any]) -> None:
    with cupy.cuda.Stream(non_blocking=True) as stream, memory.recording() as events:
        call(cupy.asarray)
    launches = [e for e in events if e.kind == "launch"]
    assert launches
    assert {(e.stream, e.device) for e in launches} == {(stream.ptr, 0)}
    assert {e.allocator for e in events if e.kind == "allocate" and e.stream == stream.ptr} == {"pool"}


@pytest.mark.parametrize("call", CALLS, ids=lambda f: f.__name__)
def test_torch_calls_use_its_current_stream_and_its_allocator(call: Callable[[Any], Any]) -> None:
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream), memory.recording() as events:
        call(tensors)
    launches = [e for e in events if e.kind == "launch"]
    assert launches
    assert {(e.stream, e.allocator) for e in launches} == {(stream.cuda_stream, "torch")}
    assert {e.allocator for e in events if e.kind == "allocate"} <= {"torch", "direct"}
    assert cupy.cuda.get_current_stream().ptr == 0


@pytest.mark.parametrize("call", CALLS, ids=lambda f: f.__name__)
def test_the_arrays_device_is_the_current_one_within(call: Callable[[Any], Any]) -> None:
    def make(x: np.ndarray) -> Any:
        with cupy.cuda.Device(1):
            return cupy.asarray(x)

    with memory.recording() as events:
        result = call(make)
    assert {e.device for e in events if e.kind == "launch"} == {1}
    assert result.device.id == 1
    assert cupy.cuda.Device().id == 0


def test_the_second_call_uploads_nothing_and_waits_for_nothing() -> None:
    x, weight = tensors(VALUES), tensors(WEIGHT)
    upsample.conv_transpose2d(x, weight, stride=2, engine="cuda")
    with memory.recording() as events:
        upsample.conv_transpose2d(x, weight, stride=2, engine="cuda")
    assert {e.kind for e in events} <= {"launch", "allocate"}


@pytest.mark.parametrize("make", [cupy.asarray, tensors], ids=["cupy", "torch"])
@pytest.mark.parametrize("window", [(2, 2, 0), (3, 2, 1)])
def test_what_a_check_of_indices_waits_for(make: Any, window: tuple[int, int, int]) -> None:
    """One wait for the stream with the check, none with a later one or without."""
    values, where = upsample.max_pool2d_with_indices(make(VALUES), *window, engine="cuda")
    for check, waits in ((True, 1), ("later", 0), (False, 0)):
        upsample.max_unpool2d(values, where, *window, (6, 8), check_indices=check, engine="cuda")
        with memory.recording() as events:
            upsample.max_unpool2d(values, where, *window, (6, 8), check_indices=check, engine="cuda")
        assert [e.kind for e in events].count("wait") == waits
        assert "copy" not in {e.kind for e in events}


def unpooled_later(where: np.ndarray) -> Any:
    x, indices = cupy.asarray(VALUES), cupy.asarray(where)
    return upsample.max_unpool2d(x, indices, 2, check_indices="later", engine="cuda")


def test_a_later_check_raises_once_the_gpu_is_done() -> None:
    """The host reads pinned memory, which it sees when it has waited; the double shows it nothing before."""
    own = 2 * np.arange(6)[:, None] * 16 + 2 * np.arange(8) + 0 * VALUES.astype(int)
    bad = own.copy()
    bad[1, 2, 3, 4] = 10_000
    unpooled_later(bad)
    unpooled_later(own)  # the GPU is not done
    with pytest.raises(IndexError, match=r"max_unpool2d: indices=<of an earlier call>, but .* plane \(12, 16\)"):
        upsample.synchronize()
    unpooled_later(bad)
    cupy.cuda.get_current_stream().synchronize()
    with pytest.raises(IndexError, match="of an earlier call"):
        unpooled_later(own)
    upsample.synchronize()


def test_a_check_that_does_not_wait_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A planted fault: the host reads the flags at once, and sees nothing of a bad index."""
    monkeypatch.setattr(device.CupyDevice, "wait", lambda self: None)
    x, where = cupy.asarray(VALUES), cupy.asarray(np.full(VALUES.shape, 10_000))
    upsample.max_unpool2d(x, where, 2, engine="cuda")
    monkeypatch.undo()
    with pytest.raises(IndexError):
        upsample.max_unpool2d(x, where, 2, engine="cuda")


MODES = ("nearest", "bilinear", "bicubic", "antialiased", "trilinear")
FLOATS = [(mode, dtype) for mode in MODES for dtype in ("float32", "float16")]


@pytest.mark.parametrize(("mode", "dtype"), [*FLOATS, *((mode, "uint8") for mode in MODES[:-1])])
def test_channels_last_tensors_are_read_in_place(mode: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is copied, the result has its input's memory format, and the bits are those of the other one."""
    x = tensors((VALUES * 20 + 100).astype(dtype))
    last = torch.channels_last
    options: dict[str, Any] = dict(scale_factor=2, mode=mode)
    if mode == "antialiased":
        options = dict(size=(3, 4), mode="bicubic", antialias=True)
    if mode == "trilinear":
        x, last = x[:, :, None].expand(2, 16, 3, 6, 8).contiguous(), torch.channels_last_3d
    call = partial(upsample.interpolate, engine="cuda", **options)
    want = call(x)
    borrow = device.TorchDevice.borrow

    def borrowed(self: Any, tensor: Any) -> Any:
        assert tensor.is_contiguous()
        return borrow(self, tensor)

    monkeypatch.setattr(device.TorchDevice, "borrow", borrowed)
    moved = x.contiguous(memory_format=last)
    got = call(moved)
    assert got.is_contiguous(memory_format=last)
    assert torch.equal(got.contiguous(), want)
    out = torch.zeros_like(got, memory_format=torch.preserve_format)
    assert call(moved, out=out) is out
    assert torch.equal(out.contiguous(), want)
    assert call(moved, out=torch.zeros_like(want)).is_contiguous()


POOLS: dict[str, Callable[..., Any]] = {
    "2/2": partial(upsample.max_pool2d_with_indices, kernel_size=2),
    "3/2, padded": partial(upsample.max_pool2d_with_indices, kernel_size=3, stride=2, padding=1),
    "dilated": partial(upsample.max_pool2d_with_indices, kernel_size=(2, 3), stride=1, dilation=(2, 1)),
    "adaptive": partial(upsample.adaptive_max_pool2d, output_size=(4, 3), return_indices=True),
    "within windows": partial(upsample.chainer.max_pooling_2d, ksize=3, return_indices=True),
}


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_channels_last_tensors_are_pooled_in_place(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the input nor a result is copied, and the bits are those of the other memory format."""
    x = tensors((VALUES * 20 + 100).astype(dtype))
    x[0, 3, 2, 1] = x[0, 3, 2, 2]  # equal maxima: the first one counts
    call = partial(POOLS[name], engine="cuda")
    want = call(x)
    moved = x.contiguous(memory_format=torch.channels_last)
    borrow, contiguous, copied = device.TorchDevice.borrow, torch.Tensor.contiguous, []

    def borrowed(self: Any, tensor: Any) -> Any:
        assert tensor.is_contiguous()
        return borrow(self, tensor)

    def packed(self: Any, **options: Any) -> Any:
        made = contiguous(self, **options)
        copied.extend([made] * (made is not self and made.data_ptr() != self.data_ptr()))
        return made

    with monkeypatch.context() as patched, memory.recording() as events:
        patched.setattr(device.TorchDevice, "borrow", borrowed)
        patched.setattr(torch.Tensor, "contiguous", packed)
        several = [call(moved), call(moved)]  # the second one is replayed
    assert not copied
    assert [e.what.split("(")[0] for e in events if e.kind == "launch"] == ["pool.pool_cells"] * 2
    for got in several:
        for g, w in zip(got, want, strict=True):
            assert g.is_contiguous(memory_format=torch.channels_last)
            assert torch.equal(g.contiguous(), w)
    out = tuple(torch.zeros_like(g, memory_format=torch.preserve_format) for g in got)
    assert all(a is b for a, b in zip(call(moved, out=out), out, strict=True))
    assert all(torch.equal(a.contiguous(), w) for a, w in zip(out, want, strict=True))
    blank = tuple(torch.zeros_like(w) for w in want)
    assert all(a is b and torch.equal(a, w) for a, b, w in zip(call(moved, out=blank), blank, want, strict=True))


def plant_wrong_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_foreign", lambda pointer: cupy.cuda.Stream(null=True))


def plant_wrong_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    def pool(allocator: Any) -> Any:
        return nullcontext() if allocator is not None else cuda.using_allocator(None)

    monkeypatch.setattr(cupy.cuda, "using_allocator", pool)


def plant_numpy_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device.CupyDevice, "_upload", lambda self, table: table)


def plant_missing_synchronize(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda.Stream, "synchronize", lambda self: None)


def plant_wrong_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda.Device, "__enter__", lambda self: self)
    monkeypatch.setattr(cuda.Device, "__exit__", lambda self, *args: None)


@pytest.mark.parametrize(
    ("plant", "error", "says"),
    [
        (plant_wrong_stream, Misuse, "stream 0 reads memory that stream"),
        (plant_wrong_pool, Misuse, "memory of CuPy's pool"),
        (plant_numpy_array, TypeError, r"Unsupported type <class 'numpy\.ndarray'>"),
        (plant_missing_synchronize, Misuse, "and nothing waited"),
    ],
    ids=lambda f: getattr(f, "__name__", ""),
)
def test_planted_faults_are_found(plant: Any, error: type[Exception], says: str) -> None:
    x, weight = tensors(VALUES), tensors(WEIGHT)
    with torch.cuda.stream(torch.cuda.Stream()), pytest.MonkeyPatch.context() as patch:
        plant(patch)
        with pytest.raises(error, match=says):
            upsample.conv_transpose2d(x, weight, stride=2, engine="cuda")


def test_a_forgotten_device_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with cupy.cuda.Device(1):
        x = cupy.asarray(VALUES)
    plant_wrong_device(monkeypatch)
    with pytest.raises(Misuse, match=r"of device [01], and the current one is [01]"):
        upsample.interpolate(x, scale_factor=2, mode="bicubic", engine="cuda")


@pytest.mark.parametrize("file", sorted(path.stem for path in FOLDER.glob("*.cu")))
def test_what_the_loader_hands_to_cupy_compiles(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The very text and options that `RawModule` is given, by the real NVRTC."""
    version = next((v for v in reversed(nvrtc.VERSIONS) if nvrtc.missing(v) is None), None)
    if version is None:
        pytest.skip(str(nvrtc.missing("13")))
    compiled = list[str]()

    def really(code: str, entry: str, options: tuple[str, ...]) -> None:
        assert nvrtc.compiled_with(code, file, options, version=version, arch="sm_90").cubin.count(entry.encode())
        compiled.append(entry)

    monkeypatch.setattr(cuda, "compile_really", really)
    loader.function.cache_clear()
    kernel = listed(file)[0]
    assert loader.function(kernel, 0) is loader.function(kernel, 0)
    assert compiled == [kernel.entry]
    loader.function.cache_clear()


def test_cupy_refuses_what_cupy_refuses() -> None:
    x = cupy.asarray(VALUES)
    with pytest.raises(TypeError, match="Implicit conversion"):
        np.asarray(x)
    with pytest.raises(TypeError, match="Unsupported type"):
        x + VALUES
    with pytest.raises(TypeError, match="can't convert cuda:0"):
        tensors(VALUES).numpy()

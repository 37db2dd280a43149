"""The GPU's device as far as it goes without one: what it hands to CuPy, which is played."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

import backends
import numpy as np
import pytest
from emulator.device import EmulatedDevice

import upsample
from upsample.engines.cuda.runtime import device
from upsample.engines.cuda.runtime.device import CupyDevice, TorchDevice, emulating
from upsample.engines.cuda.runtime.launch import Launch, kernel


class Function:
    """CuPy's RawKernel: remembers its launches, and how often it is asked for its limit, which is a driver's call."""

    def __init__(self) -> None:
        self.launches, self.asked, self.limit = list[tuple[Any, ...]](), 0, 48 << 10

    @property
    def max_dynamic_shared_size_bytes(self) -> int:
        self.asked += 1
        return self.limit

    @max_dynamic_shared_size_bytes.setter
    def max_dynamic_shared_size_bytes(self, limit: int) -> None:
        self.limit = limit

    def __call__(self, grid: Any, block: Any, arguments: Any, *, shared_mem: int) -> None:
        assert shared_mem <= self.limit
        self.launches.append((grid, block, arguments, shared_mem))


def made(**cupy: Any) -> CupyDevice:
    gpu = CupyDevice.__new__(CupyDevice)
    gpu._cupy, gpu._number = SimpleNamespace(ndarray=np.ndarray, **cupy), 0
    return gpu


def for_torch() -> TorchDevice:
    from torch.utils.dlpack import from_dlpack

    return TorchDevice(made(from_dlpack=from_dlpack))


def launch(shared: int, blocks: int = 3) -> Launch:
    return Launch(kernel("any", "any"), (blocks, 1, 1), (64, 1, 1), shared, (np.int32(7),))


def test_launches(monkeypatch: pytest.MonkeyPatch) -> None:
    function, gpu, x = Function(), made(), np.zeros(3)
    monkeypatch.setattr(device, "function", lambda kernel, number: function)
    gpu.launch(launch(0, blocks=0), x)
    assert function.launches == []
    gpu.launch(launch(0), x, None)
    gpu.launch(launch(48 << 10), x)
    assert (function.asked, function.limit) == (0, 48 << 10)
    gpu.launch(launch(100 << 10), x)
    gpu.launch(launch(64 << 10), x)
    assert function.limit == 100 << 10
    assert function.launches[0] == ((3, 1, 1), (64, 1, 1), (x, None, np.int32(7)), 0)
    assert [shared for *_, shared in function.launches] == [0, 48 << 10, 100 << 10, 64 << 10]


@pytest.mark.parametrize(
    ("dtype", "seen"),
    [("bool", "uint8"), ("bfloat16", "int16"), ("float16", "float16"), ("int64", "int64"), ("complex64", "complex64")],
)
def test_torch_tensors_are_seen_without_a_copy(dtype: str, seen: str) -> None:
    backends.get("torch")
    import torch

    gpu = for_torch()
    x = torch.ones((3, 4), dtype=getattr(torch, dtype))[:, ::2]
    got = gpu.view(x)
    assert got.dtype == getattr(torch, seen)
    assert (got.data_ptr(), got.stride()) == (x.data_ptr(), x.stride())


def test_torch_tensors_that_are_conjugated_or_differentiated() -> None:
    backends.get("torch")
    import torch

    gpu = for_torch()
    x = torch.tensor([1 + 2j, 3 - 4j], requires_grad=True)
    assert gpu.view(x).tolist() == [1 + 2j, 3 - 4j]
    assert gpu.view(x.conj()).tolist() == [1 - 2j, 3 + 4j]
    assert gpu.view(x.conj().imag).tolist() == [-2.0, 4.0]


def misaligned(x: np.ndarray) -> np.ndarray:
    """The same values where each begins half of its size past a multiple of it: a slice of a real array's memory."""
    memory = np.empty(x.nbytes + 2 * x.itemsize, dtype=np.uint8)
    begin = (-memory.ctypes.data) % x.itemsize + x.itemsize // 2
    seen = memory[begin : begin + x.nbytes].view(x.dtype).reshape(x.shape)
    seen[...] = x
    return seen


@pytest.mark.parametrize("call", ["resize", "unpool", "sum", "gradient"])
def test_complex_values_that_begin_at_multiples_of_eight_bytes(call: str) -> None:
    """A GPU moves a complex128 as 16 bytes and faults at any other address: CuPy and torch views have such ones."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 4, 6)) + 1j * rng.standard_normal((2, 3, 4, 6))
    _, where = upsample.max_pool2d_with_indices(rng.permutation(2 * 3 * 8 * 12).reshape(2, 3, 8, 12), 2)

    def run(x: np.ndarray, out: np.ndarray | None) -> np.ndarray:
        if call == "resize":
            return upsample.interpolate(x, scale_factor=2, out=out)
        unpool = partial(upsample.max_unpool2d, duplicates="sum" if call == "sum" else "last")
        if call != "gradient":
            return unpool(x, where, 2, out=out)
        back = upsample.vjp(unpool, np.zeros_like(x), where, 2)[1]
        return back(misaligned(rng.standard_normal((2, 3, 8, 12)) + 0j))[0]

    rng = np.random.default_rng(1)
    wanted = run(x, None)
    out = None if call == "gradient" else misaligned(np.zeros_like(wanted))
    rng = np.random.default_rng(1)
    with emulating(EmulatedDevice()):
        got = run(misaligned(x), out)
    assert out is None or got is out
    np.testing.assert_array_equal(got, wanted)

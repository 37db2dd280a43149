"""The GPU's device as far as it goes without one: what it hands to CuPy, which is played."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import backends
import numpy as np
import pytest

from upsample.engines.cuda import device
from upsample.engines.cuda.device import CupyDevice
from upsample.engines.cuda.launch import Launch, kernel


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
    from torch.utils.dlpack import from_dlpack

    gpu = made(from_dlpack=from_dlpack)
    x = torch.ones((3, 4), dtype=getattr(torch, dtype))[:, ::2]
    got = gpu.view(x)
    assert got.dtype == getattr(torch, seen)
    assert (got.data_ptr(), got.stride()) == (x.data_ptr(), x.stride())


def test_torch_tensors_that_are_conjugated_or_differentiated() -> None:
    backends.get("torch")
    import torch
    from torch.utils.dlpack import from_dlpack

    gpu = made(from_dlpack=from_dlpack)
    x = torch.tensor([1 + 2j, 3 - 4j], requires_grad=True)
    assert gpu.view(x).tolist() == [1 + 2j, 3 - 4j]
    assert gpu.view(x.conj()).tolist() == [1 - 2j, 3 + 4j]
    assert gpu.view(x.conj().imag).tolist() == [-2.0, 4.0]

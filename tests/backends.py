"""Ways of holding an array: libraries, and NumPy arrays that are read-only, strided, reversed or of the other order.

NumPy arrays run on the fastest engine there is; "portable" and "portable-strided" are NumPy arrays on the portable one.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from emulator.device import EmulatedDevice

from upsample.engines.cuda.runtime.device import emulating
from upsample.engines.dispatch import ENGINES

MODULES = {"strict": "array_api_strict", "dask": "dask.array"}
"""What a name is imported as, where that differs."""


@dataclass(frozen=True)
class Backend:
    """A library, or a kind of NumPy array.

    Attributes
    ----------
    name : str
        As in test ids.
    make : callable
        From a NumPy array.
    back : callable
        To a NumPy array.
    mutable : bool
        Whether `out=` can be given.
    options : dict
        What every call is given besides.
    active : callable
        Returns a context in which the calls are made.
    """

    name: str
    make: Callable[[np.ndarray], Any]
    back: Callable[[Any], np.ndarray]
    mutable: bool = True
    options: dict[str, Any] = field(default_factory=dict)
    active: Callable[[], AbstractContextManager[object]] = nullcontext

    def __repr__(self) -> str:
        return self.name


def _readonly(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x.flags.writeable = False
    return x


def _strided(x: np.ndarray) -> np.ndarray:
    """Every second element, on every axis, of a larger array of garbage."""
    large = np.full([2 * n + 1 for n in x.shape], 77).astype(x.dtype)
    view = large[tuple(slice(0, 2 * n, 2) for n in x.shape)]
    view[...] = x
    return view


def _reversed(x: np.ndarray) -> np.ndarray:
    """Negative strides on every axis."""
    back = tuple(slice(None, None, -1) for _ in x.shape)
    return x[back].copy()[back]


def _transposed(x: np.ndarray) -> np.ndarray:
    return np.asfortranarray(x)


def _swapped(x: np.ndarray) -> np.ndarray:
    return x.astype(x.dtype.newbyteorder("<" if sys.byteorder == "big" else ">"))


def _numpy_kind(name: str, make: Callable[[np.ndarray], np.ndarray], **options: Any) -> Backend:
    return Backend(name, make, np.asarray, options=options)


def _strict() -> Backend:
    xp = _module("array_api_strict")
    return Backend("strict", lambda x: xp.asarray(x.copy()), lambda x: np.from_dlpack(x).copy())


def _torch(name: str = "torch", **options: Any) -> Backend:
    torch = _module("torch")
    torch.set_num_threads(1)

    def make(x: np.ndarray) -> Any:
        if x.dtype.name == "bfloat16":
            return torch.from_numpy(x.view(np.int16).copy()).view(torch.bfloat16)
        return torch.from_numpy(np.ascontiguousarray(x).copy())

    def back(x: Any) -> np.ndarray:
        if x.dtype == torch.bfloat16:
            return x.view(torch.int16).numpy().view(_module("ml_dtypes").bfloat16)
        return x.numpy()

    return Backend(name, make, back, options=options)


def _jax() -> Backend:
    jnp = _module("jax.numpy")
    _module("jax").config.update("jax_enable_x64", True)
    return Backend("jax", jnp.asarray, np.asarray, mutable=False)


def _dask() -> Backend:
    array = _module("dask.array")

    def make(x: np.ndarray) -> Any:
        """In several chunks on every axis, and the last of them shorter; not in thousands."""
        return array.from_array(x, chunks=tuple(max(3, n // 4) for n in x.shape))

    return Backend("dask", make, lambda x: x.compute(), mutable=False)


def in_whole_planes(x: Any) -> Any:
    """A Dask array with its planes in one chunk, for indices outside of their own windows; others as they are."""
    return x.rechunk(dict.fromkeys(range(1, x.ndim), -1)) if hasattr(x, "rechunk") else x


def _cupy() -> Backend:
    cupy = _module("cupy")
    try:
        devices = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"CuPy is installed but no CUDA device answers: {error}")
    if devices == 0:
        pytest.skip("CuPy is installed but there is no CUDA device")
    return Backend("cupy", cupy.asarray, cupy.asnumpy)


def _torch_cuda() -> Backend:
    _cupy()
    made, torch = _torch(), _module("torch")
    if not torch.cuda.is_available():
        pytest.skip("torch has no CUDA device")
    torch.backends.cudnn.allow_tf32 = False  # else calls without precision= would round to TF32, as torch does
    return Backend("torch-cuda", lambda x: made.make(x).cuda(), lambda x: made.back(x.cpu()))


def _emulated() -> Backend:
    """NumPy arrays on the CUDA engine, whose kernels the emulator runs."""
    device = EmulatedDevice(order=7)
    return Backend("emulated", np.ascontiguousarray, np.asarray, active=lambda: emulating(device))


def needs_numba() -> None:
    """Skip the test, or the module that is being imported, where there is no compiled engine."""
    pytest.importorskip("numba", reason="numba is not installed: no compiled engine")


def unusable(engine: str) -> str | None:
    """None, or in words why an engine can run nothing here."""
    return next(e.unusable() for e in ENGINES if e.name == engine)


def _module(name: str) -> Any:
    """Import, or skip with a reason in words."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        pytest.skip(f"{name} is not installed: {error}")


_KINDS: dict[str, Callable[[], Backend]] = {
    "numpy": lambda: _numpy_kind("numpy", np.ascontiguousarray),
    "readonly": lambda: _numpy_kind("readonly", _readonly),
    "strided": lambda: _numpy_kind("strided", _strided),
    "reversed": lambda: _numpy_kind("reversed", _reversed),
    "fortran": lambda: _numpy_kind("fortran", _transposed),
    "swapped": lambda: _numpy_kind("swapped", _swapped),
    "portable": lambda: _numpy_kind("portable", np.ascontiguousarray, engine="portable"),
    "portable-strided": lambda: _numpy_kind("portable-strided", _strided, engine="portable"),
    "strict": _strict,
    "torch": _torch,
    "torch-portable": lambda: _torch("torch-portable", engine="portable"),
    "jax": _jax,
    "dask": _dask,
    "cupy": _cupy,
    "torch-cuda": _torch_cuda,
    "emulated": _emulated,
}
NAMES = tuple(_KINDS)
LAYOUTS = ("numpy", "readonly", "strided", "reversed", "fortran", "swapped")
"""NumPy arrays on the fastest engine."""
ON_GPU = frozenset({"cupy", "torch-cuda"})


def get(name: str) -> Backend:
    """Return a backend, or skip where its library is absent."""
    return _KINDS[name]()

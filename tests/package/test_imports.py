"""What `import upsample` loads: NumPy, itself, and nothing that only some users have."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest

LAZY = (
    *("cupy", "torch", "jax", "dask", "numba"),
    *("array_api_compat", "array_api_strict", "ml_dtypes"),
    *("rich", "PIL", "matplotlib", "skimage", "scipy"),
)

REPORT = f"""
import json
print(json.dumps([name for name in {LAZY} if name in sys.modules]))
"""

USE = """
x = np.ones((1, 1, 4, 4))
upsample.interpolate(x, scale_factor=2, mode="bicubic")
maxima, indices = upsample.max_pool2d(x, 2, return_indices=True)
upsample.max_unpool2d(maxima, indices, 2)
upsample.adaptive_max_pool2d(x, 3)
upsample.conv_transpose2d(x, np.ones((1, 1, 2, 2)), np.ones(1))
upsample.pixel_shuffle(np.ones((1, 4, 2, 2)), 2)
upsample.resize(x, scale=2, axes=(2, 3), mode="lanczos", out=np.empty((1, 1, 8, 8)))
upsample.nn.ConvTranspose2d(1, 1, 2)(x.astype(np.float32))
upsample.explain(upsample.interpolate, x, scale_factor=2)
maxima, indexes = upsample.chainer.max_pooling_2d(x, 2, return_indices=True)
upsample.chainer.upsampling_2d(maxima, indexes, 2)
upsample.chainer.resize_images(x.astype(np.float32), (3, 3))
"""


def loaded(code: str) -> list[str]:
    """Return which of `LAZY` a fresh interpreter has loaded after running `code`; warnings are errors there."""
    run = [sys.executable, "-W", "error", "-c", f"import sys\n{code}{REPORT}"]
    done = subprocess.run(run, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_loads_no_other_library() -> None:
    assert loaded("import upsample") == []


def test_using_it_on_numpy_arrays_loads_no_other_library() -> None:
    compiled = {"numba", "scipy"}  # the compiled engine, where it is installed, and what Numba itself loads
    assert set(loaded(f"import numpy as np, upsample\n{USE}")) <= compiled


@pytest.mark.parametrize("name", ["json.tool", "array_api_compat"])
def test_the_probe_sees_what_is_loaded(name: str) -> None:
    assert loaded(f"import {name}") == [name] * (name in LAZY)


def test_import_time(record_property: Callable[[str, object], None]) -> None:
    """Measured, not asserted: what importing costs after NumPy, in the JUnit report and with -s."""
    code = "import time, numpy; t = time.perf_counter(); import upsample; print(time.perf_counter() - t)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=120, check=True)
    seconds = float(done.stdout)
    record_property("import_seconds", seconds)
    print(f"import upsample: {seconds * 1e3:.0f} ms after NumPy")


def test_the_first_import_loads_no_module_that_only_a_gpu_needs() -> None:
    """``importlib.resources`` alone brings 20 modules, such as tempfile and lzma: half of this package's own time."""
    code = "import sys, numpy; before = set(sys.modules); import upsample; print(*sorted(set(sys.modules) - before))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(made.stdout.split())
    assert not loaded & {"importlib.resources", "tempfile", "hashlib", "lzma", "inspect", "upsample.kernels"}
    assert not [name for name in loaded if name.startswith("upsample.engines.cuda.conv_transpose")]


def test_a_first_call_does_not_import_masked_arrays() -> None:
    """Whether an array is masked is asked only when ``numpy.ma`` is there: importing it took 15 ms."""
    code = (
        "import sys, numpy as np, upsample\n"
        "upsample.resize(np.zeros((8, 8, 3), np.uint8), scale=2.0, axes=(0, 1), engine='portable')\n"
        "assert 'numpy.ma' not in sys.modules\n"
        "try: upsample.interpolate(np.ma.ones((1, 1, 4, 4)), scale_factor=2)\n"
        "except TypeError as error: print(error)\n"
    )
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "its mask would be lost" in made.stdout

"""Use the installed package as a user would: nothing but NumPy beside it, nowhere near the checkout."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import numpy as np

import upsample

CHECKOUT = Path(__file__).resolve().parent.parent


def operations() -> None:
    """One call of each kind, with the result that it must have."""
    x = np.arange(16.0).reshape(1, 1, 4, 4)
    equal = np.testing.assert_array_equal

    equal(upsample.interpolate(x[0], scale_factor=2)[0, 0], [0, 0, 1, 1, 2, 2, 3, 3])
    equal(upsample.interpolate(np.asarray([[[0.0, 10.0]]]), size=4, mode="linear"), [[[0, 2.5, 7.5, 10]]])
    maxima, indices = upsample.max_pool2d(x, 2, return_indices=True)
    equal(indices, [[[[5, 7], [13, 15]]]])
    back = upsample.max_unpool2d(maxima, indices, 2)
    equal(back, np.where(np.isin(x, [5, 7, 13, 15]), x, 0))
    weight = np.ones((1, 1, 2, 2))
    equal(upsample.conv_transpose2d(x, weight, stride=2), x.repeat(2, axis=2).repeat(2, axis=3))
    image = np.zeros((20, 30, 3), dtype=np.uint8)
    assert upsample.resize(image, scale=2, axes=(0, 1), mode="cubic").shape == (40, 60, 3)
    equal(upsample.resize(np.asarray([0.0, 10.0]), 4), [0, 2.5, 7.5, 10])

    pooled, places = upsample.chainer.max_pooling_2d(x, 2, return_indices=True)
    equal(upsample.chainer.upsampling_2d(pooled, places, 2, outsize=(4, 4)), back)
    layer = upsample.nn.ConvTranspose2d(1, 2, 3, stride=2, dtype="float64", rng=0)
    equal(layer(x), upsample.conv_transpose2d(x, layer.weight, layer.bias, stride=2))
    assert upsample.explain(upsample.interpolate, x, scale_factor=2).engine in ("cpu", "portable")


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the installed ``upsample``."""
    name = Path(sys.executable).with_name("upsample.exe" if sys.platform == "win32" else "upsample")
    return subprocess.run([name, *arguments], capture_output=True, encoding="utf-8", timeout=120, check=False)


def command_line() -> None:
    """``info`` and ``bench`` need nothing more; ``demo`` says in one line what it needs."""
    info = command("info")
    assert info.returncode == 0, info
    assert info.stderr == "", info.stderr
    assert metadata.version("upsample") in info.stdout
    print(info.stdout)
    bench = command("bench", "--quick")
    assert bench.returncode == 0, bench
    assert bench.stderr == "", bench.stderr
    assert "Not installed, so not measured: torch, OpenCV" in bench.stdout, bench.stdout
    demo = command("demo")
    assert demo.returncode == 2, demo
    assert demo.stdout == "", demo.stdout
    assert len(demo.stderr.splitlines()) == 1, demo.stderr
    assert 'pip install "upsample[demo]"' in demo.stderr, demo.stderr
    print(f"$ upsample demo\n{demo.stderr}", end="")


def main() -> None:
    """Check where the package comes from, then use it."""
    where = Path(upsample.__file__).resolve()
    assert not where.is_relative_to(CHECKOUT), f"{where} is the checkout's"
    assert upsample.__version__ == metadata.version("upsample")
    assert resources.files("upsample").joinpath("py.typed").is_file()
    assert resources.files("upsample.kernels").joinpath("__init__.py").is_file()
    operations()
    command_line()
    print(f"upsample {upsample.__version__} works on NumPy {np.__version__}")


main()

"""Type checkers see a misspelt text, and know what layers and `vjp` return."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from upsample import jax, literals, precision, scipy
from upsample.borders import BOUNDARIES
from upsample.engines.dispatch import ENGINES
from upsample.functional.interpolate import MODES
from upsample.plans.filters import FILTERS
from upsample.skimage.calls import MODES as SKIMAGE_MODES

ROOT = Path(__file__).parents[2]
HEAD = """
from typing import Any
import numpy as np
from numpy.typing import NDArray
import upsample
from upsample import chainer, keras, nn, onnx, scipy, skimage, tensorflow
x: NDArray[np.float64] = np.zeros((1, 1, 2, 2))
i: NDArray[np.int64] = np.zeros((1, 1, 2, 2), np.int64)
y: NDArray[np.float64] = x
"""
RIGHT = """
y = upsample.interpolate(x, scale_factor=2, mode="nearest-exact", engine="portable")
y = upsample.resize(x, scale=2, mode=["linear", "spline3"], boundary="wrap", nan="omit")
y = upsample.max_unpool2d(x, i, 2, duplicates="sum", duplicate_grad="all")
y = upsample.conv_transpose2d(x, x, precision="tf32x3")
y = nn.Upsample(scale_factor=2, mode="bicubic")(x)
y = nn.ConvTranspose2d(1, 1, 2, padding_mode="zeros")(x)
y = nn.MaxPool2d(2)(x)
maxima, indices = nn.MaxPool2d(2, return_indices=True)(x)
y, pullback = upsample.vjp(upsample.interpolate, x, scale_factor=2)
y = pullback(y)[0]
number = upsample.vjp(lambda x: 1, x)[0] + 1
"""
WRONG = """
upsample.interpolate(x, scale_factor=2, mode="biliner")
upsample.upsample(x, scale_factor=2, mode="lanczos")
upsample.interpolate(x, scale_factor=2, engine="gpu")
upsample.resize(x, scale=2, mode="bilinear")
upsample.resize(x, scale=2, mode=["linear", "cubik"])
upsample.resize(x, scale=2, boundary="zeros")
upsample.resize(x, scale=2, nan="drop")
upsample.max_unpool2d(x, i, 2, duplicates="add")
upsample.max_unpool2d(x, i, 2, duplicate_grad="first")
upsample.max_pool2d(x, 2, engine="numba")
upsample.conv_transpose2d(x, x, precision="tf16")
nn.Upsample(scale_factor=2, mode="lanczos")
nn.PixelShuffle(2, engine="torch")
nn.ConvTranspose2d(1, 1, 2, padding_mode="reflect")
chainer.resize_images(x, (2, 2), mode="bicubic")
keras.resize(x, (2, 2), interpolation="area")
onnx.resize(x, sizes=(1, 1, 2, 2), mode="bilinear")
scipy.zoom(x, 2, mode="edge")
skimage.resize(x, (2, 2), mode="nearest")
tensorflow.resize(x, (2, 2), method="linear")
nn.Upsample(scale_factor=2)(x).flattened
upsample.vjp(upsample.interpolate, x, scale_factor=2)[0].flattened
upsample.vjp(upsample.interpolate, x, scale_factor=2)[1](x, x)
"""


@pytest.mark.parametrize(
    ("alias", "known"),
    [
        ("EngineName", [engine.name for engine in ENGINES]),
        ("InterpolateMode", MODES),
        ("ResizeMode", FILTERS),
        ("Boundary", BOUNDARIES),
        ("Precision", precision.PRECISIONS),
        ("ScipyMode", scipy.MODES),
        ("SkimageMode", SKIMAGE_MODES),
        ("JaxMethod", jax._METHODS),
    ],
)
def test_types_have_what_calls_take(alias: str, known: object) -> None:
    named = get_args(getattr(literals, alias))
    flat = [text for part in named for text in ([part] if isinstance(part, str) else get_args(part))]
    assert sorted(flat) == sorted(known)


def test_mypy_sees_every_typo_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("mypy", reason="mypy is not installed, and this test runs it")
    file = tmp_path / "calls.py"
    file.write_text(HEAD + RIGHT + WRONG)
    flags = ["--strict", "--follow-imports=silent", "--hide-error-context", "--no-pretty", "--no-error-summary"]
    made = subprocess.run(
        [sys.executable, "-m", "mypy", *flags, "--config-file", ROOT / "pyproject.toml", file],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    first = (HEAD + RIGHT).count("\n") + 2  # WRONG begins with an empty line
    errors = {int(line.split(":")[1]) for line in made.stdout.splitlines() if ": error: " in line}
    assert errors == set(range(first, first + len(WRONG.split("\n")) - 2)), made.stdout + made.stderr


def test_pyright_sees_every_typo_and_nothing_else(tmp_path: Path) -> None:
    """Unlike mypy, it takes an attribute's type from the class above, if a class below only assigns it."""
    pytest.importorskip("pyright", reason="pyright is not installed, and this test runs it")
    (tmp_path / "calls.py").write_text(HEAD + RIGHT + WRONG)
    (tmp_path / "pyrightconfig.json").write_text(json.dumps({"extraPaths": [str(ROOT)]}))
    made = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=200,
    )
    if not made.stdout.startswith("{"):
        pytest.skip(f"pyright is not installed with Node.js (pyright[nodejs]): {made.stderr[-200:]}")
    found = [said for said in json.loads(made.stdout)["generalDiagnostics"] if said["severity"] == "error"]
    first = (HEAD + RIGHT).count("\n") + 2
    errors = {said["range"]["start"]["line"] + 1 for said in found}
    assert errors == set(range(first, first + len(WRONG.split("\n")) - 2)), [said["message"] for said in found]

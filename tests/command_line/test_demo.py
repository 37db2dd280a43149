"""``upsample demo``: its table and its gallery, exit codes, and what is said where something is missing."""

from __future__ import annotations

import dataclasses
import io
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from backends import unusable

import upsample
from upsample import chainer, functional, reference
from upsample.__main__ import main

Complains = Callable[..., None]
DEMO = ("rich", "PIL", "matplotlib")
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def demo_modules() -> None:
    for name in DEMO:
        pytest.importorskip(name)


@pytest.fixture
def photo(tmp_path: Path, demo_modules: None) -> Path:
    """47 by 61 pixels: cut to 44 by 60, with structure in every channel."""
    from PIL import Image

    y, x = np.mgrid[:61, :47]
    pixels = np.stack([(x * y) % 256, (x * 5) % 256, (y * 3 + x) % 256], axis=2).astype(np.uint8)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels).save(path)
    return path


def test_the_demo_runs_every_operation_and_draws_the_gallery(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from PIL import Image

    from upsample.command_line.demo import cases

    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    output = tmp_path / "gallery.png"
    assert main(["demo", str(photo), "--output", str(output), "--engine", "portable"]) == 0
    said, complained = capsys.readouterr()
    lines = said.splitlines()
    count = len(cases(np.zeros((32, 32, 3), np.uint8)))
    assert f"Wrote {output}; all {count} rows agree with the float64 reference." in lines
    assert sum(line.rstrip().endswith(" ok") for line in lines) == count > 60
    assert max(len(line) for line in lines if not line.startswith(("Wrote", "Without"))) <= 80
    assert any(line.startswith("Without the compiled engine") for line in lines) == (unusable("cpu") is not None)
    assert "\x1b" not in said
    assert complained == ""
    assert output.read_bytes().startswith(PNG)
    assert 50_000 < output.stat().st_size < 1_500_000
    with Image.open(output) as gallery:
        assert gallery.size == (1600, 1656)


def test_the_demo_leaves_no_operation_out(demo_modules: None) -> None:
    from upsample.command_line.demo import cases

    image = np.zeros((32, 32, 3), np.uint8)
    shown = {case.name for case in cases(image)}
    torch = {name.removesuffix("_with_indices") for name in functional.__all__} - {
        "upsample",  # deprecated names of interpolate
        "upsample_nearest",
        "upsample_bilinear",
    }
    other = {"chainer." + name for name in chainer.__all__ if not name.endswith(("_1d", "_3d", "_nd"))}
    assert shown == torch | other | {"resize"}
    assert {case.arrays[0].dtype.name for case in cases(image)} == {"float32", "float16", "uint8"}


def test_a_wide_terminal_gets_one_line_a_row(demo_modules: None) -> None:
    from rich.console import Console

    from upsample.command_line.demo import cases, measure, table

    row = measure(cases(np.ones((32, 32, 3), np.uint8))[0], None, None)
    assert row is not None
    console = Console(width=160, file=io.StringIO())
    console.print(table([row], 1))
    (line,) = [line for line in console.file.getvalue().splitlines() if "nearest" in line]
    assert line.split()[:6] == ["interpolate", "nearest", "×2", "1×3×32×32", "1×3×64×64", "float32"]
    assert line.split()[6] in ("portable", "cpu")


def test_a_deviation_marks_its_row_and_the_exit_code(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = reference.conv_transpose
    monkeypatch.setattr(reference, "conv_transpose", lambda *args, **options: real(*args, **options) + 1e-3)
    assert main(["demo", str(photo), "--output", str(tmp_path / "gallery.png")]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert any("5 of 73 rows deviate from the float64 reference." in line for line in lines)
    off = [line for line in lines if "OFF" in line]
    assert len(off) == 5
    assert all(line.lstrip().startswith("conv_transpose") for line in off)


@pytest.mark.parametrize("fault", ["shape", "dtype", "nan"])
def test_what_no_tolerance_covers(fault: str, demo_modules: None) -> None:
    from upsample.command_line.demo import cases, measure

    case = next(c for c in cases(np.ones((32, 32, 3), np.uint8)) if c.label.startswith("bilinear"))
    good = measure(case, None, None)
    assert good is not None
    assert good.agrees
    spoil = {"shape": lambda y: y[:, :, 1:], "dtype": lambda y: y.astype(np.float64), "nan": lambda y: y * np.nan}

    def spoiled(*args: object, **options: object) -> np.ndarray:
        return spoil[fault](upsample.interpolate(*args, **options))

    row = measure(dataclasses.replace(case, function=spoiled), None, None)
    assert row is not None
    assert not row.agrees


def test_rows_that_an_engine_cannot_run_are_left_out(demo_modules: None) -> None:
    from upsample.command_line.demo import cases, measure

    case = cases(np.ones((32, 32, 3), np.uint8))[0]
    assert measure(case, "cuda" if unusable("cuda") else "nowhere", None) is None


def test_arrays_of_cupy_travel_there_and_back(demo_modules: None) -> None:
    from upsample.command_line.demo import cases, measure

    calls: list[str] = []

    def note(name: str, result: object = None):
        return lambda *args: (calls.append(name), args[0] if args else result)[1]

    runtime = SimpleNamespace(deviceSynchronize=note("synchronize"))
    cupy = SimpleNamespace(asarray=note("there"), asnumpy=note("back"), cuda=SimpleNamespace(runtime=runtime))
    row = measure(cases(np.ones((32, 32, 3), np.uint8))[0], None, cupy)
    assert row is not None
    assert row.agrees
    assert calls[0] == "there"
    assert calls[-1] == "back"
    assert "synchronize" in calls


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.png", None, "No such file"),
        ("notes.png", b"no image, only words\n", "no image in it"),
        ("empty.png", b"", "no image in it"),
        ("cut.png", PNG + b"\0\0\0\rIHDR", "no image in it"),
    ],
)
def test_what_is_no_image(
    name: str, content: bytes | None, words: str, tmp_path: Path, demo_modules: None, complains: Complains
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert main(["demo", str(path), "--output", str(tmp_path / "gallery.png")]) == 2
    complains("upsample demo: cannot read", words)
    assert not (tmp_path / "gallery.png").exists()


def test_an_image_that_is_too_small(tmp_path: Path, demo_modules: None, complains: Complains) -> None:
    from PIL import Image

    Image.new("RGB", (31, 400)).save(tmp_path / "thin.png")
    assert main(["demo", str(tmp_path / "thin.png")]) == 2
    complains("31x400 pixels", "at least 32x32")


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "HSV", "I;16", "I", "F"])
def test_every_mode_of_an_image(mode: str, tmp_path: Path, demo_modules: None) -> None:
    from PIL import Image

    from upsample.command_line.gallery import load

    ramp = np.linspace(0, 1, 40 * 36).reshape(36, 40)
    if mode in ("I;16", "I", "F"):
        dtype = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        image = Image.fromarray((ramp * 60000).astype(dtype))
    else:
        image = Image.fromarray((ramp * 255).astype(np.uint8)).convert("RGB").convert(mode)
    assert image.mode == mode
    image.save(tmp_path / "image.tiff") if mode != "HSV" else image.convert("RGB").save(tmp_path / "image.tiff")
    pixels, (top, left) = load(tmp_path / "image.tiff")
    assert pixels.shape == (36, 40, 3)
    assert pixels.dtype == np.uint8
    assert pixels[0, 0].max() < 60
    assert pixels[-1, -1].min() > 195
    assert 0 <= top <= 36 - 24
    assert 0 <= left <= 40 - 24


def test_transparent_pixels_are_white(tmp_path: Path, demo_modules: None) -> None:
    from PIL import Image

    from upsample.command_line.gallery import load

    Image.new("RGBA", (32, 32), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert (load(tmp_path / "clear.png")[0] == 255).all()


def test_the_photograph_needs_no_path(demo_modules: None) -> None:
    from upsample.command_line.gallery import load

    image, detail = load(None)
    assert image.shape == (512, 512, 3)
    assert detail == (92, 191)


def test_where_the_gallery_cannot_go(photo: Path, tmp_path: Path, complains: Complains) -> None:
    assert main(["demo", str(photo), "--output", str(tmp_path / "absent" / "gallery.png")]) == 2
    complains("No such file or directory", "absent")
    assert main(["demo", str(photo), "--output", str(tmp_path / "gallery.jpg")]) == 2
    complains("gallery.jpg: the name must end in .png")
    before = photo.read_bytes()
    assert main(["demo", str(photo), "--output", str(photo)]) == 2
    complains("would overwrite the image")
    assert photo.read_bytes() == before


def test_an_engine_that_cannot_run(photo: Path, complains: Complains, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = import_module("upsample.command_line.demo")  # the attribute may be another test's
    absent = SimpleNamespace(name="cuda", unusable=lambda: "there is no GPU")
    monkeypatch.setattr(demo, "ENGINES", (absent,))
    assert main(["demo", str(photo), "--engine", "cuda"]) == 2
    complains("the cuda engine cannot run here: there is no GPU")


@pytest.mark.parametrize("missing", DEMO)
def test_a_missing_extra_is_named(
    missing: str,
    demo_modules: None,
    complains: Complains,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for name in [n for n in sys.modules if n.partition(".")[0] == missing]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("upsample.command_line.demo", "upsample.command_line.gallery"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, missing, None)
    assert main(["demo", "--output", str(tmp_path / "gallery.png")]) == 2
    complains('pip install "upsample[demo]"')


def test_a_terminal_is_told_of_every_step(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From before anything is computed: the first kernels compile for seconds."""
    demo = import_module("upsample.command_line.demo")  # a test before may have left another one in the package
    progress = import_module("upsample.command_line.progress")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    said: list[str] = []
    monkeypatch.setattr(progress._Bar, "begin", lambda self, name: said.append(name))
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(demo, "cases", lambda image: [])
    assert main(["demo", str(photo), "--output", str(tmp_path / "out.png"), "--engine", "portable"]) == 0
    first, second, third = said
    assert first == "asking the engines"
    assert "kernels compile" in second
    assert third == "preparing the cases"
    assert sys.stderr.getvalue().startswith("upsample demo: loading")

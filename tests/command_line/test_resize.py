"""``upsample resize``: picture files of every kind, and errors of one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import noise

import upsample
from upsample.__main__ import main

Image: Any = pytest.importorskip("PIL.Image", reason="PIL is not installed")
BYTES = noise(20, 30, 3, dtype="uint8")
OPTIONS: dict[str, Any] = {"axes": (0, 1), "mode": "cubic", "antialias": True, "cubic_coeff": -0.5}


def run(source: Path, target: Path, *more: str) -> Any:
    """Resize, and return the picture."""
    assert main(["resize", str(source), str(target), *more]) == 0
    with Image.open(target) as made:
        made.load()
    return made


def saved(folder: Path, name: str, pixels: np.ndarray, mode: str | None = None, **options: Any) -> Path:
    picture = Image.frombytes(mode, pixels.shape[1::-1], pixels.tobytes()) if mode else Image.fromarray(pixels)
    picture.save(folder / name, **options)
    return folder / name


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp", ".webp"])
def test_the_numbers_are_those_of_resize(tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    source = saved(tmp_path, f"in{suffix}", BYTES, **({"lossless": True} if suffix == ".webp" else {}))
    made = run(source, tmp_path / "out.png", "--size", "12x8")
    np.testing.assert_array_equal(np.asarray(made), upsample.resize(BYTES, (8, 12), **OPTIONS))
    assert capsys.readouterr().out == f"{tmp_path / 'out.png'}: 30 × 20 to 12 × 8, cubic\n"
    made = run(source, tmp_path / "out.png", "--scale", "2", "--mode", "nearest-exact")
    np.testing.assert_array_equal(np.asarray(made), BYTES.repeat(2, 0).repeat(2, 1))
    made = run(source, tmp_path / "out.png", "--scale", "0.5", "--mode", "linear", "--no-antialias")
    np.testing.assert_array_equal(np.asarray(made), upsample.resize(BYTES, (10, 15), axes=(0, 1)))


def test_proportions(tmp_path: Path) -> None:
    source = saved(tmp_path, "in.png", BYTES)
    assert run(source, tmp_path / "out.jpg", "--size", "15x").size == (15, 10)
    assert run(source, tmp_path / "out.jpg", "--size", "x5").size == (8, 5)
    assert run(source, tmp_path / "out.jpg", "--scale", "0.01").size == (1, 1)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits(tmp_path: Path, suffix: str) -> None:
    x = np.random.default_rng(0).integers(0, 65536, (20, 30), dtype=np.uint16)
    source = saved(tmp_path, f"in{suffix}", x, "I;16")
    made = run(source, tmp_path / f"out{suffix}", "--size", "12x8")
    assert made.mode == "I;16"
    np.testing.assert_array_equal(np.asarray(made), upsample.resize(x, (8, 12), **OPTIONS))


def test_real_numbers(tmp_path: Path) -> None:
    x = noise(20, 30).astype(np.float32)
    made = run(saved(tmp_path, "in.tif", x), tmp_path / "out.tif", "--size", "12x8")
    np.testing.assert_array_equal(np.asarray(made), upsample.resize(x, (8, 12), **OPTIONS))


def test_what_is_invisible_colours_nothing(tmp_path: Path) -> None:
    x = np.zeros((20, 30, 4), dtype=np.uint8)
    x[:, :15] = (255, 0, 0, 255)
    x[:, 15:] = (0, 255, 0, 0)  # green, and invisible
    made = np.asarray(run(saved(tmp_path, "in.png", x), tmp_path / "out.png", "--size", "13x8"))
    seen = made[made[..., 3] > 8]
    assert (seen[:, 0] >= 253).all()
    assert (seen[:, 1] == 0).all()
    assert {0, 255} < set(made[..., 3].reshape(-1).tolist())


def test_gray_with_opacity_palettes_and_ink(tmp_path: Path) -> None:
    gray = saved(tmp_path, "la.png", noise(20, 30, 2, dtype="uint8"), "LA")
    assert run(gray, tmp_path / "out.png", "--size", "12x8").mode == "LA"
    Image.fromarray(BYTES).quantize(16).save(tmp_path / "p.png")
    assert run(tmp_path / "p.png", tmp_path / "out.png", "--size", "12x8").mode == "RGB"
    Image.fromarray(BYTES).quantize(16).save(tmp_path / "t.png", transparency=3)
    assert run(tmp_path / "t.png", tmp_path / "out.png", "--size", "12x8").mode == "RGBA"
    Image.fromarray(BYTES[..., 0] > 100).save(tmp_path / "b.png")
    assert run(tmp_path / "b.png", tmp_path / "out.png", "--size", "12x8").mode == "L"
    Image.fromarray(BYTES).convert("CMYK").save(tmp_path / "c.tif")
    assert run(tmp_path / "c.tif", tmp_path / "out.tif", "--size", "12x8").mode == "CMYK"


def test_a_camera_held_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a maker"  # turn by a quarter
    saved(tmp_path, "in.jpg", BYTES, exif=exif, quality=100, icc_profile=b"profile")
    made = run(tmp_path / "in.jpg", tmp_path / "out.jpg", "--scale", "0.5")
    assert made.size == (10, 15)
    assert made.getexif().get(0x0112, 1) == 1
    assert made.getexif()[0x010F] == "a maker"
    assert made.info["icc_profile"] == b"profile"


def failed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the one line of a command that fails."""
    capsys.readouterr()
    assert main(["resize", *map(str, arguments)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line = captured.err.splitlines()[-1]
    assert "Traceback" not in captured.err
    return line


def test_errors_of_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, out = saved(tmp_path, "in.png", BYTES), tmp_path / "out.png"
    half = ("--scale", "0.5")
    assert "No such file" in failed(capsys, tmp_path / "none.png", out, *half)
    assert "no folder" in failed(capsys, source, tmp_path / "none" / "out.png", *half)
    assert "'.xyz' is no format" in failed(capsys, source, tmp_path / "out.xyz", *half).replace(".xyz is", "'.xyz' is")
    assert "no suffix" in failed(capsys, source, tmp_path / "out", *half)
    (tmp_path / "text.png").write_text("no picture")
    assert "no picture that Pillow knows" in failed(capsys, tmp_path / "text.png", out, *half)
    for name, options in (("cut.png", {}), ("cut.jpg", {"quality": 95}), ("cut.tif", {})):
        whole = saved(tmp_path, name, noise(200, 300, 3, dtype="uint8"), **options)
        whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
        assert "truncated" in failed(capsys, whole, out, *half)
    assert not out.exists()
    alpha = saved(tmp_path, "alpha.png", noise(20, 30, 4, dtype="uint8"))
    assert "JPEG holds no RGBA" in failed(capsys, alpha, tmp_path / "out.jpg", *half)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("tmp")] == []
    assert "is no size" in failed(capsys, source, out, "--size", "20")
    assert "is no factor" in failed(capsys, source, out, "--scale", "-1")
    assert "required" in failed(capsys, source, out)
    assert "invalid choice" in failed(capsys, source, out, *half, "--mode", "cubik")


def test_sixteen_bits_of_colour_are_not_cut_in_silence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2 = pytest.importorskip("cv2", reason="cv2 is not installed")
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((8, 8, 3), 1000, dtype=np.uint16))
    assert "16 bits a channel" in failed(capsys, tmp_path / "deep.png", tmp_path / "out.png", "--scale", "2")


def test_without_pillow(tmp_path: Path) -> None:
    code = "import sys; sys.modules['PIL'] = None; from upsample.__main__ import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "resize", "in.png", "out.png", "--scale", "2"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == 'upsample resize needs Pillow: pip install "upsample[image]"\n'

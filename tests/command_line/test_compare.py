"""`upsample compare`, and the function: what two libraries make of one image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import upsample
from upsample import comparison, opencv, pillow
from upsample.__main__ import main

IMAGE = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)


def library(name: str) -> object:
    return pytest.importorskip(name, reason=f"{name} is not installed")


def test_it_is_the_difference_of_the_dialects() -> None:
    found = upsample.compare("pillow:bilinear", "opencv:linear", IMAGE, (17, 11))
    a, b = pillow.resize(IMAGE, (17, 11), pillow.BILINEAR), opencv.resize(IMAGE, (17, 11))
    np.testing.assert_array_equal(found.first, a)
    np.testing.assert_array_equal(found.second, b)
    wanted = a.astype(int) - b.astype(int)
    np.testing.assert_array_equal(found.difference, wanted)
    assert found.largest == np.abs(wanted).max() == abs(wanted[found.where])
    assert found.mean == pytest.approx(np.abs(wanted).mean())
    assert found.share == (wanted != 0).mean()
    assert found.picture()[found.where] == 255
    assert found.picture().dtype == np.uint8
    assert f"the largest difference is {found.largest:g}" in str(found)


def test_the_same_way_has_no_difference() -> None:
    found = upsample.compare("torch:bicubic", "torch:bicubic", IMAGE[..., 0], (9, 50))
    assert (found.largest, found.mean, found.share) == (0, 0, 0)
    assert not found.picture().any()
    assert "no value differs" in str(found)


@pytest.mark.parametrize("way", comparison.ways())
def test_every_way_runs(way: str) -> None:
    for image in (IMAGE, IMAGE[..., 0]):
        made = comparison.resized(way, np.ascontiguousarray(image), (20, 30))
        assert made.shape == (30, 20, *image.shape[2:])
    with np.errstate(all="raise"):
        flat = comparison.resized(way, np.full((9, 7), 77, dtype=np.uint8), (4, 5))
    np.testing.assert_allclose(flat, 77, atol=1e-4)


def test_a_portrait_differs_between_versions_of_pillow() -> None:
    tall = np.random.default_rng(1).integers(0, 256, (128, 64, 3), dtype=np.uint8)
    found = upsample.compare("pillow:bilinear", "pillow@12:bilinear", tall, (56, 56))
    assert found.largest == 1
    assert found.share > 0.05


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: upsample.compare("pillow", "opencv:linear", IMAGE), ValueError, "a='pillow'"),
        (lambda: upsample.compare("opencv:linear", 3, IMAGE), TypeError, "b=3"),
        (lambda: upsample.compare("opencv:linear", "opencv:area", IMAGE.tolist()), TypeError, "image="),
        (lambda: upsample.compare("opencv:linear", "opencv:area", IMAGE[0, 0]), ValueError, "image="),
        (lambda: upsample.compare("opencv:linear", "opencv:area", IMAGE, (3, 0)), ValueError, "size[1]=0"),
    ],
)
def test_errors(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = library("PIL.Image")
    path, output = tmp_path / "in.png", tmp_path / "out.png"
    image.fromarray(IMAGE).save(path)
    call = ["compare", "pillow:bilinear", "torch:bilinear", str(path), "--size", "20x10", "--output", str(output)]
    assert main(call) == 0
    said = capsys.readouterr().out
    assert str(upsample.compare("pillow:bilinear", "torch:bilinear", IMAGE, (20, 10))) in said
    with image.open(output) as drawn:
        assert drawn.size == (60, 10)
    assert main(["compare", "pillow:bilinear", "nothing", str(path)]) == 2
    assert "opencv:area" in capsys.readouterr().err
    assert main(["compare", "pillow:box", "opencv:area", str(tmp_path / "none.png")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main(["compare", "pillow:box", "opencv:area", str(path), "--output", str(tmp_path / "out.nothing")]) == 2
    assert "cannot be written" in capsys.readouterr().err
    assert main(["compare", "pillow:box", "opencv:area", str(path), "--size", "20"]) == 2
    assert "20" in capsys.readouterr().err


def test_command_has_a_photograph(capsys: pytest.CaptureFixture[str]) -> None:
    library("PIL")
    assert main(["compare", "pillow:box", "opencv:area", "--size", "16x16"]) == 0
    assert "16 × 16" in capsys.readouterr().out

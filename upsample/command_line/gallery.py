"""The photograph of ``upsample demo``: how it is read, and the gallery that shows the modes side by side."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, ImageOps

import upsample
from upsample import chainer
from upsample.command_line.inputs import bilinear_weight, photograph
from upsample.literals import InterpolateMode

__all__ = ["ImageError", "draw", "load"]

Pixels = NDArray[Any]

LARGEST = 512
"""Side of the crop for the demo, in pixels; the reference loops take seconds on it."""
SMALLEST = 32

# Of the gallery, in its pixels.
PANEL = 288
"""Side of a panel in pixels; 24, 36 and 48 divide it, so all enlarged pixels have one size."""
GAP, MARGIN = 20, 40
TITLE, HEADING, LABEL = 84, 50, 30
COLUMNS = 5
DETAIL = 24
"""Side of the crop that is enlarged, in pixels of the photograph."""
PAPER, INK, FAINT, MARK = "#ffffff", "#1b1f24", "#5b6570", (255, 32, 96)
DPI = 100


class ImageError(Exception):
    """An image that cannot be used; the message is one line."""


def load(path: str | Path | None) -> tuple[Pixels, tuple[int, int]]:
    """Return an image, cropped to its centre, and the position of its most detailed part.

    Parameters
    ----------
    path : str or Path, optional
        Any image file that Pillow opens; None is the photograph of Eileen Collins.

    Returns
    -------
    image : array
        ``[H, W, 3]``, uint8; sides that 4 divides, from 32 to 512.
    detail : (int, int)
        Top and left of 24 by 24 pixels: an eye of the photograph, or the part that changes most.

    Raises
    ------
    ImageError
        No such file, no image, or one of fewer than 32 by 32 pixels.
    """
    if path is None:
        return photograph(), (92, 191)
    try:
        with Image.open(path) as opened:
            pixels = _rgb(ImageOps.exif_transpose(opened))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        why = getattr(error, "strerror", None) or "Pillow finds no image in it"
        raise ImageError(f"cannot read {str(path)!r}: {why}") from error
    height, width = (min(side // 4 * 4, LARGEST) for side in pixels.shape[:2])
    if min(height, width) < SMALLEST:
        size = f"{pixels.shape[1]}x{pixels.shape[0]}"
        raise ImageError(f"{str(path)!r} has {size} pixels; the demo needs at least {SMALLEST}x{SMALLEST}")
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    image = np.ascontiguousarray(pixels[top : top + height, left : left + width])
    return image, _busiest(image)


def _rgb(image: Image.Image) -> Pixels:
    """Convert any mode: over white where it is transparent, stretched to 0..255 where its samples are wider."""
    if image.mode == "F" or image.mode.startswith("I"):
        wide = np.nan_to_num(np.asarray(image).astype(np.float64))
        low, high = float(wide.min()), float(wide.max())
        grey = np.rint((wide - low) * (255 / (high - low or 1.0))).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return np.asarray(image.convert("RGB"))


def _busiest(image: Pixels) -> tuple[int, int]:
    """Top and left of the crop in which neighbouring pixels differ most."""
    grey = image.astype(np.float64).mean(axis=2)
    change = np.abs(np.diff(grey, axis=0))[:, :-1] + np.abs(np.diff(grey, axis=1))[:-1]
    table = np.pad(change.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    side = DETAIL - 1
    total = table[side:, side:] - table[:-side, side:] - table[side:, :-side] + table[:-side, :-side]
    top, left = np.unravel_index(int(total.argmax()), total.shape)
    return int(top), int(left)


def draw(image: Pixels, detail: tuple[int, int], path: str | Path) -> None:
    """Draw the gallery: enlarging, shrinking, pooling and its inverses, each on equal crops side by side.

    Parameters
    ----------
    image : array
        ``[H, W, 3]``, uint8, as `load` returns it.
    detail : (int, int)
        Top and left of the crop to enlarge.
    path : str or Path
        The PNG file to write.

    Raises
    ------
    ImageError
        The suffix of the path is not .png.
    OSError
        The file cannot be written.
    """
    if Path(path).suffix.lower() != ".png":
        raise ImageError(f"--output {path}: the name must end in .png")
    rows = [_enlarged(image, detail), _shrunk(image), _pooled(image, detail), _spread(image, detail)]
    width = 2 * MARGIN + COLUMNS * PANEL + (COLUMNS - 1) * GAP
    height = TITLE + len(rows) * (HEADING + LABEL + PANEL + GAP) + MARGIN - GAP
    canvas = np.full((height, width, 3), 255, dtype=np.uint8)
    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor=PAPER)
    agg = FigureCanvasAgg(figure)

    def write(x: int, y: int, text: str, size: float, colour: str, weight: str = "normal") -> None:
        figure.text(x / width, 1 - y / height, text, size=size, color=colour, weight=weight, va="baseline")

    write(MARGIN, 54, "upsample: what the modes do", 20, INK, "bold")
    for number, (heading, panels) in enumerate(rows):
        top = TITLE + number * (HEADING + LABEL + PANEL + GAP)
        write(MARGIN, top + 28, heading, 13, FAINT)
        for column, (label, panel) in enumerate(panels):
            left, below = MARGIN + column * (PANEL + GAP), top + HEADING + LABEL
            write(left, below - 9, label, 11.5, INK)
            canvas[below : below + PANEL, left : left + PANEL] = panel
    figure.figimage(canvas, origin="upper", zorder=-1)
    agg.draw()
    drawn = np.asarray(agg.buffer_rgba())
    Image.fromarray(np.ascontiguousarray(drawn[:, :, :3])).save(path, format="PNG", optimize=True)


Panels = Iterator[tuple[str, Pixels]]


def _enlarged(image: Pixels, detail: tuple[int, int]) -> tuple[str, Panels]:
    crop = _crop(image, detail, DETAIL)

    def panels() -> Panels:
        yield "the photograph", _photograph(image, detail)
        for mode in ("nearest", "bilinear", "bicubic", "lanczos"):
            yield mode, _pixels(upsample.interpolate(crop, size=(PANEL, PANEL), mode=mode, antialias=mode == "lanczos"))

    return f"interpolate, enlarged {PANEL // DETAIL} times: the {DETAIL} × {DETAIL} marked pixels", panels()


def _shrunk(image: Pixels) -> tuple[str, Panels]:
    """The centre of the top: there a portrait has its face."""
    side = max(k for k in range(1, min(image.shape[:2]) // 8 + 1) if PANEL % k == 0)
    square = _crop(image, (0, (image.shape[1] - 8 * side) // 2), 8 * side)

    def panels() -> Panels:
        modes: tuple[tuple[InterpolateMode, bool], ...] = (
            ("nearest", False),
            ("bilinear", False),
            ("area", False),
            ("bilinear", True),
            ("lanczos", True),
        )
        for mode, antialias in modes:
            small = upsample.interpolate(square, size=(side, side), mode=mode, antialias=antialias)
            yield mode + (", antialias" if antialias else ""), _pixels(small)

    sizes = f"{8 * side} × {8 * side} to {side} × {side}"
    return f"interpolate, shrunk 8 times, {sizes}: the first two skip pixels, the others weigh all", panels()


def _pooled(image: Pixels, detail: tuple[int, int]) -> tuple[str, Panels]:
    crop = _crop(image, detail, 2 * DETAIL)
    size = crop.shape[2:]

    def panels() -> Panels:
        yield "the crop", _pixels(crop)
        grey = np.repeat(crop.mean(axis=1, keepdims=True), 3, axis=1)  # else each channel has its maxima elsewhere
        values, indices = upsample.max_pool2d_with_indices(grey, 3, 2, 1)
        for rule in ("last", "sum"):
            back = upsample.max_unpool2d(values, indices, 3, 2, 1, output_size=size, duplicates=rule)
            yield f"max_unpool2d, k3 s2, {rule}, ÷ 2", _pixels(back / 2)
        for kernel, overlaps in ((2, 1), (3, 4)):
            values = upsample.max_pool2d(crop, kernel, 2, kernel // 3)
            back = chainer.unpooling_2d(values, kernel, 2, kernel // 3, size, False)
            yield f"chainer.unpooling_2d, k{kernel} s2" + f", ÷ {overlaps}" * (kernel == 3), _pixels(back / overlaps)

    way = f"Max-pooled {size[0]} × {size[1]} to half, and back"
    return f"{way}: at the maxima, or over whole windows; overlaps add (÷: shown darker)", panels()


def _spread(image: Pixels, detail: tuple[int, int]) -> tuple[str, Panels]:
    crop = _crop(image, detail, 2 * DETAIL)

    def panels() -> Panels:
        half = upsample.interpolate(crop, scale_factor=0.5, mode="area")
        yield "half the size", _pixels(half)
        spread = upsample.conv_transpose2d(half, bilinear_weight(3, 2), None, 2, 1, 0, 3)
        yield "conv_transpose2d, k4 s2 p1", _pixels(spread)
        deep = upsample.pixel_unshuffle(crop, 2)
        mosaic = deep.reshape(3, 2, 2, DETAIL, DETAIL).transpose(0, 1, 3, 2, 4).reshape(crop.shape)
        yield "pixel_unshuffle: 4 images", _pixels(mosaic)
        yield "pixel_shuffle of them", _pixels(upsample.pixel_shuffle(deep, 2))
        yield "chainer.depth2space of them", _pixels(chainer.depth2space(deep, 2))

    return (
        "Spread with bilinear weights; moved into channels and back (Chainer orders the channels otherwise)",
        panels(),
    )


def _crop(image: Pixels, corner: tuple[int, int], side: int) -> Pixels:
    """``[1, 3, side, side]``, float32, around the marked detail, as far as the image reaches."""
    grow = (side - DETAIL) // 2 if side == 2 * DETAIL else 0
    top, left = (min(max(c - grow, 0), max(n - side, 0)) for c, n in zip(corner, image.shape[:2], strict=True))
    part = image[top : top + side, left : left + side].astype(np.float32) / np.float32(255)
    part = np.pad(part, ((0, side - part.shape[0]), (0, side - part.shape[1]), (0, 0)), mode="edge")
    return np.ascontiguousarray(part.transpose(2, 0, 1)[None])


def _pixels(x: Pixels) -> Pixels:
    """A panel of ``[1, 3, h, w]``: clipped, and every pixel enlarged to a block."""
    levels = np.rint(np.clip(x[0], 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    return upsample.resize(levels, (PANEL, PANEL), axes=(0, 1), mode="nearest")


def _photograph(image: Pixels, detail: tuple[int, int]) -> Pixels:
    """The whole image in a panel, with the detail marked."""
    height, width = image.shape[:2]
    ratio = PANEL / max(height, width)
    shape = (max(round(height * ratio), 1), max(round(width * ratio), 1))
    small = upsample.resize(image, shape, axes=(0, 1), mode="lanczos", antialias=True)
    y, x, side = (round(n * ratio) for n in (*detail, DETAIL))
    for reach in (2, 3):
        frame = np.ones(shape, dtype=bool)
        frame[max(y - reach, 0) : y + side + reach, max(x - reach, 0) : x + side + reach] = False
        inner = np.ones(shape, dtype=bool)
        inner[max(y - reach + 1, 0) : y + side + reach - 1, max(x - reach + 1, 0) : x + side + reach - 1] = False
        small[inner & ~frame] = MARK
    panel = np.full((PANEL, PANEL, 3), 255, dtype=np.uint8)
    top, left = (PANEL - shape[0]) // 2, (PANEL - shape[1]) // 2
    panel[top : top + shape[0], left : left + shape[1]] = small
    return panel

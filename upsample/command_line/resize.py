"""``upsample resize``: resize a picture file."""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

import upsample
from upsample.plans.filters import FILTERS, Weighted

__all__ = ["PictureError", "Wish", "resize", "resized"]

Pixels = NDArray[Any]

_KEPT = ("L", "LA", "RGB", "RGBA", "CMYK", "I;16", "I", "F")
"""Pillow modes that are resized without conversion; other modes are converted to one of them."""


class PictureError(Exception):
    """A picture that cannot be read, resized or written; the message is one line."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The options of the command.

    Attributes
    ----------
    width, height : int or None
        The new size; None follows from the other one and the proportions.
    scale : float or None
        The factor of both sides, instead of a size.
    mode : str
        A mode of `upsample.resize`.
    antialias : bool
        Whether shrinking widens the filter, in the modes that have the option.
    """

    width: int | None
    height: int | None
    scale: float | None
    mode: str
    antialias: bool

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height of the result."""
        if self.scale is not None:
            return max(1, round(width * self.scale)), max(1, round(height * self.scale))
        across = self.width or max(1, round(width * (self.height or height) / height))
        return across, self.height or max(1, round(height * across / width))


def resize(source: str, target: str, wish: Wish) -> int:
    """Resize a picture file, and print the old and the new size.

    Parameters
    ----------
    source, target : str
        The files; the suffix of `target` determines its format.
    wish : Wish
        Size and method.

    Returns
    -------
    int
        0; 2 if a file or an argument is wrong.
    """
    try:
        kind = _format(target)
        picture = _read(source)
        made = resized(picture, wish)
        _write(made, picture, target, kind)
    except PictureError as error:
        print(f"upsample resize: {error}", file=sys.stderr)
        return 2
    (width, height), (across, down) = picture.size, made.size
    print(f"{target}: {width} × {height} to {across} × {down}, {wish.mode}")
    return 0


def resized(picture: Image.Image, wish: Wish) -> Image.Image:
    """Return a resized picture; colours are weighted by their opacity.

    Parameters
    ----------
    picture : PIL.Image.Image
        A picture of mode L, LA, RGB, RGBA, CMYK, I;16, I or F.
    wish : Wish
        Size and method.

    Returns
    -------
    PIL.Image.Image
        A picture of the mode of `picture`.

    Examples
    --------
    >>> from PIL import Image
    >>> half = Wish(None, None, 0.5, "cubic", True)
    >>> resized(Image.new("RGB", (40, 30), (10, 20, 30)), half).getpixel((0, 0))
    (10, 20, 30)
    """
    width, height = wish.size(*picture.size)
    options: dict[str, Any] = {"axes": (0, 1), "mode": wish.mode, "cubic_coeff": -0.5}
    if wish.antialias and isinstance(FILTERS[wish.mode], Weighted):
        options["antialias"] = True
    x = np.asarray(picture)
    if picture.mode in ("LA", "RGBA") and not wish.mode.startswith("nearest"):
        y = _by_opacity(x, (height, width), options)
    else:
        y = upsample.resize(x, (height, width), **options)
    return Image.frombytes(picture.mode, (width, height), np.ascontiguousarray(y).tobytes())


def _by_opacity(x: Pixels, shape: tuple[int, int], options: dict[str, Any]) -> Pixels:
    """Resize colours times opacity, and divide by the opacity: invisible pixels have no influence."""
    wide = x.astype(np.float32)
    wide[..., :-1] *= wide[..., -1:]
    made = upsample.resize(wide, shape, **options)
    opacity = made[..., -1:]
    made[..., :-1] = np.divide(made[..., :-1], opacity, out=np.zeros_like(made[..., :-1]), where=opacity > 1 / 512)
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)


def _format(target: str) -> str:
    """Return Pillow's name for the format of a file's suffix."""
    folder, suffix = Path(target).resolve().parent, Path(target).suffix.lower()
    if not folder.is_dir():
        raise PictureError(f"cannot write {target!r}: there is no folder {str(folder)!r}")
    kind = Image.registered_extensions().get(suffix)
    if kind is None or kind not in Image.SAVE:
        raise PictureError(f"cannot write {target!r}: {suffix or 'no suffix'} is no format; use .png, .jpg or .tif")
    return kind


def _read(source: str) -> Image.Image:
    """Return the picture upright, in a mode that can be resized."""
    try:
        with Image.open(source) as opened:
            deep = any(";16" in str(tile[3]) for tile in getattr(opened, "tile", ()))
            if deep and opened.mode not in ("I;16", "I"):
                what = "16 bits a channel, of which Pillow reads 8"
                raise PictureError(f"cannot read {source!r}: its colours have {what}; convert it to 8 bits first")
            frames = getattr(opened, "n_frames", 1)
            if frames > 1:
                print(f"upsample resize: of {frames} pictures in {source!r} the first is resized", file=sys.stderr)
            opened.load()
            return _plain(ImageOps.exif_transpose(opened))
    except UnidentifiedImageError:
        raise PictureError(f"cannot read {source!r}: it is no picture that Pillow knows") from None
    except Image.DecompressionBombError:
        raise PictureError(f"cannot read {source!r}: it has too many pixels to be trusted") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        why = getattr(error, "strerror", None)
        if why is None:
            why = "it is truncated or damaged" + (f" ({error})" if "\n" not in str(error) else "")
        raise PictureError(f"cannot read {source!r}: {why}") from None


def _plain(picture: Image.Image) -> Image.Image:
    """Convert the picture without loss to a mode that can be resized."""
    if picture.mode in _KEPT:
        return picture
    if picture.mode.startswith("I;16"):
        return picture.convert("I;16")
    if picture.mode == "1":
        return picture.convert("L")
    if picture.mode in ("P", "PA", "RGBa", "La") or "transparency" in picture.info:
        clear = picture.mode != "P" or "transparency" in picture.info
        return picture.convert("RGBA" if clear else "RGB")
    return picture.convert("RGB")


def _write(made: Image.Image, like: Image.Image, target: str, kind: str) -> None:
    """Write the file atomically, with the colour profile and the EXIF data of the original."""
    keep: dict[str, Any] = {name: like.info[name] for name in ("icc_profile", "dpi") if like.info.get(name)}
    notes = like.getexif()
    if notes and kind in ("JPEG", "PNG", "TIFF", "WEBP"):
        keep["exif"] = notes
    if kind == "JPEG":
        keep["quality"] = 92
    handle, beside = tempfile.mkstemp(suffix=Path(target).suffix, dir=Path(target).resolve().parent)
    os.close(handle)
    try:
        made.save(beside, format=kind, **keep)
        os.chmod(beside, 0o666 & ~_umask())
        os.replace(beside, target)
    except (OSError, ValueError, KeyError) as error:
        why = getattr(error, "strerror", None) or f"{kind} holds no {made.mode} pictures"
        raise PictureError(f"cannot write {target!r}: {why}") from None
    finally:
        Path(beside).unlink(missing_ok=True)


def _umask() -> int:
    """Return the umask: permissions that new files lack."""
    mask = os.umask(0)
    os.umask(mask)
    return mask

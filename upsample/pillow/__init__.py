"""Pillow's resize and reduce, to the bit, on arrays of any library.

Names, argument order and defaults are those of ``PIL.Image.Image``; the image comes first, as an array::

    bool    [H, W]       mode "1"            uint8   [H, W]        mode "L"
    uint16  [H, W]       mode "I;16"         uint8   [H, W, 2]     mode "LA"
    int32   [H, W]       mode "I"            uint8   [H, W, 3]     mode "RGB"
    float32 [H, W]       mode "F"            uint8   [H, W, 4]     mode "RGBA"

More axes in front, ``[N, H, W, 3]``, are a batch. Sizes are (width, height), as Pillow's are.
"""

from upsample.pillow.modes import Resampling
from upsample.pillow.reducing import reduce
from upsample.pillow.resizing import resize

__all__ = [
    "BICUBIC",
    "BILINEAR",
    "BOX",
    "HAMMING",
    "LANCZOS",
    "MKS2013",
    "MKS2021",
    "NEAREST",
    "Resampling",
    "reduce",
    "resize",
]

NEAREST = Resampling.NEAREST
LANCZOS = Resampling.LANCZOS
BILINEAR = Resampling.BILINEAR
BICUBIC = Resampling.BICUBIC
BOX = Resampling.BOX
HAMMING = Resampling.HAMMING
MKS2013 = Resampling.MKS2013
MKS2021 = Resampling.MKS2021


def __dir__() -> list[str]:
    """Return what completion offers: the public names."""
    return [*__all__]

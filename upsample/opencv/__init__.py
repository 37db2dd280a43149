"""OpenCV's resize and image pyramids, with its bits or within one level, on arrays of any library.

Names, argument order and defaults are those of ``cv2``. Images are ``[H, W]`` or ``[H, W, C]``, with any number of
channels; more axes in front, ``[N, H, W, C]``, are a batch. Sizes are (width, height), as OpenCV's are.
"""

from upsample.opencv.modes import (
    BORDER_REFLECT,
    BORDER_REFLECT_101,
    BORDER_REPLICATE,
    INTER_AREA,
    INTER_CUBIC,
    INTER_LANCZOS4,
    INTER_LINEAR,
    INTER_LINEAR_EXACT,
    INTER_NEAREST,
    INTER_NEAREST_EXACT,
    Border,
    Interpolation,
)
from upsample.opencv.pyramids import pyrDown, pyrUp
from upsample.opencv.resizing import resize

__all__ = [
    "BORDER_REFLECT",
    "BORDER_REFLECT_101",
    "BORDER_REPLICATE",
    "INTER_AREA",
    "INTER_CUBIC",
    "INTER_LANCZOS4",
    "INTER_LINEAR",
    "INTER_LINEAR_EXACT",
    "INTER_NEAREST",
    "INTER_NEAREST_EXACT",
    "Border",
    "Interpolation",
    "pyrDown",
    "pyrUp",
    "resize",
]


def __dir__() -> list[str]:
    """Return what completion offers: the public names."""
    return [*__all__]

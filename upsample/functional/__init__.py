"""torch.nn.functional's upsampling and its inverses: the default dialect, re-exported as ``upsample.*``.

Names, positional order, defaults, results and dtypes are those of torch 2.13. Every function also takes, by keyword,
``out=`` and ``engine=``.
"""

from upsample.autograd.torch_compile import opaque
from upsample.functional.adaptive_pool import (
    adaptive_max_pool1d,
    adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d,
    adaptive_max_pool2d_with_indices,
    adaptive_max_pool3d,
    adaptive_max_pool3d_with_indices,
)
from upsample.functional.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from upsample.functional.interpolate import interpolate, upsample, upsample_bilinear, upsample_nearest
from upsample.functional.pixel_shuffle import pixel_shuffle, pixel_unshuffle
from upsample.functional.pool import (
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
)
from upsample.functional.unpool import max_unpool1d, max_unpool2d, max_unpool3d

__all__ = [
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "interpolate",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "pixel_shuffle",
    "pixel_unshuffle",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]

for _name in __all__:
    opaque(globals()[_name], open_sizes=True)


def __dir__() -> list[str]:
    """Return what completion offers: the public names."""
    return [*__all__]

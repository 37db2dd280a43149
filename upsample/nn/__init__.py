"""torch.nn's upsampling layers and their inverses, with no framework underneath.

A layer keeps the arguments of a function of `upsample.functional`, and a transposed convolution its weights too. Names,
order, defaults and results are those of torch 2.13; every layer also takes, by keyword, ``engine=``. Arguments are
checked when a layer is made. Layers can be pickled and copied, and their attributes are plain values and arrays.
"""

from upsample.nn.adaptive_pool import AdaptiveMaxPool1d, AdaptiveMaxPool2d, AdaptiveMaxPool3d
from upsample.nn.conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from upsample.nn.interpolate import Upsample, UpsamplingBilinear2d, UpsamplingNearest2d
from upsample.nn.layer import IncompatibleKeys, Layer
from upsample.nn.pixel_shuffle import PixelShuffle, PixelUnshuffle
from upsample.nn.pool import MaxPool1d, MaxPool2d, MaxPool3d
from upsample.nn.unpool import MaxUnpool1d, MaxUnpool2d, MaxUnpool3d

__all__ = [
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "IncompatibleKeys",
    "Layer",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "PixelShuffle",
    "PixelUnshuffle",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]


def __dir__() -> list[str]:
    """Return what completion offers: the public names."""
    return [*__all__]

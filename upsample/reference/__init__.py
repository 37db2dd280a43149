"""Float64 references of every operation: plain loops from the documented formulas.

Nothing here is fast and nothing here is shared with the rest of the package: the tests compare the engines
with these functions, and ``upsample demo`` shows them beside the engines.  Everything that adds or
multiplies returns float64 (complex128 for complex input, uint8 for a resized uint8 image); everything that
only selects keeps the dtype that it was given.
"""

from .conv_transpose import chainer_deconvolution, conv_transpose
from .pixel_shuffle import depth2space, pixel_shuffle, pixel_unshuffle, space2depth
from .pool import adaptive_max_pool, chainer_max_pooling, max_pool
from .resize import chainer_resize_images, interpolate, resize
from .unpool import chainer_unpooling, chainer_upsampling, max_unpool

__all__ = [
    "adaptive_max_pool",
    "chainer_deconvolution",
    "chainer_max_pooling",
    "chainer_resize_images",
    "chainer_unpooling",
    "chainer_upsampling",
    "conv_transpose",
    "depth2space",
    "interpolate",
    "max_pool",
    "max_unpool",
    "pixel_shuffle",
    "pixel_unshuffle",
    "resize",
    "space2depth",
]

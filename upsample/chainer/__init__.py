"""chainer.functions' upsampling and its inverses, as Chainer 7.8.1 has them.

Names, positional order, defaults, results and dtypes are Chainer's. They take and return plain arrays of any library
instead of Variables, and every function also takes, by keyword, ``out=`` and ``engine=``. Where Chainer raises
InvalidType, AssertionError, RuntimeError or ZeroDivisionError, these raise TypeError for a dtype and ValueError for a
shape or a value.
"""

from upsample.autograd.torch_compile import opaque
from upsample.chainer.deconvolution import deconvolution_1d, deconvolution_2d, deconvolution_3d, deconvolution_nd
from upsample.chainer.depth_space import depth2space, space2depth
from upsample.chainer.pooling import max_pooling_1d, max_pooling_2d, max_pooling_3d, max_pooling_nd
from upsample.chainer.resize_images import resize_images
from upsample.chainer.unpooling import unpooling_1d, unpooling_2d, unpooling_3d, unpooling_nd, upsampling_2d

__all__ = [
    "deconvolution_1d",
    "deconvolution_2d",
    "deconvolution_3d",
    "deconvolution_nd",
    "depth2space",
    "max_pooling_1d",
    "max_pooling_2d",
    "max_pooling_3d",
    "max_pooling_nd",
    "resize_images",
    "space2depth",
    "unpooling_1d",
    "unpooling_2d",
    "unpooling_3d",
    "unpooling_nd",
    "upsampling_2d",
]

for _name in __all__:
    opaque(globals()[_name], open_sizes=True)


def __dir__() -> list[str]:
    """Return what completion offers: the public names."""
    return [*__all__]

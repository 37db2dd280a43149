"""Keras' UpSampling layers, ``ops.conv_transpose`` and ``ops.image.resize`` as functions on any array.

They compute what Keras 3 computes on its TensorFlow backend; `resize` also follows its JAX and torch backends. Channels
are last unless `data_format` says otherwise. This module imports no Keras.
"""

from upsample.autograd.torch_compile import opaque
from upsample.keras.conv_transpose import conv_transpose
from upsample.keras.resize import resize, up_sampling_1d, up_sampling_2d, up_sampling_3d

__all__ = ["conv_transpose", "resize", "up_sampling_1d", "up_sampling_2d", "up_sampling_3d"]

for _name in __all__:
    opaque(globals()[_name], open_sizes=True)


def __dir__() -> list[str]:
    """Return what completion offers: the public names."""
    return [*__all__]

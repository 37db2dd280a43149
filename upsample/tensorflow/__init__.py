"""tf.image.resize of TensorFlow 1 and 2, and the operators of ``tf.raw_ops`` behind it, on any array.

All compute in float32 and return float32, except nearest neighbor, which keeps the dtype. Each result has the bits of
TensorFlow's CPU kernels up to the order of sums: within 2e-6 of the largest input.
"""

from upsample.autograd.torch_compile import opaque
from upsample.tensorflow.image import resize, resize_v1
from upsample.tensorflow.raw_ops import (
    resize_area,
    resize_bicubic,
    resize_bilinear,
    resize_nearest_neighbor,
    scale_and_translate,
)

__all__ = [
    "resize",
    "resize_area",
    "resize_bicubic",
    "resize_bilinear",
    "resize_nearest_neighbor",
    "resize_v1",
    "scale_and_translate",
]

for _name in __all__:
    opaque(globals()[_name], open_sizes=True)


def __dir__() -> list[str]:
    """Return what completion offers: the public names."""
    return [*__all__]

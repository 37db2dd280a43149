"""The resizing operators of ``tf.raw_ops``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from upsample.arguments import flag, integers, numbers
from upsample.arrays import ArrayT
from upsample.docstrings import documented_like
from upsample.errors import bad_value
from upsample.literals import EngineName
from upsample.plans.makers.tensorflow import KERNELS
from upsample.tensorflow.calls import checked, in_size_of, kernel_plan, known, pair, raw, run_float32

__all__ = ["resize_area", "resize_bicubic", "resize_bilinear", "resize_nearest_neighbor", "scale_and_translate"]


def resize_bilinear(
    images: ArrayT,
    size: Sequence[int],
    align_corners: bool = False,
    half_pixel_centers: bool = False,
    *,
    engine: EngineName | None = None,
) -> Any:
    """Resize images, as tf.raw_ops.ResizeBilinear does.

    Parameters
    ----------
    images : array
        ``[N, H, W, C]`` or ``[H, W, C]``, real numbers or integers.
    size : pair of int
        Height and width of the result.
    align_corners : bool
        Let the centers of the corner samples of both images meet.
    half_pixel_centers : bool
        Let the outer edges of both images meet.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        float32.

    Raises
    ------
    ValueError
        Another rank, an empty image, a size below 1, or both `align_corners` and `half_pixel_centers`.
    TypeError
        Another dtype or type.

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.tensorflow
    >>> image = np.asarray([[[0.0], [9.0]]])
    >>> upsample.tensorflow.resize_bilinear(image, (1, 4), align_corners=True)[0, :, 0]
    array([0., 3., 6., 9.], dtype=float32)
    """
    return raw("resize_bilinear", images, size, "bilinear", align_corners, half_pixel_centers, False, engine)


@documented_like(resize_bilinear)
def resize_bicubic(
    images: ArrayT,
    size: Sequence[int],
    align_corners: bool = False,
    half_pixel_centers: bool = False,
    *,
    exact: bool = False,
    engine: EngineName | None = None,
) -> Any:
    """Resize images, as tf.raw_ops.ResizeBicubic does.

    Parameters
    ----------
    half_pixel_centers : bool
        Let the outer edges of both images meet; Keys' a is then -1/2 and taps outside are dropped. Otherwise it is
        -3/4 and edge samples repeat.
    exact : bool
        Keep TensorFlow's order of sums, and so its bits; slower, and no GPU kernel does it. It needs
        `half_pixel_centers`.

    Returns
    -------
    array
        float32.

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.tensorflow
    >>> upsample.tensorflow.resize_bicubic(np.ones((2, 2, 1)), (4, 4), half_pixel_centers=True).shape
    (4, 4, 1)
    """
    return raw("resize_bicubic", images, size, "bicubic", align_corners, half_pixel_centers, exact, engine)


@documented_like(resize_bilinear)
def resize_nearest_neighbor(
    images: ArrayT,
    size: Sequence[int],
    align_corners: bool = False,
    half_pixel_centers: bool = False,
    *,
    engine: EngineName | None = None,
) -> ArrayT:
    """Resize images, as tf.raw_ops.ResizeNearestNeighbor does.

    Parameters
    ----------
    images : array
        ``[N, H, W, C]`` or ``[H, W, C]``, of any dtype.
    align_corners : bool
        Let the centers of the corner samples of both images meet; centers are then rounded, halves up.

    Returns
    -------
    array
        Of the dtype of `images`.

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.tensorflow
    >>> image = np.arange(4).reshape(1, 4, 1)
    >>> upsample.tensorflow.resize_nearest_neighbor(image, (1, 2)).ravel()
    array([0, 2])
    >>> upsample.tensorflow.resize_nearest_neighbor(image, (1, 2), half_pixel_centers=True).ravel()
    array([1, 3])
    """
    result: ArrayT = raw(
        "resize_nearest_neighbor", images, size, "nearest", align_corners, half_pixel_centers, False, engine
    )
    return result


@documented_like(resize_bilinear)
def resize_area(
    images: ArrayT,
    size: Sequence[int],
    align_corners: bool = False,
    *,
    exact: bool = False,
    engine: EngineName | None = None,
) -> Any:
    """Resize images by means of areas, as tf.raw_ops.ResizeArea does.

    Parameters
    ----------
    align_corners : bool
        Take the step between the centers of the corner samples.
    exact : bool
        Keep TensorFlow's order of sums, and so its bits; slower, and no GPU kernel does it. `align_corners` cannot.

    Returns
    -------
    array
        float32.

    Raises
    ------
    ValueError
        Another rank, an empty image, or a size below 1.
    TypeError
        Another dtype or type.

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.tensorflow
    >>> upsample.tensorflow.resize_area(np.asarray([[[0.0], [3.0], [6.0]]]), (1, 2)).ravel()
    array([1., 5.], dtype=float32)
    """
    return raw("resize_area", images, size, "area", align_corners, False, exact, engine)


@documented_like(resize_bilinear)
def scale_and_translate(
    images: ArrayT,
    size: Sequence[int],
    scale: Sequence[float],
    translation: Sequence[float],
    kernel_type: str = "lanczos3",
    antialias: bool = True,
    *,
    exact: bool = False,
    engine: EngineName | None = None,
) -> Any:
    """Scale and move images, as tf.raw_ops.ScaleAndTranslate does.

    Parameters
    ----------
    scale, translation : pair of float
        A sample at ``y`` is at ``y * scale + translation`` of the result, for height and width.
    kernel_type : str
        ``"lanczos1"``, ``"lanczos3"``, ``"lanczos5"``, ``"gaussian"``, ``"box"``, ``"triangle"``, ``"keyscubic"`` or
        ``"mitchellcubic"``.
    antialias : bool
        Widen the kernel when shrinking.
    exact : bool
        Keep TensorFlow's order of sums, and so its bits; slower, and no GPU kernel does it. Lanczos has other last bits
        of the sine.

    Returns
    -------
    array
        float32; zero if the center of a sample is outside the image.

    Raises
    ------
    ValueError
        Another rank, an empty image, a size below 1, a scale that is not positive, or another kernel.
    TypeError
        Another dtype or type.

    Notes
    -----
    TensorFlow computes Lanczos kernels by the C library's sine, whose last bits depend on the machine.

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.tensorflow
    >>> image = np.asarray([[[1.0], [2.0], [3.0]]])
    >>> upsample.tensorflow.scale_and_translate(image, (1, 4), (1.0, 1.0), (0.0, 1.0), "triangle").ravel()
    array([0., 1., 2., 3.], dtype=float32)
    """
    op = "scale_and_translate"
    xp, axes = checked(op, images)
    factors = numbers(op, "scale", pair(op, "scale", scale), 2)
    for factor in factors:
        if factor <= 0.0 or np.float32(factor) == 0.0:
            raise bad_value(op, "scale", scale, "it must be positive", "pass positive numbers")
    moves = numbers(op, "translation", pair(op, "translation", translation), 2)
    kernel = known(op, "kernel_type", kernel_type, tuple(KERNELS))
    out_size = integers(op, "size", pair(op, "size", size), 2, least=1)
    plan = kernel_plan(
        axes,
        in_size_of(images, axes),
        out_size,
        factors,
        moves,
        kernel,
        flag(op, "antialias", antialias),
        flag(op, "exact", exact),
    )
    return run_float32(op, xp, images, plan, engine)

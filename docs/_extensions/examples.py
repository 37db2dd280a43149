"""The small call that the picture of each public function shows: a caption, and the arrays by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import upsample
import upsample.chainer as F
import upsample.jax
import upsample.keras
import upsample.onnx
import upsample.opencv
import upsample.pillow
import upsample.scipy
import upsample.skimage
import upsample.tensorflow

Picture = tuple[str, list[tuple[str, np.ndarray]]]

RAMP = np.asarray([0.0, 10.0, 20.0, 0.0])
PLANE = np.asarray([[3.0, 1.0, 4.0, 1.0], [5.0, 9.0, 2.0, 6.0], [5.0, 3.0, 5.0, 8.0], [9.0, 7.0, 9.0, 3.0]])
SMALL = np.asarray([[1.0, 2.0], [3.0, 4.0]])


def sample(rank: int) -> np.ndarray:
    """Return a batch of one channel with `rank` spatial axes of four samples."""
    return {1: PLANE[2:3], 2: PLANE[None], 3: np.stack([PLANE, PLANE[::-1]])[None]}[rank][None]


def shown(result: Any) -> list[tuple[str, np.ndarray]]:
    """Return the arrays of a result by name."""
    if isinstance(result, tuple):
        return [("maxima", result[0]), ("indices", result[1])]
    return [("result", result)]


def pooling(
    function: Callable[..., Any], rank: int, *arguments: Any, text: str, **options: Any
) -> Callable[[], Picture]:
    """Return the example of a pooling function."""

    def make() -> Picture:
        x = sample(rank)
        return f"{function.__name__}(x, {text})", [("x", x), *shown(function(x, *arguments, **options))]

    return make


def call(
    text: str, function: Callable[..., Any], *arrays: tuple[str, np.ndarray], **options: Any
) -> Callable[[], Picture]:
    """Return the example of a function that takes `arrays` and `options`."""

    def make() -> Picture:
        result = function(*(array for _, array in arrays), **options)
        return text, [*arrays, *shown(result)]

    return make


def unpooling(name: str, rank: int) -> Callable[[], Picture]:
    """Return the example of ``max_unpool*``: pool, then unpool."""

    def make() -> Picture:
        x = sample(rank)
        maxima, indices = getattr(upsample, f"max_pool{rank}d")(x, 2, return_indices=True)
        result = getattr(upsample, name)(maxima, indices, 2)
        return f"{name}(maxima, indices, 2)", [("maxima", maxima), ("indices", indices), ("result", result)]

    return make


def transposed(function: Callable[..., Any], rank: int, text: str, **options: Any) -> Callable[[], Picture]:
    """Return the example of a transposed convolution by a kernel of ones and a two in its middle."""

    def make() -> Picture:
        x = np.zeros((1, 1) + (3,) * rank)
        x[(0, 0) + (0,) * rank] = 1.0
        x[(0, 0) + (2,) * rank] = 3.0
        weight = np.ones((1, 1) + (3,) * rank)
        weight[(0, 0) + (1,) * rank] = 2.0
        return text, [("x", x), ("weight", weight), ("result", function(x, weight, **options))]

    return make


def upsampled() -> Picture:
    """Return the example of Chainer's upsampling_2d."""
    x = PLANE[None, None]
    pooled, indices = F.max_pooling_2d(x, 2, return_indices=True)
    result = F.upsampling_2d(pooled, indices, 2, outsize=(4, 4))
    return "upsampling_2d(x, indexes, 2, outsize=(4, 4))", [("x", pooled), ("indexes", indices), ("result", result)]


def gradient() -> Picture:
    """Return the example of vjp."""
    x = np.asarray([[RAMP]])
    result, pullback = upsample.vjp(upsample.interpolate, x, size=8, mode="linear")
    grad = pullback(np.ones_like(result))
    caption = "y, pullback = vjp(interpolate, x, size=8, mode='linear'); pullback(ones)"
    return caption, [("x", x), ("y", result), ("gradient", grad)]


BYTES = (25 * PLANE).astype(np.uint8)
CHANNELS = np.arange(4.0).reshape(1, 4, 1, 1) + 10 * np.arange(4.0).reshape(1, 1, 2, 2)

ENLARGED = ("x", SMALL[None, None])
SMALL_IMAGE = ("x", SMALL.astype("float32"))
CHANNELS_LAST = ("x", SMALL.astype("float32")[None, :, :, None])

EXAMPLES: dict[str, Callable[[], Picture]] = {
    "resize": call("resize(x, 8, mode='cubic')", upsample.resize, ("x", RAMP), shape=8, mode="cubic"),
    "interpolate": call(
        "interpolate(x, scale_factor=2, mode='bilinear')",
        upsample.interpolate,
        ("x", SMALL[None, None]),
        scale_factor=2,
        mode="bilinear",
    ),
    "upsample": call(
        "upsample(x, scale_factor=2)", upsample.functional.interpolate, ("x", SMALL[None, None]), scale_factor=2
    ),
    "upsample_nearest": call(
        "upsample_nearest(x, scale_factor=2)", upsample.interpolate, ("x", SMALL[None, None]), scale_factor=2
    ),
    "upsample_bilinear": call(
        "upsample_bilinear(x, scale_factor=2)",
        upsample.interpolate,
        ("x", SMALL[None, None]),
        scale_factor=2,
        mode="bilinear",
        align_corners=True,
    ),
    "pixel_shuffle": call("pixel_shuffle(x, 2)", upsample.pixel_shuffle, ("x", CHANNELS), upscale_factor=2),
    "pixel_unshuffle": call(
        "pixel_unshuffle(x, 2)", upsample.pixel_unshuffle, ("x", PLANE[None, None]), downscale_factor=2
    ),
    "depth2space": call("depth2space(x, 2)", F.depth2space, ("x", CHANNELS.astype("float32")), r=2),
    "space2depth": call("space2depth(x, 2)", F.space2depth, ("x", PLANE[None, None].astype("float32")), r=2),
    "resize_images": call(
        "resize_images(x, (4, 4))", F.resize_images, ("x", SMALL[None, None].astype("float32")), output_shape=(4, 4)
    ),
    "pillow.resize": call("pillow.resize(image, (8, 8))", upsample.pillow.resize, ("image", BYTES), size=(8, 8)),
    "pillow.reduce": call("pillow.reduce(image, 2)", upsample.pillow.reduce, ("image", BYTES), factor=2),
    "opencv.resize": call("opencv.resize(src, (8, 8))", upsample.opencv.resize, ("src", BYTES), dsize=(8, 8)),
    "opencv.pyrDown": call("opencv.pyrDown(src)", upsample.opencv.pyrDown, ("src", BYTES)),
    "opencv.pyrUp": call("opencv.pyrUp(src)", upsample.opencv.pyrUp, ("src", BYTES[:2, :2])),
    "jax.resize": call(
        "jax.resize(x, (4, 4), 'cubic')", upsample.jax.resize, SMALL_IMAGE, shape=(4, 4), method="cubic"
    ),
    "jax.scale_and_translate": call(
        "jax.scale_and_translate(x, (4, 4), (0, 1), (2, 2), (0, 1), 'linear')",
        upsample.jax.scale_and_translate,
        SMALL_IMAGE,
        shape=(4, 4),
        spatial_dims=(0, 1),
        scale=(2.0, 2.0),
        translation=(0.0, 1.0),
        method="linear",
    ),
    "keras.up_sampling_1d": call("keras.up_sampling_1d(x)", upsample.keras.up_sampling_1d, ("x", PLANE[None, :, :1])),
    "keras.up_sampling_2d": call("keras.up_sampling_2d(x)", upsample.keras.up_sampling_2d, CHANNELS_LAST),
    "keras.up_sampling_3d": call(
        "keras.up_sampling_3d(x)", upsample.keras.up_sampling_3d, ("x", SMALL[None, None, :, :, None])
    ),
    "keras.resize": call("keras.resize(x, (4, 4))", upsample.keras.resize, CHANNELS_LAST, size=(4, 4)),
    "keras.conv_transpose": call(
        "keras.conv_transpose(x, kernel, 2)",
        upsample.keras.conv_transpose,
        CHANNELS_LAST,
        ("kernel", np.ones((2, 2, 1, 1), dtype=np.float32)),
        strides=2,
    ),
    "onnx.resize": call("onnx.resize(X, sizes=[1, 1, 4, 4])", upsample.onnx.resize, ENLARGED, sizes=[1, 1, 4, 4]),
    "onnx.upsample": call("onnx.upsample(X, [1, 1, 2, 2])", upsample.onnx.upsample, ENLARGED, scales=[1, 1, 2, 2]),
    "onnx.max_pool": call(
        "onnx.max_pool(X, kernel_shape=[2, 2])", upsample.onnx.max_pool, ("X", PLANE[None, None]), kernel_shape=[2, 2]
    ),
    "onnx.max_unpool": call(
        "onnx.max_unpool(X, I, kernel_shape=[2, 2], strides=[2, 2])",
        upsample.onnx.max_unpool,
        ENLARGED,
        ("I", np.asarray([[[[5, 7], [13, 15]]]])),
        kernel_shape=[2, 2],
        strides=[2, 2],
    ),
    "onnx.conv_transpose": transposed(
        upsample.onnx.conv_transpose, 2, "onnx.conv_transpose(X, W, strides=[2, 2])", strides=[2, 2]
    ),
    "onnx.depth_to_space": call(
        "onnx.depth_to_space(input, blocksize=2)", upsample.onnx.depth_to_space, ("input", CHANNELS), blocksize=2
    ),
    "onnx.space_to_depth": call(
        "onnx.space_to_depth(input, blocksize=2)",
        upsample.onnx.space_to_depth,
        ("input", PLANE[None, None]),
        blocksize=2,
    ),
    "tensorflow.scale_and_translate": call(
        "tensorflow.scale_and_translate(images, (4, 4), (2, 2), (0, 1))",
        upsample.tensorflow.scale_and_translate,
        CHANNELS_LAST,
        size=(4, 4),
        scale=(2.0, 2.0),
        translation=(0.0, 1.0),
    ),
    "scipy.zoom": call("scipy.zoom(input, 2, order=3)", upsample.scipy.zoom, ("input", SMALL), zoom=2, order=3),
    "skimage.resize": call(
        "skimage.resize(image, (4, 4), mode='edge')",
        upsample.skimage.resize,
        ("image", SMALL),
        output_shape=(4, 4),
        mode="edge",
    ),
    "skimage.rescale": call("skimage.rescale(image, 0.5)", upsample.skimage.rescale, ("image", PLANE), scale=0.5),
    "skimage.pyramid_expand": call("skimage.pyramid_expand(image)", upsample.skimage.pyramid_expand, ("image", SMALL)),
    "skimage.pyramid_reduce": call("skimage.pyramid_reduce(image)", upsample.skimage.pyramid_reduce, ("image", PLANE)),
    "upsampling_2d": upsampled,
    "vjp": gradient,
}
for _rank in (1, 2, 3):
    for _suffix in ("", "_with_indices"):
        _pool, _adaptive = f"max_pool{_rank}d{_suffix}", f"adaptive_max_pool{_rank}d{_suffix}"
        EXAMPLES[_pool] = pooling(getattr(upsample, _pool), _rank, 2, text="2")
        EXAMPLES[_adaptive] = pooling(getattr(upsample, _adaptive), _rank, 3, text="3")
    EXAMPLES[f"max_unpool{_rank}d"] = unpooling(f"max_unpool{_rank}d", _rank)
    EXAMPLES[f"conv_transpose{_rank}d"] = transposed(
        getattr(upsample, f"conv_transpose{_rank}d"), _rank, f"conv_transpose{_rank}d(x, weight, stride=2)", stride=2
    )
for _name, _rank in (("1d", 1), ("2d", 2), ("3d", 3), ("nd", 2)):
    EXAMPLES[f"max_pooling_{_name}"] = pooling(
        getattr(F, f"max_pooling_{_name}"), _rank, 2, text="2, return_indices=True", return_indices=True
    )
    EXAMPLES[f"unpooling_{_name}"] = call(
        f"unpooling_{_name}(x, 2, cover_all=False)",
        getattr(F, f"unpooling_{_name}"),
        ("x", sample(_rank)[..., :2] if _rank == 1 else sample(_rank)[..., :2, :2]),
        ksize=2,
        cover_all=False,
    )
    EXAMPLES[f"deconvolution_{_name}"] = transposed(
        getattr(F, f"deconvolution_{_name}"), _rank, f"deconvolution_{_name}(x, W, stride=2)", stride=2
    )

for _name in ("resize", "resize_v1", "resize_area", "resize_bicubic", "resize_bilinear", "resize_nearest_neighbor"):
    EXAMPLES[f"tensorflow.{_name}"] = call(
        f"tensorflow.{_name}(images, (4, 4))", getattr(upsample.tensorflow, _name), CHANNELS_LAST, size=(4, 4)
    )
EXAMPLES["scipy.resize"] = EXAMPLES["skimage.resize"]

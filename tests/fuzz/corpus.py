"""Calls that were wrong once, or that are absurd only as a whole; they are made before any other.

To add one: paste the call that a failure of `test_calls` printed, and say above it what was wrong. The words are those
of `fuzz.values`.
"""

from __future__ import annotations

__all__ = ["FOUND"]

FOUND = (
    # duplicates went unnoticed, since nothing looked at the indices
    "upsample.max_unpool1d(input=numbers('f4', 1, 2, 3), indices=places('i8', 1, 2, 3, top=2), kernel_size=3, "
    "stride=1, duplicates='error', check_indices=False)",
    # an `out` in the memory of an input that is converted was written to: W to the dtype of x, bools to integers
    "upsample.chainer.deconvolution_1d(x=numbers('f8', 1, 9, 1), W=numbers('f2', 9, 5, 2), stride=(3,))",
    "upsample.chainer.upsampling_2d(x=numbers('f4', 1, 2, 9, 9), indexes=bools(numbers('f4', 1, 2, 9, 9)), ksize=1, "
    "stride=1)",
    # RuntimeWarning of an overflow where the result is rounded
    "upsample.chainer.deconvolution_nd(x=numbers('f2', 1, 1, 1, 1, 2), W=huge(numbers('f4', 1, 3, 3, 1, 3)))",
    # OverflowError: the places of a window did not fit an index
    "upsample.chainer.max_pooling_3d(x=numbers('f8', 1, 2, 5, 5, 4), ksize=2**40, return_indices=True)",
    # tiles were listed for a result that no memory holds: gigabytes and half a minute until MemoryError
    "upsample.interpolate(input=numbers('f2', 1, 2, 1), size=2**40)",
    "upsample.nn.Upsample(size=10**9)(input=numbers('f2', 1, 2, 1, 3))",
    # tables for every position of such a result's axes: half a minute and all memory before its MemoryError
    "upsample.resize(x=numbers('u1', 4, 5, 3), shape=(10**9, 10**9), axes=(0, 1))",
    "upsample.resize(x=numbers('f4', 4, 5, 3), shape=(10**9, 10**9), axes=(0, 1), mode='cubic')",
    # foreign errors of a layer: of NumPy's truth value, of its largest array, and of a repr
    "upsample.nn.ConvTranspose1d(in_channels=2, out_channels=2, kernel_size=2, padding_mode=np.asarray([2, 2]))()",
    "upsample.nn.ConvTranspose2d(in_channels=2, out_channels=2, kernel_size=2**31)()",
    "upsample.nn.ConvTranspose2d(in_channels=2, out_channels=2, dtype=Unprintable(), kernel_size=(1, 1))()",
    "upsample.nn.ConvTranspose3d(in_channels=2, out_channels=2, rng=Unprintable(), kernel_size=2)()",
    # arguments that fit one another, so that no check of a single one refuses them
    "upsample.max_pool1d(input=numbers('f4', 1, 1, 4), kernel_size=2**40, stride=1, padding=2**39)",
    "upsample.max_pool1d_with_indices(input=numbers('f4', 1, 1, 4), kernel_size=3, stride=1, padding=2**62, "
    "dilation=2**62)",
    "upsample.chainer.max_pooling_1d(x=numbers('f4', 1, 1, 4), ksize=2**40)",
    "upsample.chainer.max_pooling_2d(x=numbers('f4', 1, 1, 2, 2), ksize=(1, 2**62), return_indices=True)",
    "upsample.chainer.max_pooling_2d(x=numbers('f4', 1, 1, 2, 2), ksize=2, pad=2**62)",
    "upsample.chainer.max_pooling_nd(x=numbers('f4', 1, 1, 2, 2), ksize=2, pad=2**40)",
    "upsample.max_unpool1d(input=numbers('f4', 1, 1, 4), indices=places('i8', 1, 1, 4, top=1), kernel_size=2**40, "
    "stride=1, padding=2**39)",
    "upsample.max_unpool1d(input=numbers('f4', 1, 1, 4), indices=places('i8', 1, 1, 4, top=1), kernel_size=3, "
    "stride=1, padding=2**62, dilation=2**62)",
    "upsample.chainer.upsampling_2d(x=numbers('f4', 1, 1, 4, 4), indexes=places('i8', 1, 1, 4, 4, top=1), ksize=2**40, "
    "stride=1, pad=2**39)",
    "upsample.chainer.upsampling_2d(x=numbers('f4', 1, 1, 4, 4), indexes=places('i8', 1, 1, 4, 4, top=1), ksize=2**16, "
    "stride=1, pad=2**15)",
    "upsample.chainer.unpooling_2d(x=numbers('f4', 1, 1, 4, 4), ksize=2**40, stride=1, pad=2**39)",
    "upsample.chainer.unpooling_2d(x=numbers('f4', 1, 1, 4, 4), ksize=2**14, stride=1, pad=2**13)",
    "upsample.chainer.unpooling_2d(x=numbers('f4', 1, 1, 4, 4), ksize=2**62)",
    "upsample.chainer.unpooling_2d(x=numbers('f4', 0, 1, 4, 4), ksize=2**31)",
    "upsample.chainer.unpooling_1d(x=numbers('f4', 0, 1, 4), ksize=2**31)",
    "upsample.conv_transpose1d(input=numbers('f4', 1, 1, 4), weight=numbers('f4', 1, 1, 3), padding=2**62, "
    "dilation=2**62)",
    "upsample.conv_transpose1d(input=numbers('f4', 1, 1, 3), weight=numbers('f4', 1, 1, 3), stride=2**62, "
    "padding=2**62)",
    "upsample.adaptive_max_pool1d(input=numbers('f4', 0, 1, 4), output_size=2**40)",
    "upsample.interpolate(input=numbers('f4', 0, 1, 4), size=2**40, mode='linear')",
    "upsample.resize(x=numbers('u1', 4), shape=7, mode='cubic', cubic_coeff=1e9)",
    "upsample.resize(x=numbers('u1', 4), shape=7, mode='cubic', cubic_coeff=1e308)",
    "upsample.resize(x=numbers('u1', 4), shape=3, mode='cubic', cubic_coeff=-1e308, antialias=True)",
    "upsample.resize(x=numbers('f4', 4), shape=7, mode='cubic', cubic_coeff=1e308)",
    "upsample.resize(x=numbers('f4', 4), scale=np.complex64(2))",
    "upsample.resize(x=numbers('f4', 4), scale=np.ma.masked)",
    "upsample.pixel_unshuffle(input=numbers('f4', 1, 0, 0), downscale_factor=2**31)",
    "upsample.pixel_shuffle(input=numbers('f4', 0, 1, 1), upscale_factor=2**40)",
    "upsample.chainer.depth2space(X=numbers('f4', 1, 0, 1, 1), r=2**40)",
    "upsample.chainer.space2depth(X=numbers('f4', 1, 1, 0, 0), r=2**40)",
)

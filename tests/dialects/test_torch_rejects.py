"""Calls that torch rejects: ours refuse each of them with a message that begins with the operation's name.

Not here, since ours take them on purpose: integer and bool values in ops that only move values, complex
values in linear ops, float16 and bfloat16 with antialias, indices of any integer dtype for max_unpool.
"""

from typing import Any

import numpy as np
import pytest
import torch_live as live

import upsample

V0 = np.ones((), dtype=np.float32)
V1 = live.values((6,), "float32", 1)
V2 = live.values((3, 6), "float32", 2)
X1 = live.values((2, 3, 6), "float32", 3)
X2 = live.values((2, 3, 5, 6), "float32", 4)
X3 = live.values((2, 3, 4, 5, 6), "float32", 5)
X4 = live.values((1, 2, 3, 3, 3, 3), "float32", 6)
NO_CHANNELS = np.empty((2, 0, 5, 6), dtype=np.float32)
NO_WIDTH = np.empty((2, 3, 5, 0), dtype=np.float32)
U8 = live.values((2, 3, 6), "uint8", 7)
U8_2 = live.values((2, 3, 5, 6), "uint8", 7)
U8_3 = live.values((2, 3, 4, 5, 6), "uint8", 7)
I32 = live.values((2, 3, 5, 6), "int32", 8)
B2 = live.values((2, 3, 5, 6), "bool", 9)
C2 = live.values((2, 3, 5, 6), "complex64", 10)
NAN, INF = float("nan"), float("inf")

Call = tuple[str, tuple, dict[str, Any]]


def of(name: str, *args: Any, **kwargs: Any) -> Call:
    return name, args, kwargs


def interpolate(*args: Any, **kwargs: Any) -> Call:
    return of("interpolate", *args, **kwargs)


INTERPOLATE = {
    # how the size is given
    "neither": interpolate(X2),
    "both": interpolate(X2, size=4, scale_factor=2),
    "both, tuples": interpolate(X2, (4, 4), (2.0, 2.0)),
    "size of 1 for 2 axes": interpolate(X2, size=(4,)),
    "size of 3 for 2 axes": interpolate(X2, size=(4, 4, 4)),
    "size of 2 for 1 axis": interpolate(X1, size=(4, 4)),
    "size of 2 for 3 axes": interpolate(X3, size=(4, 4)),
    "empty size": interpolate(X2, size=()),
    "scale of 1 for 2 axes": interpolate(X2, scale_factor=(2.0,)),
    "scale of 3 for 2 axes": interpolate(X2, scale_factor=[2.0, 2.0, 2.0]),
    "scale of 2 for 1 axis": interpolate(X1, scale_factor=(2.0, 2.0)),
    "empty scale": interpolate(X2, scale_factor=()),
    "float size": interpolate(X2, size=4.0),
    "float in size": interpolate(X2, size=(4, 4.5)),
    "whole float in size": interpolate(X2, size=(4.0, 4)),
    "str size": interpolate(X2, size="4"),
    "str in size": interpolate(X2, size=("4", 4)),
    "None in size": interpolate(X2, size=(None, 4)),
    "bool in size": interpolate(X2, size=(True, 4)),
    "str scale": interpolate(X2, scale_factor="2"),
    "str in scale": interpolate(X2, scale_factor=("2", 2.0)),
    "None in scale": interpolate(X2, scale_factor=(None, 2.0)),
    "complex scale": interpolate(X2, scale_factor=2j),
    "size 0": interpolate(X2, size=0),
    "size 0, one axis": interpolate(X2, size=(4, 0)),
    "size 0, linear": interpolate(X1, size=0, mode="linear"),
    "size 0, bicubic": interpolate(X2, size=(0, 3), mode="bicubic"),
    "size 0, trilinear": interpolate(X3, size=(3, 0, 3), mode="trilinear"),
    "size 0, antialias": interpolate(X2, size=(3, 0), mode="bilinear", antialias=True),
    "negative size": interpolate(X2, size=-3),
    "negative size, one axis": interpolate(X2, size=(4, -1), mode="bilinear"),
    "negative size, area": interpolate(X2, size=(4, -1), mode="area"),
    "scale 0": interpolate(X2, scale_factor=0),
    "scale 0, linear": interpolate(X1, scale_factor=0.0, mode="linear"),
    "scale to size 0": interpolate(X2, scale_factor=0.1),
    "scale to size 0, one axis": interpolate(X2, scale_factor=(1.0, 0.1), mode="bilinear"),
    "scale to size 0, recompute": interpolate(X2, scale_factor=0.1, recompute_scale_factor=True),
    "negative scale": interpolate(X2, scale_factor=-2.0),
    "negative scale, one axis": interpolate(X2, scale_factor=(2.0, -2.0), mode="bicubic"),
    "negative scale, area": interpolate(X2, scale_factor=-1.0, mode="area"),
    "NaN scale": interpolate(X2, scale_factor=NAN),
    "NaN scale, bilinear": interpolate(X2, scale_factor=(2.0, NAN), mode="bilinear"),
    "NaN scale, recompute": interpolate(X2, scale_factor=NAN, recompute_scale_factor=True),
    "NaN scale, area": interpolate(X2, scale_factor=NAN, mode="area"),
    "infinite scale": interpolate(X2, scale_factor=INF),
    "infinite scale, bilinear": interpolate(X2, scale_factor=(2.0, INF), mode="bilinear"),
    "infinite scale, recompute": interpolate(X2, scale_factor=INF, recompute_scale_factor=True),
    "minus infinite scale": interpolate(X2, scale_factor=-INF),
    "recompute with size": interpolate(X2, size=4, recompute_scale_factor=True),
    "recompute with size, area": interpolate(X2, size=4, mode="area", recompute_scale_factor=True),
    # the mode and what goes with it
    "unknown mode": interpolate(X2, size=4, mode="cubic"),
    "empty mode": interpolate(X2, size=4, mode=""),
    "mode in capitals": interpolate(X2, size=4, mode="Nearest"),
    "mode None": interpolate(X2, size=4, mode=None),
    "mode a number": interpolate(X2, size=4, mode=1),
    "linear of 4-d": interpolate(X2, size=4, mode="linear"),
    "linear of 5-d": interpolate(X3, size=4, mode="linear"),
    "bilinear of 3-d": interpolate(X1, size=4, mode="bilinear"),
    "bilinear of 5-d": interpolate(X3, size=4, mode="bilinear"),
    "trilinear of 3-d": interpolate(X1, size=4, mode="trilinear"),
    "trilinear of 4-d": interpolate(X2, size=4, mode="trilinear"),
    "bicubic of 3-d": interpolate(X1, size=4, mode="bicubic"),
    "bicubic of 5-d": interpolate(X3, size=4, mode="bicubic"),
    "align_corners with nearest": interpolate(X2, size=4, align_corners=True),
    "align_corners=False with nearest": interpolate(X2, size=4, align_corners=False),
    "align_corners with nearest-exact": interpolate(X2, size=4, mode="nearest-exact", align_corners=True),
    "align_corners=False with nearest-exact": interpolate(X1, size=4, mode="nearest-exact", align_corners=False),
    "align_corners with area": interpolate(X2, size=4, mode="area", align_corners=True),
    "align_corners=False with area": interpolate(X3, size=4, mode="area", align_corners=False),
    "antialias with nearest": interpolate(X2, size=4, antialias=True),
    "antialias with nearest-exact": interpolate(X2, size=4, mode="nearest-exact", antialias=True),
    "antialias with area": interpolate(X2, size=4, mode="area", antialias=True),
    "antialias with linear": interpolate(X1, size=4, mode="linear", antialias=True),
    "antialias with trilinear": interpolate(X3, size=4, mode="trilinear", antialias=True),
    "antialias with bilinear of 3-d": interpolate(X1, size=4, mode="bilinear", antialias=True),
    "antialias with bicubic of 5-d": interpolate(X3, size=4, mode="bicubic", antialias=True),
    "lanczos without antialias": interpolate(X2, size=4, mode="lanczos"),
    "lanczos with align_corners": interpolate(X2, size=4, mode="lanczos", align_corners=True, antialias=True),
    "lanczos with align_corners alone": interpolate(X2, size=4, mode="lanczos", align_corners=True),
    "lanczos of 3-d": interpolate(X1, size=4, mode="lanczos", antialias=True),
    "lanczos of 5-d": interpolate(X3, size=4, mode="lanczos", antialias=True),
    # the array
    "0-d": interpolate(V0, scale_factor=2),
    "1-d": interpolate(V1, scale_factor=2),
    "2-d": interpolate(V2, scale_factor=2),
    "2-d, area": interpolate(V2, scale_factor=2, mode="area"),
    "2-d, linear": interpolate(V2, size=3, mode="linear"),
    "6-d": interpolate(X4, scale_factor=2),
    "6-d, area": interpolate(X4, scale_factor=2, mode="area"),
    "no channels": interpolate(NO_CHANNELS, scale_factor=2),
    "no channels, bilinear": interpolate(NO_CHANNELS, scale_factor=2, mode="bilinear"),
    "no width": interpolate(NO_WIDTH, size=4),
    "no width, nearest-exact": interpolate(NO_WIDTH, size=4, mode="nearest-exact"),
    "no width, bicubic": interpolate(NO_WIDTH, size=4, mode="bicubic"),
    "no width, area": interpolate(NO_WIDTH, size=4, mode="area"),
    "uint8 linear": interpolate(U8, size=4, mode="linear"),
    "uint8 trilinear": interpolate(U8_3, size=4, mode="trilinear"),
    "uint8 area": interpolate(U8_2, size=4, mode="area"),
    "int32 bilinear": interpolate(I32, size=4, mode="bilinear"),
    "int32 bicubic": interpolate(I32, size=4, mode="bicubic"),
    "int32 antialias": interpolate(I32, size=4, mode="bilinear", antialias=True),
    "int32 area": interpolate(I32, size=4, mode="area"),
    "bool bilinear": interpolate(B2, size=4, mode="bilinear"),
    "bool area": interpolate(B2, size=4, mode="area"),
    "a list": interpolate([[[1.0, 2.0]]], size=4),
    "None": interpolate(None, size=4),
    "no input": interpolate(size=4),
    "unknown keyword": interpolate(X2, size=4, cover_all=True),
    "too many arguments": interpolate(X2, 4, None, "nearest", None, None, False, None),
}

POOL = {
    "kernel 0": of("max_pool1d", X1, 0),
    "kernel 0, 2-d": of("max_pool2d", X2, (2, 0)),
    "kernel 0, indices": of("max_pool3d", X3, 0, return_indices=True),
    "negative kernel": of("max_pool2d", X2, -2),
    "stride 0": of("max_pool1d", X1, 2, 0),
    "stride 0, one axis": of("max_pool2d", X2, 2, (1, 0)),
    "stride 0, 3-d": of("max_pool3d", X3, 2, 0, return_indices=True),
    "negative stride": of("max_pool2d", X2, 2, -1),
    "dilation 0": of("max_pool1d", X1, 2, 2, 0, 0),
    "dilation 0, 2-d": of("max_pool2d", X2, 2, 2, 0, (1, 0)),
    "negative dilation": of("max_pool3d", X3, 2, 2, 0, -1),
    "negative padding": of("max_pool1d", X1, 2, 2, -1),
    "negative padding, 2-d": of("max_pool2d", X2, 2, 2, (0, -1)),
    "padding over half the kernel": of("max_pool1d", X1, 2, 2, 2),
    "padding over half an odd kernel": of("max_pool2d", X2, 3, 2, 2),
    "padding over half one axis": of("max_pool2d", X2, (4, 2), 2, (2, 2)),
    "padding over half, dilated": of("max_pool3d", X3, 2, 1, 2, 2),
    "padding of kernel 1": of("max_pool2d", X2, 1, 1, 1),
    "kernel over the input": of("max_pool1d", X1, 7),
    "kernel over the input, 2-d": of("max_pool2d", X2, (6, 2)),
    "kernel over the input, 3-d": of("max_pool3d", X3, (5, 1, 1), return_indices=True),
    "dilated kernel over the input": of("max_pool2d", X2, 3, 1, 0, 3),
    "kernel of 3 for 2 axes": of("max_pool2d", X2, (2, 2, 2)),
    "kernel of 2 for 1 axis": of("max_pool1d", X1, (2, 2)),
    "kernel of 2 for 3 axes": of("max_pool3d", X3, (2, 2)),
    "kernel ()": of("max_pool2d", X2, ()),
    "stride of 3 for 2 axes": of("max_pool2d", X2, 2, (1, 1, 1)),
    "padding of 3 for 2 axes": of("max_pool2d", X2, 2, 2, (0, 0, 0)),
    "dilation of 3 for 2 axes": of("max_pool2d", X2, 2, 2, 0, (1, 1, 1)),
    "float kernel": of("max_pool2d", X2, 2.0),
    "float in kernel": of("max_pool2d", X2, (2.5, 2)),
    "float stride": of("max_pool1d", X1, 2, 1.5),
    "float padding": of("max_pool2d", X2, 2, 2, 0.5),
    "float dilation": of("max_pool2d", X2, 2, 2, 0, 1.0),
    "str kernel": of("max_pool2d", X2, "2"),
    "None kernel": of("max_pool2d", X2, None),
    "None padding": of("max_pool2d", X2, 2, 2, None),
    "no kernel": of("max_pool2d", X2),
    "1-d of 1-d": of("max_pool1d", V1, 2),
    "1-d of 4-d": of("max_pool1d", X2, 2),
    "2-d of 2-d": of("max_pool2d", V2, 2),
    "2-d of 5-d": of("max_pool2d", X3, 2),
    "3-d of 3-d": of("max_pool3d", X1, 2),
    "3-d of 6-d": of("max_pool3d", X4, 2),
    "no channels": of("max_pool2d", NO_CHANNELS, 2),
    "no width": of("max_pool2d", NO_WIDTH, 2),
    "complex": of("max_pool2d", C2, 2),
    "complex, indices": of("max_pool2d", C2, 2, return_indices=True),
    "a list": of("max_pool1d", [[1.0, 2.0]], 2),
    "None": of("max_pool2d", None, 2),
    "unknown keyword": of("max_pool2d", X2, 2, cover_all=True),
    "with_indices, padding over half": of("max_pool2d_with_indices", X2, 2, 2, 2),
    "with_indices, kernel over the input": of("max_pool1d_with_indices", X1, 9),
    "adaptive, negative": of("adaptive_max_pool1d", X1, -1),
    "adaptive, negative, 2-d": of("adaptive_max_pool2d", X2, (2, -1)),
    "adaptive, of 3 for 2 axes": of("adaptive_max_pool2d", X2, (2, 2, 2)),
    "adaptive, of 1 for 2 axes": of("adaptive_max_pool2d", X2, (2,)),
    "adaptive, of 2 for 3 axes": of("adaptive_max_pool3d", X3, (2, 2)),
    "adaptive, float": of("adaptive_max_pool2d", X2, 2.0),
    "adaptive, float in the tuple": of("adaptive_max_pool2d", X2, (2, 2.5)),
    "adaptive, str": of("adaptive_max_pool2d", X2, "2"),
    "adaptive, no output_size": of("adaptive_max_pool2d", X2),
    "adaptive, 1-d of 1-d": of("adaptive_max_pool1d", V1, 2),
    "adaptive, 1-d of 4-d": of("adaptive_max_pool1d", X2, 2),
    "adaptive, 2-d of 2-d": of("adaptive_max_pool2d", V2, 2),
    "adaptive, 2-d of 5-d": of("adaptive_max_pool2d", X3, 2),
    "adaptive, 3-d of 6-d": of("adaptive_max_pool3d", X4, 2),
    "adaptive, no width": of("adaptive_max_pool2d", NO_WIDTH, 2),
    "adaptive, complex": of("adaptive_max_pool2d", C2, 2),
}

Y1, Y2, Y3 = X1[..., :3], X2[..., :2, :3], X3[..., :2, :2, :2]
J1, J2, J3 = (np.zeros(y.shape, dtype=np.int64) for y in (Y1, Y2, Y3))


def marked(indices: np.ndarray, value: int) -> np.ndarray:
    indices = indices.copy()
    indices.reshape(-1)[-1] = value
    return indices


UNPOOL = {
    "index below 0": of("max_unpool1d", Y1, marked(J1, -1), 2),
    "index below 0, 2-d": of("max_unpool2d", Y2, marked(J2, -3), 2),
    "index at the end": of("max_unpool1d", Y1, marked(J1, 6), 2),
    "index at the end, 2-d": of("max_unpool2d", Y2, marked(J2, 24), 2),
    "index at the end, 3-d": of("max_unpool3d", Y3, marked(J3, 64), 2),
    "index far out": of("max_unpool2d", Y2, marked(J2, 2**40), 2),
    "index out of a smaller output": of("max_unpool2d", Y2, marked(J2, 15), 2, output_size=(3, 5)),
    "indices of another shape": of("max_unpool2d", Y2, J2[..., :2], 2),
    "indices of another batch": of("max_unpool2d", Y2, J2[:1], 2),
    "indices of another rank": of("max_unpool2d", Y2, J2[0], 2),
    "indices of another shape, 1-d": of("max_unpool1d", Y1, J1[..., :1], 2),
    "indices of another shape, 3-d": of("max_unpool3d", Y3, J3[..., :1], 2),
    "float indices": of("max_unpool2d", Y2, J2.astype(np.float32), 2),
    "float indices, 3-d": of("max_unpool3d", Y3, J3.astype(np.float64), 2),
    "bool indices": of("max_unpool1d", Y1, J1.astype(bool), 2),
    "complex indices": of("max_unpool2d", Y2, J2.astype(np.complex64), 2),
    "indices a list": of("max_unpool1d", Y1, J1.tolist(), 2),
    "indices None": of("max_unpool2d", Y2, None, 2),
    "no kernel": of("max_unpool2d", Y2, J2),
    "output_size a stride below": of("max_unpool1d", Y1, J1, 2, output_size=(4,)),
    "output_size a stride above": of("max_unpool1d", Y1, J1, 2, output_size=(8,)),
    "output_size a stride above, 2-d": of("max_unpool2d", Y2, J2, 2, output_size=(4, 8)),
    "output_size a stride below, 2-d": of("max_unpool2d", Y2, J2, 2, output_size=(2, 6)),
    "output_size far above, full": of("max_unpool2d", Y2, J2, 2, output_size=(2, 3, 40, 6)),
    "output_size far above, 3-d": of("max_unpool3d", Y3, J3, 2, output_size=(4, 4, 9)),
    "output_size 1 with stride 1": of("max_unpool1d", Y1, J1, 2, 1, output_size=(5,)),
    "output_size of 1 for 2 axes": of("max_unpool2d", Y2, J2, 2, output_size=(4,)),
    "output_size of 3 for 2 axes": of("max_unpool2d", Y2, J2, 2, output_size=(3, 4, 6)),
    "output_size of 5 for 2 axes": of("max_unpool2d", Y2, J2, 2, output_size=(1, 2, 3, 4, 6)),
    "output_size of 2 for 1 axis": of("max_unpool1d", Y1, J1, 2, output_size=(3, 6)),
    "output_size of 4 for 3 axes": of("max_unpool3d", Y3, J3, 2, output_size=(3, 4, 4, 4)),
    "output_size empty": of("max_unpool2d", Y2, J2, 2, output_size=()),
    "output_size an int": of("max_unpool2d", Y2, J2, 2, output_size=4),
    "output_size floats": of("max_unpool2d", Y2, J2, 2, output_size=(4.0, 6.5)),
    "output_size str": of("max_unpool2d", Y2, J2, 2, output_size="46"),
    "kernel of 3 for 2 axes": of("max_unpool2d", Y2, J2, (2, 2, 2)),
    "kernel of 1 for 2 axes": of("max_unpool2d", Y2, J2, (2,)),
    "kernel of 2 for 3 axes": of("max_unpool3d", Y3, J3, (2, 2)),
    "stride of 1 for 2 axes": of("max_unpool2d", Y2, J2, 2, (2,)),
    "padding of 1 for 2 axes": of("max_unpool2d", Y2, J2, 2, 2, (0,)),
    "stride of 2 for 3 axes": of("max_unpool3d", Y3, J3, 2, (2, 2)),
    "float kernel": of("max_unpool2d", Y2, J2, 2.5),
    "float stride": of("max_unpool2d", Y2, J2, 2, 1.5),
    "float padding": of("max_unpool2d", Y2, J2, 2, 2, 0.5),
    "str kernel": of("max_unpool2d", Y2, J2, "2"),
    "None kernel": of("max_unpool2d", Y2, J2, None),
    "padding leaves no output": of("max_unpool2d", Y2, J2, 2, 2, 3),
    "1-d of 1-d": of("max_unpool1d", V1, np.zeros(6, np.int64), 2),
    "1-d of 4-d": of("max_unpool1d", Y2, J2, 2),
    "2-d of 2-d": of("max_unpool2d", V2, np.zeros((3, 6), np.int64), 2),
    "2-d of 5-d": of("max_unpool2d", Y3, J3, 2),
    "3-d of 3-d": of("max_unpool3d", Y1, J1, 2),
    "3-d of 6-d": of("max_unpool3d", X4, np.zeros(X4.shape, np.int64), 2),
    "no width": of("max_unpool2d", NO_WIDTH, np.zeros(NO_WIDTH.shape, np.int64), 2),
    "no channels": of("max_unpool2d", NO_CHANNELS, np.zeros(NO_CHANNELS.shape, np.int64), 2),
    "a list": of("max_unpool1d", Y1.tolist(), J1, 2),
    "unknown keyword": of("max_unpool2d", Y2, J2, 2, cover_all=True),
}

A1 = live.values((2, 4, 5), "float32", 11)
A2 = live.values((2, 4, 3, 4), "float32", 12)
A3 = live.values((2, 4, 2, 3, 4), "float32", 13)
W1 = live.values((4, 3, 2), "float32", 14)
W2 = live.values((4, 3, 2, 3), "float32", 15)
W3 = live.values((4, 3, 2, 2, 2), "float32", 16)
BIAS = live.values((3,), "float32", 17)


def conv(rank: int, *args: Any, **kwargs: Any) -> Call:
    return of(f"conv_transpose{rank}d", *args, **kwargs)


CONV = {
    "1-d of 1-d": conv(1, V1, W1),
    "1-d of 4-d": conv(1, A2, W1),
    "2-d of 2-d": conv(2, V2, W2),
    "2-d of 5-d": conv(2, A3, W2),
    "3-d of 3-d": conv(3, A1, W3),
    "3-d of 6-d": conv(3, X4, W3),
    "weight of rank 2": conv(1, A1, W1[0]),
    "weight of rank 3 for 2-d": conv(2, A2, W1),
    "weight of rank 5 for 2-d": conv(2, A2, W3),
    "channels differ": conv(2, A2, W2[:3]),
    "channels differ, 1-d": conv(1, A1[:, :2], W1),
    "channels differ, unbatched": conv(2, A2[0, :3], W2),
    "groups that do not divide": conv(2, A2, W2, groups=3),
    "groups over the channels": conv(2, A2, W2, groups=8),
    "groups 0": conv(2, A2, W2, groups=0),
    "negative groups": conv(2, A2, W2, groups=-1),
    "float groups": conv(2, A2, W2, groups=1.0),
    "groups a tuple": conv(2, A2, W2, groups=(1, 1)),
    "bias too long": conv(2, A2, W2, live.values((4,), "float32", 18)),
    "bias too short": conv(2, A2, W2, BIAS[:1]),
    "bias not per group": conv(2, A2, W2, BIAS, groups=2),
    "bias of rank 2": conv(2, A2, W2, BIAS[None]),
    "bias of rank 0": conv(2, A2, W2, V0),
    "bias a number": conv(2, A2, W2, 1.0),
    "bias complex, input real": conv(2, A2, W2, BIAS.astype(np.complex64)),
    "weight of another dtype": conv(2, A2, W2.astype(np.float64)),
    "weight of another dtype, half": conv(1, A1.astype(np.float16), W1),
    "weight complex, input real": conv(2, A2, W2.astype(np.complex64)),
    "weight None": conv(2, A2, None),
    "no weight": conv(2, A2),
    "weight a list": conv(1, A1, W1.tolist()),
    "input a list": conv(1, A1.tolist(), W1),
    "stride 0": conv(2, A2, W2, stride=0),
    "stride 0, one axis": conv(2, A2, W2, stride=(1, 0)),
    "stride 0, 1-d": conv(1, A1, W1, None, 0),
    "negative stride": conv(3, A3, W3, stride=-1),
    "dilation 0": conv(2, A2, W2, dilation=0),
    "dilation 0, one axis": conv(2, A2, W2, dilation=(1, 0)),
    "negative dilation": conv(1, A1, W1, dilation=-1),
    "negative padding": conv(2, A2, W2, padding=-1),
    "negative padding, one axis": conv(2, A2, W2, padding=(0, -1)),
    "negative output_padding": conv(2, A2, W2, stride=2, output_padding=-1),
    "output_padding as large as stride": conv(1, A1, W1, stride=2, output_padding=2),
    "output_padding 1 with stride 1": conv(2, A2, W2, output_padding=1),
    "output_padding over stride and dilation": conv(2, A2, W2, stride=2, output_padding=3, dilation=3),
    "output_padding over one axis": conv(3, A3, W3, stride=(2, 1, 2), output_padding=(1, 1, 1)),
    "output below 1": conv(1, A1, W1, padding=4),
    "output below 1, one axis": conv(2, A2, W2, padding=(3, 0)),
    "output below 1, 3-d": conv(3, A3, W3, padding=3),
    "empty kernel": conv(2, A2, W2[..., :0]),
    "empty kernel, 1-d": conv(1, A1, W1[..., :0]),
    "no width": conv(2, A2[..., :0], W2),
    "stride of 3 for 2 axes": conv(2, A2, W2, stride=(1, 1, 1)),
    "padding of 3 for 2 axes": conv(2, A2, W2, padding=(0, 0, 0)),
    "output_padding of 3 for 2 axes": conv(2, A2, W2, output_padding=(0, 0, 0)),
    "dilation of 3 for 2 axes": conv(2, A2, W2, dilation=(1, 1, 1)),
    "stride of 2 for 1 axis": conv(1, A1, W1, stride=(1, 1)),
    "stride of 2 for 3 axes": conv(3, A3, W3, stride=(1, 1)),
    "float stride": conv(2, A2, W2, stride=2.0),
    "float in stride": conv(2, A2, W2, stride=(2, 1.5)),
    "float padding": conv(2, A2, W2, padding=0.5),
    "float output_padding": conv(2, A2, W2, stride=2, output_padding=1.0),
    "float dilation": conv(2, A2, W2, dilation=1.0),
    "str padding": conv(2, A2, W2, padding="same"),
    "None stride": conv(2, A2, W2, stride=None),
    "None padding": conv(2, A2, W2, padding=None),
    "uint8": conv(2, A2.astype(np.int64).astype(np.uint8), W2.astype(np.int64).astype(np.uint8)),
    "bool": conv(2, A2 > 0, W2 > 0),
    "unknown keyword": conv(2, A2, W2, output_size=(4, 6)),
}

PIXEL_SHUFFLE = {
    "channels do not divide": of("pixel_shuffle", X2, 2),
    "factor 0": of("pixel_shuffle", X2, 0),
    "negative factor": of("pixel_shuffle", X2, -1),
    "float factor": of("pixel_shuffle", A2, 2.0),
    "str factor": of("pixel_shuffle", A2, "2"),
    "None factor": of("pixel_shuffle", A2, None),
    "tuple factor": of("pixel_shuffle", A2, (2, 2)),
    "no factor": of("pixel_shuffle", A2),
    "2-d": of("pixel_shuffle", V2, 1),
    "1-d": of("pixel_shuffle", V1, 1),
    "0-d": of("pixel_shuffle", V0, 1),
    "a list": of("pixel_shuffle", A2.tolist(), 2),
    "unshuffle, height does not divide": of("pixel_unshuffle", X2, 2),
    "unshuffle, width does not divide": of("pixel_unshuffle", X2[..., :4, :5], 2),
    "unshuffle, factor 0": of("pixel_unshuffle", X2, 0),
    "unshuffle, negative factor": of("pixel_unshuffle", X2, -1),
    "unshuffle, float factor": of("pixel_unshuffle", X2, 1.0),
    "unshuffle, tuple factor": of("pixel_unshuffle", X2[..., :4, :4], (2, 2)),
    "unshuffle, 2-d": of("pixel_unshuffle", V2, 3),
    "unshuffle, None": of("pixel_unshuffle", None, 2),
}

# A bias of another float dtype: only oneDNN refuses it, and torch asks oneDNN by processor, size and dtype.
BY_PROCESSOR = {
    "bias float64, input float32": conv(2, A2, W2, BIAS.astype(np.float64)),
    "bias float32, input float64": conv(2, A2.astype(np.float64), W2.astype(np.float64), BIAS),
    "bias float16, input float32": conv(1, A1, W1, BIAS.astype(np.float16)),
    "bias float32, input float16": conv(2, A2.astype(np.float16), W2.astype(np.float16), BIAS),
    "bias float32, input bfloat16": conv(3, A3.astype(live.BFLOAT16), W3.astype(live.BFLOAT16), BIAS),
}

GROUPS = {
    "interpolate": INTERPOLATE,
    "pool": POOL,
    "unpool": UNPOOL,
    "conv_transpose": CONV,
    "pixel_shuffle": PIXEL_SHUFFLE,
}
ROWS = [pytest.param(*row, id=f"{group}: {title}") for group, rows in GROUPS.items() for title, row in rows.items()]


@pytest.mark.parametrize(("name", "args", "kwargs"), ROWS)
def test_rejected(name: str, args: tuple, kwargs: dict[str, Any]) -> None:
    with pytest.raises(Exception):  # noqa: B017 - which exception is torch's affair
        live.call(name, *args, **kwargs)
    assert_ours_refuse(name, args, kwargs)


@pytest.mark.parametrize(("name", "args", "kwargs"), BY_PROCESSOR.values(), ids=BY_PROCESSOR)
def test_rejected_on_every_processor(name: str, args: tuple, kwargs: dict[str, Any]) -> None:
    """torch takes these on some processors and in some sizes; ours refuse them everywhere."""
    assert_ours_refuse(name, args, kwargs)


def assert_ours_refuse(name: str, args: tuple, kwargs: dict[str, Any]) -> None:
    ours = getattr(upsample, name)
    with pytest.raises((ValueError, TypeError, IndexError)) as refused:
        ours(*args, **kwargs)
    assert type(refused.value).__module__ in ("builtins", "upsample.errors")
    message = str(refused.value)
    assert message.startswith(name), f"the message does not begin with the operation: {message!r}"
    assert len(message) > len(name) + 10, f"the message says nothing: {message!r}"


def test_table_is_as_large_as_promised() -> None:
    assert len(ROWS) >= 250
    assert len({param.values[0] for param in ROWS}) >= 12

"""The texts that arguments take, as types: type checkers see a typo before anything runs."""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = [
    "AutoPad",
    "Boundary",
    "ChainerMode",
    "CheckIndices",
    "DataFormat",
    "DepthOrder",
    "DuplicateGrad",
    "Duplicates",
    "EngineName",
    "InterpolateMode",
    "JaxMethod",
    "KerasBackend",
    "KerasMethod",
    "KerasPadding",
    "MissingValues",
    "OnnxCoordinates",
    "OnnxMode",
    "OnnxPolicy",
    "OnnxRounding",
    "OnnxUpsampleMode",
    "Precision",
    "PyramidMethod",
    "ResizeMode",
    "ScipyMode",
    "SkimageBlurMode",
    "SkimageMode",
    "TensorflowMethod",
    "TensorflowV1Method",
    "UpsampleMode",
    "ZeroPadding",
]

EngineName: TypeAlias = Literal["cuda", "cpu", "dask", "jax", "portable"]

UpsampleMode: TypeAlias = Literal["nearest", "nearest-exact", "area", "linear", "bilinear", "trilinear", "bicubic"]
"""Modes that need no option: lanczos needs ``antialias=True``, which only `interpolate` has."""
InterpolateMode: TypeAlias = UpsampleMode | Literal["lanczos"]
ResizeMode: TypeAlias = Literal[
    "nearest", "nearest-exact", "area", "linear", "cubic", "lanczos", "hamming", "mitchell",
    "spline2", "spline3", "spline4", "spline5",
]  # fmt: skip
"""Modes of one axis, in the native dialect."""
Boundary: TypeAlias = Literal["edge", "reflect", "mirror", "wrap", "constant"]
MissingValues: TypeAlias = Literal["propagate", "omit"]

Duplicates: TypeAlias = Literal["last", "sum", "error"]
DuplicateGrad: TypeAlias = Literal["winner", "all"]
CheckIndices: TypeAlias = bool | Literal["later"]
Precision: TypeAlias = Literal["float32", "tf32x3", "tf32"]
ZeroPadding: TypeAlias = Literal["zeros"]

ChainerMode: TypeAlias = Literal["bilinear", "nearest"]
JaxMethod: TypeAlias = Literal[
    "nearest", "linear", "bilinear", "trilinear", "triangle", "cubic", "bicubic", "tricubic",
    "cubic-pytorch", "bicubic-pytorch", "lanczos3", "lanczos5", "area",
]  # fmt: skip
KerasBackend: TypeAlias = Literal["tensorflow", "jax", "torch"]
KerasMethod: TypeAlias = Literal["nearest", "bilinear", "bicubic", "lanczos3", "lanczos5"]
KerasPadding: TypeAlias = Literal["valid", "same"]
DataFormat: TypeAlias = Literal["channels_last", "channels_first"]
AutoPad: TypeAlias = Literal["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]
DepthOrder: TypeAlias = Literal["DCR", "CRD"]
OnnxUpsampleMode: TypeAlias = Literal["nearest", "linear"]
OnnxMode: TypeAlias = OnnxUpsampleMode | Literal["cubic"]
OnnxPolicy: TypeAlias = Literal["stretch", "not_larger", "not_smaller"]
OnnxCoordinates: TypeAlias = Literal[
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
]  # fmt: skip
OnnxRounding: TypeAlias = Literal["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]
PyramidMethod: TypeAlias = Literal["area", "nearest", "mode", "linear", "cubic", "lanczos"]
ScipyMode: TypeAlias = Literal[
    "reflect", "grid-mirror", "constant", "grid-constant", "nearest", "mirror", "grid-wrap", "wrap"
]
SkimageMode: TypeAlias = Literal["constant", "edge", "symmetric", "reflect", "wrap"]
SkimageBlurMode: TypeAlias = Literal["reflect", "constant", "nearest", "mirror", "wrap"]
TensorflowV1Method: TypeAlias = Literal["bilinear", "nearest", "bicubic", "area"]
TensorflowMethod: TypeAlias = TensorflowV1Method | Literal["lanczos3", "lanczos5", "gaussian", "mitchellcubic"]

"""ONNX ConvTranspose."""

from __future__ import annotations

from collections.abc import Sequence

from upsample import arrays
from upsample.arguments import check_dtype, check_rank, integer
from upsample.arrays import Array, ArrayT
from upsample.errors import Raw, bad_value
from upsample.literals import AutoPad, EngineName, Precision
from upsample.onnx.attributes import AUTO_PADS, check_spatial, choice, pads_of, window_ints
from upsample.ops.conv_transpose import conv_transpose as _run
from upsample.plans.plan_cache import planned
from upsample.plans.window import ConvTransposePlan, WindowAxis
from upsample.precision import precision_of

__all__ = ["conv_transpose"]

_Ints = tuple[int, ...]


def conv_transpose(
    X: ArrayT,
    W: Array,
    B: Array | None = None,
    *,
    auto_pad: AutoPad = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    precision: Precision | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Apply a transposed convolution, as ONNX ConvTranspose does.

    Parameters
    ----------
    X : array
        ``[N, C, *spatial]``, floating.
    W : array
        ``[C, M / group, *kernel]``, of the dtype of `X`.
    B : array, optional
        ``[M]``, of the dtype of `X`.
    auto_pad : {"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}
        "SAME_UPPER" and "SAME_LOWER" crop the result to the input size times the stride; the larger half of an odd
        crop is at the end, or at the begin. "VALID" crops nothing.
    dilations, strides : sequence of int, optional
        One per spatial axis; None is all 1.
    group : int
        Blocks of channels that do not mix.
    kernel_shape : sequence of int, optional
        Must be the spatial shape of `W`.
    output_padding : sequence of int, optional
        Positions that are added at the end of each spatial axis, at most the stride or the dilation.
    output_shape : sequence of int, optional
        Spatial shape of the result. `pads` are then computed: under "SAME_UPPER" the begin receives the smaller half,
        otherwise the larger one.
    pads : sequence of int, optional
        Positions that are cropped: the begins of all spatial axes, then the ends.
    precision : {"float32", "tf32x3", "tf32"}, optional
        How a GPU multiplies float32 factors; see `upsample.conv_transpose2d`.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        ``[N, M, *spatial]`` of the library, dtype and device of `X`.

    Raises
    ------
    ValueError
        Shapes or attributes that do not match, or a result without samples.
    TypeError
        Another dtype or type, or mixed libraries.

    Notes
    -----
    Opsets 1, 11 and 22 compute the same. An `output_shape` past the size of the uncropped result adds positions at the
    end, as in onnxruntime; they contain the bias.

    References
    ----------
    https://onnx.ai/onnx/operators/onnx__ConvTranspose.html

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.onnx
    >>> upsample.onnx.conv_transpose(np.asarray([[[1.0, 2.0]]]), np.ones((1, 1, 3)), strides=[2])
    array([[[1., 1., 3., 2., 2.]]])
    """
    op = "conv_transpose"
    xp = arrays.namespace(op, {"X": X, "W": W} | ({} if B is None else {"B": B}))
    count = check_spatial(op, "X", X)
    _check_operands(op, X, W, B, integer(op, "group", group, least=1), kernel_shape)
    given = None if output_shape is None else window_ints(op, "output_shape", output_shape, count, least=1, default=1)
    plan = _plan(
        op,
        tuple(X.shape[2:]),
        tuple(W.shape[2:]),
        window_ints(op, "strides", strides, count, least=1, default=1),
        window_ints(op, "dilations", dilations, count, least=1, default=1),
        window_ints(op, "output_padding", output_padding, count, least=0, default=0),
        None if given is None and pads is None else given,
        pads_of(op, pads, count),
        choice(op, "auto_pad", auto_pad, AUTO_PADS),
        group,
        precision_of(op, precision, X),
    )
    return _run(X, W, B, op=op, arguments=("X", "W", "B"), xp=xp, plan=plan, out=None, engine=engine)


def _check_operands(op: str, x: Array, weight: Array, bias: Array | None, group: int, kernel_shape: object) -> None:
    name = check_dtype(op, "X", x, arrays.FLOATING, "pass floating numbers")
    check_rank(op, "W", weight, (x.ndim,), "[C, M / group, *kernel]")
    check_dtype(op, "W", weight, {name}, f"pass {name}, the dtype of X")
    shape = tuple(weight.shape)
    if x.shape[1] != shape[0]:
        rule = f"X has {x.shape[1]} channels"
        raise bad_value(op, "W", Raw(f"<shape {shape}>"), rule, "pass [C, M / group, *kernel]")
    if 0 in shape:
        raise bad_value(op, "W", Raw(f"<shape {shape}>"), "no axis may be empty", "pass weights")
    if shape[0] % group:
        raise bad_value(op, "group", group, f"it does not divide the {shape[0]} channels", "pass a divisor")
    if kernel_shape is not None:
        count = x.ndim - 2
        kernel = window_ints(op, "kernel_shape", kernel_shape, count, least=1, default=None)
        if kernel != shape[2:]:
            raise bad_value(op, "kernel_shape", kernel, f"W has the kernel {shape[2:]}", "omit it")
    if bias is not None:
        check_dtype(op, "B", bias, {name}, f"pass {name}, the dtype of X")
        if tuple(bias.shape) != (shape[1] * group,):
            rule = f"the result has {shape[1] * group} channels"
            raise bad_value(op, "B", Raw(f"<shape {tuple(bias.shape)}>"), rule, "pass one for each")


@planned
def _plan(
    op: str,
    small: _Ints,
    kernel: _Ints,
    strides: _Ints,
    dilations: _Ints,
    output_padding: _Ints,
    output_shape: _Ints | None,
    pads: tuple[_Ints, _Ints],
    auto_pad: str,
    group: int,
    precision: str,
) -> ConvTransposePlan:
    if output_shape is None and auto_pad.startswith("SAME"):
        output_shape = tuple(n * s for n, s in zip(small, strides, strict=True))
    axes = []
    for place, (n, k, s, d, more) in enumerate(zip(small, kernel, strides, dilations, output_padding, strict=True)):
        full = (n - 1) * s + d * (k - 1) + 1 + more
        if output_shape is not None:
            large = output_shape[place]
            total = max(full - large, 0)
            begin = total // 2 if auto_pad == "SAME_UPPER" else total - total // 2
        else:
            begin, end = (0, 0) if auto_pad == "VALID" else (pads[0][place], pads[1][place])
            large = full - begin - end
        if large < 1:
            rule = f"of {n} samples with this window they leave {large} positions on spatial axis {place}"
            raise bad_value(op, "pads", (*pads[0], *pads[1]), rule, "pass less")
        axes.append(WindowAxis(large, n, k, s, begin, d))
    return ConvTransposePlan(tuple(axes), group, precision)

"""Keras' transposed convolution."""

from __future__ import annotations

from collections.abc import Sequence

from upsample import arrays
from upsample.arguments import check_dtype, check_rank, integers
from upsample.arrays import Array, ArrayT
from upsample.errors import Raw, bad_value
from upsample.keras.layout import choice, is_channels_last
from upsample.literals import DataFormat, EngineName, KerasPadding, Precision
from upsample.ops.conv_transpose import conv_transpose as _run
from upsample.ops.taped_casts import permute
from upsample.plans.plan_cache import planned
from upsample.plans.window import ConvTransposePlan, WindowAxis
from upsample.precision import precision_of

__all__ = ["conv_transpose"]

_Ints = tuple[int, ...]


def conv_transpose(
    inputs: ArrayT,
    kernel: Array,
    strides: int | Sequence[int] = 1,
    padding: KerasPadding = "valid",
    output_padding: int | Sequence[int] | None = None,
    data_format: DataFormat = "channels_last",
    dilation_rate: int | Sequence[int] = 1,
    *,
    precision: Precision | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Apply a transposed convolution, as keras.ops.conv_transpose does.

    Parameters
    ----------
    inputs : array
        ``[N, *spatial, C]``, or ``[N, C, *spatial]`` with "channels_first"; floating.
    kernel : array
        ``[*window, M, C]``, of the dtype of `inputs`.
    strides, dilation_rate : int or sequence of int
        One for all spatial axes, or one each.
    padding : {"valid", "same"}
        "valid" makes ``n * stride + max(window - stride, 0)`` positions. "same" makes ``n * stride``: it crops
        ``max(window - stride, 0)``, of which half (rounded down) at the begin.
    output_padding : int or sequence of int, optional
        Makes ``(n - 1) * stride + window + output_padding`` positions, for "same" ``2 * (window // 2)`` fewer. A
        dilated window counts with its gaps.
    data_format : {"channels_last", "channels_first"}
        Where the channels are.
    precision : {"float32", "tf32x3", "tf32"}, optional
        How a GPU multiplies float32 factors; see `upsample.conv_transpose2d`.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        ``[N, *positions, M]``, or ``[N, M, *positions]``, of the library, dtype and device of `inputs`.

    Raises
    ------
    ValueError
        Shapes that do not match, or a result without positions.
    TypeError
        Another dtype or type, or mixed libraries.

    References
    ----------
    https://keras.io/api/ops/nn/#convtranspose-function

    Examples
    --------
    >>> import numpy as np
    >>> import upsample.keras
    >>> x = np.asarray([[[1.0], [2.0]]])
    >>> upsample.keras.conv_transpose(x, np.ones((3, 1, 1)), strides=2).ravel()
    array([1., 1., 3., 2., 2.])
    >>> upsample.keras.conv_transpose(x, np.ones((3, 1, 1)), strides=2, padding="same").ravel()
    array([1., 1., 3., 2.])
    """
    op = "conv_transpose"
    xp = arrays.namespace(op, {"inputs": inputs, "kernel": kernel})
    check_rank(op, "inputs", inputs, (3, 4, 5), "[N, *spatial, C] or [N, C, *spatial]")
    name = check_dtype(op, "inputs", inputs, arrays.FLOATING, "pass floating numbers")
    check_rank(op, "kernel", kernel, (inputs.ndim,), "[*window, M, C]")
    check_dtype(op, "kernel", kernel, {name}, f"pass {name}, the dtype of inputs")
    count, last = inputs.ndim - 2, is_channels_last(op, data_format)
    channels = inputs.shape[-1 if last else 1]
    if 0 in inputs.shape[1:]:
        shape = Raw(f"<shape {tuple(inputs.shape)}>")
        raise bad_value(op, "inputs", shape, "only the batch may be empty", "pass samples")
    if kernel.shape[-1] != channels or 0 in kernel.shape:
        rule = f"inputs has {channels} channels"
        raise bad_value(op, "kernel", Raw(f"<shape {tuple(kernel.shape)}>"), rule, "pass [*window, M, C]")
    plan = _plan(
        op,
        tuple(inputs.shape[1:-1] if last else inputs.shape[2:]),
        tuple(kernel.shape[:-2]),
        integers(op, "strides", strides, count, least=1),
        choice(op, "padding", padding, ("valid", "same")),
        None if output_padding is None else integers(op, "output_padding", output_padding, count, least=0),
        integers(op, "dilation_rate", dilation_rate, count, least=1),
        precision_of(op, precision, inputs),
    )
    spatial = range(1, count + 1)
    x = permute(xp, inputs, (0, count + 1, *spatial)) if last else inputs
    weight = permute(xp, kernel, (count + 1, count, *range(count)))
    names = ("inputs", "kernel", "bias")
    result = _run(x, weight, None, op=op, arguments=names, xp=xp, plan=plan, out=None, engine=engine)
    return permute(xp, result, (0, *[axis + 1 for axis in spatial], 1)) if last else result


@planned
def _plan(
    op: str,
    small: _Ints,
    window: _Ints,
    strides: _Ints,
    padding: str,
    output_padding: _Ints | None,
    dilation: _Ints,
    precision: str,
) -> ConvTransposePlan:
    axes = []
    for place, (n, k, s, d) in enumerate(zip(small, window, strides, dilation, strict=True)):
        reach = d * (k - 1) + 1
        if output_padding is not None:
            large = (n - 1) * s + reach + output_padding[place] - (2 * (reach // 2) if padding == "same" else 0)
        else:
            large = n * s + (max(reach - s, 0) if padding == "valid" else 0)
        if large < 1:
            rule = f"of {n} samples with this window it leaves {large} positions on spatial axis {place}"
            raise bad_value(op, "output_padding", output_padding, rule, "pass more")
        cropped = max((n - 1) * s + reach - large, 0) if padding == "same" else 0
        axes.append(WindowAxis(large, n, k, s, cropped // 2, d))
    return ConvTransposePlan(tuple(axes), groups=1, precision=precision)

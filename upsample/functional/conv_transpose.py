"""torch.nn.functional's transposed convolution."""

from __future__ import annotations

from upsample import arrays
from upsample.arguments import IntOrInts, check_dtype, check_known, check_rank, integer, integers
from upsample.arrays import Array, ArrayT
from upsample.docstrings import documented_like
from upsample.errors import Raw, bad_type, bad_value
from upsample.literals import EngineName, Precision
from upsample.ops import call_cache
from upsample.ops.conv_transpose import conv_transpose, repeat_conv_transpose
from upsample.ops.torch_autocast import in_autocast_dtype
from upsample.plans.plan_cache import planned
from upsample.plans.window import ConvTransposePlan, WindowAxis
from upsample.precision import precision_of

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]

_DTYPES = arrays.FLOATING | arrays.COMPLEX | {"int64"}


def conv_transpose2d(
    input: ArrayT,
    weight: Array,
    bias: Array | None = None,
    stride: IntOrInts = 1,
    padding: IntOrInts = 0,
    output_padding: IntOrInts = 0,
    groups: int = 1,
    dilation: IntOrInts = 1,
    *,
    precision: Precision | None = None,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Spread every value over a window of weights on two spatial axes and add.

    Parameters
    ----------
    input : array
        ``[N, C, H, W]`` or ``[C, H, W]``; only N may be 0. Floating, complex or int64.
    weight : array
        ``[C, M / groups, kH, kW]``, of the dtype of `input`.
    bias : array, optional
        ``[M]``.
    stride : int or sequence of int
        Distance of the windows in the result.
    padding : int or sequence of int
        Positions cut off the result on both sides.
    output_padding : int or sequence of int
        Positions added to the result behind; less than the stride or the dilation.
    groups : int
        Blocks of channels that do not mix.
    dilation : int or sequence of int
        Distance of the elements of a window.
    precision : {"float32", "tf32x3", "tf32"}, optional
        How a GPU multiplies float32 factors, here and in the gradients: exactly; as three products of TF32 on tensor
        cores, nearly as exact; or rounded to TF32, which has ten bits of fraction. None is torch's own setting for
        torch tensors, and "float32" for other arrays. A CPU always multiplies exactly.
    out : array, optional
        Receives the result.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        ``[N, M, *size]`` or ``[M, *size]``, of the library, dtype and device of `input`.

    Raises
    ------
    ValueError
        Wrong rank, channels, groups or bias that do not fit, a stride, dilation or group count below 1, negative
        padding, an empty axis other than the batch, a result without positions.
    TypeError
        Another dtype or type, dtypes that differ, or mixed libraries.

    Notes
    -----
    The size of the result is ``(n - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1``. Every
    output is a sum in one fixed order, except under JAX, where XLA decides; float16 and bfloat16 are summed in float32.

    On one axis of three, with a kernel of three and ``stride=2``; where windows overlap, their products add::

        input     0     1     2
        window 0  [-----]
        window 1        [-----]
        window 2              [-----]
        output    0  1  2  3  4  5  6

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x, weight = np.asarray([[[[1.0, 2.0]]]]), np.ones((1, 1, 1, 3))
    >>> upsample.conv_transpose2d(x, weight, stride=(1, 2))
    array([[[[1., 1., 3., 2., 2.]]]])
    """
    return _spread(
        "conv_transpose2d",
        2,
        input,
        weight,
        bias,
        (stride, padding, output_padding, dilation),
        groups,
        precision,
        out,
        engine,
    )


@documented_like(conv_transpose2d)
def conv_transpose1d(
    input: ArrayT,
    weight: Array,
    bias: Array | None = None,
    stride: IntOrInts = 1,
    padding: IntOrInts = 0,
    output_padding: IntOrInts = 0,
    groups: int = 1,
    dilation: IntOrInts = 1,
    *,
    precision: Precision | None = None,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Spread every value over a window of weights on one spatial axis and add; see `conv_transpose2d`.

    Parameters
    ----------
    input : array
        ``[N, C, L]`` or ``[C, L]``; only N may be 0. Floating, complex or int64.
    weight : array
        ``[C, M / groups, kL]``, of the dtype of `input`.

    Returns
    -------
    array
        ``[N, M, *size]`` or ``[M, *size]``, of the library, dtype and device of `input`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x, weight = np.asarray([[[1.0, 2.0]]]), np.asarray([[[1.0, 10.0]]])
    >>> upsample.conv_transpose1d(x, weight, stride=2)
    array([[[ 1., 10.,  2., 20.]]])
    """
    return _spread(
        "conv_transpose1d",
        1,
        input,
        weight,
        bias,
        (stride, padding, output_padding, dilation),
        groups,
        precision,
        out,
        engine,
    )


@documented_like(conv_transpose2d)
def conv_transpose3d(
    input: ArrayT,
    weight: Array,
    bias: Array | None = None,
    stride: IntOrInts = 1,
    padding: IntOrInts = 0,
    output_padding: IntOrInts = 0,
    groups: int = 1,
    dilation: IntOrInts = 1,
    *,
    precision: Precision | None = None,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Spread every value over a window of weights on three spatial axes and add; see `conv_transpose2d`.

    Parameters
    ----------
    input : array
        ``[N, C, D, H, W]`` or ``[C, D, H, W]``; only N may be 0. Floating, complex or int64.
    weight : array
        ``[C, M / groups, kD, kH, kW]``, of the dtype of `input`.

    Returns
    -------
    array
        ``[N, M, *size]`` or ``[M, *size]``, of the library, dtype and device of `input`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.conv_transpose3d(np.ones((1, 1, 1, 1, 2)), np.ones((1, 1, 1, 1, 2)))
    array([[[[[1., 2., 1.]]]]])
    """
    return _spread(
        "conv_transpose3d",
        3,
        input,
        weight,
        bias,
        (stride, padding, output_padding, dilation),
        groups,
        precision,
        out,
        engine,
    )


def _spread(
    op: str,
    spatial: int,
    x: ArrayT,
    weight: Array,
    bias: Array | None,
    window: tuple[object, object, object, object],
    groups: object,
    precision: object,
    out: Array | None,
    engine: str | None,
) -> ArrayT:
    given = (x, weight) if bias is None else (x, weight, bias)
    chosen = precision_of(op, precision, x)  # torch's own setting may change between calls
    key, known = call_cache.lookup(op, (*window, groups, chosen, engine), given, out)
    if known is not None:
        result: ArrayT = repeat_conv_transpose(known.run, x, weight, bias, out)
        return result
    xp = arrays.namespace(op, {"input": x, "weight": weight} | ({} if bias is None else {"bias": bias}))
    before = x, weight, bias
    x, weight, bias = in_autocast_dtype(xp, *before)
    converts = any(a is not b for a, b in zip(before, (x, weight, bias), strict=True))
    check_rank(op, "input", x, (spatial + 1, spatial + 2), "[N, C, *spatial] or [C, *spatial]")
    check_known(op, "input", x, range(x.ndim - spatial, x.ndim))
    check_rank(op, "weight", weight, (spatial + 2,), "[C, M / groups, *kernel]")
    _check_dtypes(op, x, weight, bias, converts)
    if 0 in x.shape[x.ndim - spatial - 1 :]:
        raise bad_value(op, "input", Raw(f"<shape {tuple(x.shape)}>"), "only the batch may be empty", "pass samples")
    if 0 in weight.shape:
        raise bad_value(op, "weight", Raw(f"<shape {tuple(weight.shape)}>"), "no axis may be empty", "pass weights")
    stride, padding, output_padding, dilation = window
    plan = _plan(
        op,
        tuple(x.shape[-spatial:]),
        tuple(weight.shape[2:]),
        integers(op, "stride", stride, spatial, least=1),
        integers(op, "padding", padding, spatial, least=0),
        integers(op, "output_padding", output_padding, spatial, least=0),
        integers(op, "dilation", dilation, spatial, least=1),
        integer(op, "groups", groups, least=1),
        chosen,
    )
    _check_channels(op, int(x.shape[-spatial - 1]), weight, bias, plan.groups)
    result = conv_transpose(
        x,
        weight,
        bias,
        op=op,
        arguments=("input", "weight", "bias"),
        xp=xp,
        plan=plan,
        out=out,
        engine=engine,
    )
    call_cache.store(key, "conv_transpose", plan, given, (result,), engine)
    return result


def _check_dtypes(op: str, x: Array, weight: Array, bias: Array | None, autocasted: bool) -> None:
    name = check_dtype(op, "input", x, _DTYPES, "pass floating, complex or int64 numbers")
    other = check_dtype(op, "weight", weight, _DTYPES, "pass the dtype of input")
    if other != name:
        why = ", as torch.autocast leaves float64 as it is" if autocasted and "float64" in (name, other) else ""
        raise bad_type(op, "weight", Raw(f"<dtype {other}>"), f"input is {name}{why}", "convert one of them")
    if bias is not None:
        check_dtype(op, "bias", bias, {name}, f"pass {name}, the dtype of input")


def _check_channels(op: str, channels: int, weight: Array, bias: Array | None, groups: int) -> None:
    shape = tuple(weight.shape)
    if channels != shape[0]:
        raise bad_value(
            op, "weight", Raw(f"<shape {shape}>"), f"input has {channels} channels", "pass [C, M / groups, *kernel]"
        )
    if channels % groups:
        raise bad_value(op, "groups", groups, f"input has {channels} channels", "pass a divisor of that")
    outputs = shape[1] * groups
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise bad_value(
            op, "bias", Raw(f"<shape {tuple(bias.shape)}>"), f"the result has {outputs} channels", "pass one for each"
        )


@planned
def _plan(
    op: str,
    small: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
    precision: str,
) -> ConvTransposePlan:
    axes = []
    for n, k, s, p, more, d in zip(small, kernel, stride, padding, output_padding, dilation, strict=True):
        if more >= max(s, d):
            rule = f"it must be less than the stride {stride} or the dilation {dilation}"
            raise bad_value(op, "output_padding", output_padding, rule, "pass less")
        large = (n - 1) * s - 2 * p + d * (k - 1) + more + 1
        if large < 1:
            rule = f"of {n} cells with this window it leaves {large} positions"
            raise bad_value(op, "padding", padding, rule, "pass less padding")
        axes.append(WindowAxis(large, n, k, s, p, d))
    return ConvTransposePlan(tuple(axes), groups, precision)

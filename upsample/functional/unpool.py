"""torch.nn.functional's max-unpooling, with a rule for duplicate indices."""

from __future__ import annotations

from collections.abc import Sequence

from upsample import arrays
from upsample.arguments import IntOrInts, as_tuple, check_dtype, check_known, check_rank, flag, integers, one_of
from upsample.arrays import Array, ArrayT
from upsample.docstrings import documented_like
from upsample.errors import Raw, bad_type, bad_value
from upsample.literals import CheckIndices, DuplicateGrad, Duplicates, EngineName
from upsample.ops import call_cache
from upsample.ops.torch_autocast import in_float32
from upsample.ops.unpool import unpool
from upsample.plans.plan_cache import planned
from upsample.plans.window import UnpoolPlan, WindowAxis

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]

_DUPLICATES = ("last", "sum", "error")
_DUPLICATE_GRADS = ("winner", "all")


def max_unpool2d(
    input: ArrayT,
    indices: Array,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    output_size: Sequence[int] | None = None,
    *,
    dilation: IntOrInts = 1,
    duplicates: Duplicates = "last",
    duplicate_grad: DuplicateGrad = "winner",
    check_indices: CheckIndices = True,
    deterministic: bool = True,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Put pooled values back where they came from over two spatial axes, zeros elsewhere.

    Parameters
    ----------
    input : array
        ``[N, C, H, W]`` or ``[C, H, W]``; only N may be 0. Any dtype.
    indices : array of any integer dtype
        The shape of `input`: where in its output plane each value goes, as a flat index.
    kernel_size, stride, padding : int or sequence of int
        Of the pooling that made `input`; `stride` None is `kernel_size`.
    output_size : sequence of int, optional
        Spatial size of the result (or the whole shape, of which only that counts), less than one stride from the
        default, ``(n - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + 1``: the size of the input of the
        pooling.
    dilation : int or sequence of int
        Of the pooling that made `input`.
    duplicates : {"last", "sum", "error"}
        Where several elements of a plane name one position: the last in row-major order wins, which is what torch
        does in a single thread; or their sum, as in Chainer; or a ValueError names the first duplicate.
    duplicate_grad : {"winner", "all"}
        Which of those elements receive the gradient under ``duplicates="last"``: the one that was written, or, as in
        torch, every one of them. Of a sum, every element receives it. ``jax.grad`` always takes the winner.
    check_indices : bool or "later"
        Whether an index outside the plane raises IndexError. Without the check, the caller vouches that every index
        lies in its own window; one that does not is dropped. On a GPU the check is the call's only synchronisation.
        With "later" a GPU checks without one: the IndexError, also for an index outside of its own window, comes from
        a later call with a check, or from `upsample.synchronize`; the result lacks such a cell. Arrays elsewhere are
        checked at once. ``duplicates="error"`` cannot do without.
    deterministic : bool
        Whether equal calls give equal results. False lets the CUDA engine write cells in any order where indices lie
        outside their windows (those of a dilated pool, say), which saves it a sort: where several name one position,
        any of them may then win. It changes nothing else: on other engines, under ``duplicates="sum"`` and "error",
        and for the indices of a pool with the same windows, results are always deterministic.
    out : array, optional
        Receives the result; after an IndexError it may hold anything.
    engine : str, optional
        Forces an engine.

    Returns
    -------
    array
        ``[..., *output_size]``, of the library, dtype and device of `input`.

    Raises
    ------
    IndexError
        An index outside the output plane.
    ValueError
        Wrong rank or shape, an empty axis other than the batch, an `output_size` that no such pooling has, a
        duplicate index under ``duplicates="error"``.
    TypeError
        An index array of no integer dtype, another type, or mixed libraries.

    Notes
    -----
    Under ``jax.jit`` values cannot raise, so that indices are not checked there: one outside the plane is dropped, and
    ``duplicates="error"`` is the same as "last".

    On one axis, with ``kernel_size=3, stride=2``: both windows name position 2, and the last wins::

        values       5     7
        indices      2     2
        window 0  [-----]
        window 1        [-----]
        output    0  0  7  0  0

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> x = np.arange(16.0).reshape(1, 4, 4)
    >>> maxima, indices = upsample.max_pool2d_with_indices(x, 2)
    >>> upsample.max_unpool2d(maxima, indices, 2)
    array([[[ 0.,  0.,  0.,  0.],
            [ 0.,  5.,  0.,  7.],
            [ 0.,  0.,  0.,  0.],
            [ 0., 13.,  0., 15.]]])
    """
    return _unpooled(
        "max_unpool2d",
        2,
        input,
        indices,
        (kernel_size, stride, padding, dilation, output_size),
        (duplicates, duplicate_grad, check_indices, deterministic),
        out,
        engine,
    )


@documented_like(max_unpool2d)
def max_unpool1d(
    input: ArrayT,
    indices: Array,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    output_size: Sequence[int] | None = None,
    *,
    dilation: IntOrInts = 1,
    duplicates: Duplicates = "last",
    duplicate_grad: DuplicateGrad = "winner",
    check_indices: CheckIndices = True,
    deterministic: bool = True,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Put pooled values back where they came from over one spatial axis, zeros elsewhere; see `max_unpool2d`.

    Parameters
    ----------
    input : array
        ``[N, C, L]`` or ``[C, L]``; only N may be 0. Any dtype.
    indices : array of any integer dtype
        The shape of `input`: a flat index into its output, each.
    out : array, optional
        Receives the result.

    Returns
    -------
    array
        ``[..., *output_size]``, of the library, dtype and device of `input`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.max_unpool1d(np.asarray([[3.0, 4.0]]), np.asarray([[1, 3]]), 2)
    array([[0., 3., 0., 4.]])
    """
    return _unpooled(
        "max_unpool1d",
        1,
        input,
        indices,
        (kernel_size, stride, padding, dilation, output_size),
        (duplicates, duplicate_grad, check_indices, deterministic),
        out,
        engine,
    )


@documented_like(max_unpool2d)
def max_unpool3d(
    input: ArrayT,
    indices: Array,
    kernel_size: IntOrInts,
    stride: IntOrInts | None = None,
    padding: IntOrInts = 0,
    output_size: Sequence[int] | None = None,
    *,
    dilation: IntOrInts = 1,
    duplicates: Duplicates = "last",
    duplicate_grad: DuplicateGrad = "winner",
    check_indices: CheckIndices = True,
    deterministic: bool = True,
    out: Array | None = None,
    engine: EngineName | None = None,
) -> ArrayT:
    """Put pooled values back where they came from over three spatial axes, zeros elsewhere; see `max_unpool2d`.

    Parameters
    ----------
    input : array
        ``[N, C, D, H, W]`` or ``[C, D, H, W]``; only N may be 0. Any dtype.
    indices : array of any integer dtype
        The shape of `input`: a flat index into its output, each.
    out : array, optional
        Receives the result.

    Returns
    -------
    array
        ``[..., *output_size]``, of the library, dtype and device of `input`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.max_unpool3d(np.asarray([[[[7.0]]]]), np.asarray([[[[7]]]]), 2)
    array([[[[0., 0.],
             [0., 0.]],
            [[0., 0.],
             [0., 7.]]]])
    """
    return _unpooled(
        "max_unpool3d",
        3,
        input,
        indices,
        (kernel_size, stride, padding, dilation, output_size),
        (duplicates, duplicate_grad, check_indices, deterministic),
        out,
        engine,
    )


def _unpooled(
    op: str,
    spatial: int,
    x: ArrayT,
    indices: Array,
    sizes: tuple[object, object, object, object, object],
    rules: tuple[object, object, object, object],
    out: Array | None,
    engine: str | None,
) -> ArrayT:
    key, known = call_cache.lookup(op, (*sizes, *rules, engine), (x, indices), out)
    if known is not None:
        result: ArrayT = known.run(x, indices, out, (op, "indices"))
        return result
    xp = arrays.namespace(op, {"input": x, "indices": indices})
    check_rank(op, "input", x, (spatial + 1, spatial + 2), "[N, C, *spatial] or [C, *spatial]")
    check_known(op, "input", x, range(x.ndim - spatial, x.ndim))
    dtype = check_dtype(op, "input", x, arrays.MOVABLE, "convert it")
    x = in_float32(xp, op, x)
    check_dtype(
        op, "indices", indices, arrays.INTEGER, "pass the integers that max_pool has returned with return_indices=True"
    )
    if 0 in x.shape[x.ndim - spatial - 1 :]:
        raise bad_value(op, "input", Raw(f"<shape {tuple(x.shape)}>"), "only the batch may be empty", "pass samples")
    kernel_size, stride, padding, dilation, output_size = sizes
    duplicates, duplicate_grad, check_indices, deterministic = rules
    kernel = integers(op, "kernel_size", kernel_size, spatial, least=1, one_for_all=False)
    plan = _plan(
        op,
        tuple(x.shape[-spatial:]),
        kernel,
        kernel if stride is None else integers(op, "stride", stride, spatial, least=1, one_for_all=False),
        integers(op, "padding", padding, spatial, least=0, one_for_all=False),
        integers(op, "dilation", dilation, spatial, least=1, one_for_all=False),
        _large(op, spatial, output_size),
        check_duplicates(op, duplicates, dtype),
        check_looking(op, check_indices, duplicates),
        flag(op, "deterministic", deterministic),
    )
    result = unpool(
        x,
        indices,
        op=op,
        arguments=("input", "indices", "output_size"),
        xp=xp,
        plan=plan,
        duplicate_grad=check_duplicate_grad(op, duplicate_grad),
        out=out,
        engine=engine,
    )
    call_cache.store(key, "unpool", plan, (x, indices), (result,), engine)
    return result


def _large(op: str, spatial: int, output_size: object) -> tuple[int, ...] | None:
    """Return the spatial part of `output_size`; what precedes it is not looked at, as in torch."""
    if output_size is None:
        return None
    sizes = as_tuple(output_size)
    if not isinstance(sizes, tuple):
        raise bad_type(op, "output_size", output_size, "it must be a sequence", f"pass a tuple of {spatial} ints")
    if len(sizes) not in (spatial, spatial + 2):
        rule = f"it has {len(sizes)} entries"
        raise bad_value(
            op, "output_size", output_size, rule, f"pass {spatial}, or {spatial + 2} with batch and channels"
        )
    return integers(op, "output_size", sizes[-spatial:], spatial, one_for_all=False)


def check_duplicates(op: str, duplicates: object, dtype: str) -> str:
    """Return the rule for duplicate indices."""
    rule = one_of(op, "duplicates", duplicates, _DUPLICATES, "this rule is unknown")
    if rule == "sum" and dtype == "bool":
        raise bad_type(op, "input", Raw("<dtype bool>"), "bools do not add", "convert it, or pass another duplicates=")
    return rule


def check_looking(op: str, check_indices: object, duplicates: object) -> CheckIndices:
    """Return whether indices are checked, which they must be where a duplicate is an error."""
    if isinstance(check_indices, str):
        if check_indices != "later":
            raise bad_value(op, "check_indices", check_indices, "this rule is unknown", "pass True, False or 'later'")
        return "later"
    looks = flag(op, "check_indices", check_indices)
    if duplicates == "error" and not looks:
        rule = "duplicates='error' must check every index"
        raise bad_value(op, "check_indices", False, rule, "pass check_indices=True, or duplicates='last' or 'sum'")
    return looks


def check_duplicate_grad(op: str, duplicate_grad: object) -> str:
    """Return which duplicates receive gradients."""
    return one_of(op, "duplicate_grad", duplicate_grad, _DUPLICATE_GRADS, "this rule is unknown")


@planned
def _plan(
    op: str,
    small: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    output_size: tuple[int, ...] | None,
    duplicates: str,
    check_indices: CheckIndices,
    deterministic: bool,
) -> UnpoolPlan:
    axes = []
    for place, (h, k, s, p, d) in enumerate(zip(small, kernel, stride, padding, dilation, strict=True)):
        large = default = (h - 1) * s - 2 * p + d * (k - 1) + 1
        if output_size is not None:
            large = output_size[place]
            if not default - s < large < default + s:
                rule = f"on spatial axis {place} it must lie between {default - s} and {default + s}, both excluded"
                raise bad_value(op, "output_size", output_size, rule, "pass the size of the input of the pooling")
        if large < 1:
            rule = f"with these windows the result would have size {large} on spatial axis {place}"
            raise bad_value(op, "padding", padding, rule, "pass less padding, or output_size=")
        axes.append(WindowAxis(large, h, k, s, p, d))
    later = check_indices == "later"
    return UnpoolPlan(tuple(axes), False, duplicates, bool(check_indices), deterministic, checks_later=later)

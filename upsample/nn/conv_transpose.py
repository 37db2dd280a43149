"""torch.nn's transposed convolutions, and the weights they start with."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from upsample import arrays
from upsample.arguments import IntOrInts, as_tuple, check_addressable, check_dtype, check_rank, flag, integer, integers
from upsample.arrays import Array, ArrayT
from upsample.docstrings import documented_like
from upsample.errors import Raw, bad_type, bad_value
from upsample.float_errors import quiet
from upsample.functional.conv_transpose import conv_transpose1d, conv_transpose2d, conv_transpose3d
from upsample.literals import EngineName, Precision, ZeroPadding
from upsample.nn.layer import Layer
from upsample.precision import precision_of

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_DTYPES = arrays.FLOATING | arrays.COMPLEX


class _ConvTranspose(Layer):
    """The base of transposed convolutions over one, two and three axes."""

    _kept = ("weight", "bias")
    _spatial: ClassVar[int]
    _function: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrInts,
        stride: IntOrInts = 1,
        padding: IntOrInts = 0,
        output_padding: IntOrInts = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: IntOrInts = 1,
        padding_mode: ZeroPadding = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        xp: ModuleType = np,
        rng: int | Sequence[int] | np.random.Generator | None = None,
        precision: Precision | None = None,
        engine: EngineName | None = None,
    ) -> None:
        super().__init__(engine=engine)
        op, n = type(self).__name__, self._spatial
        self.in_channels = integer(op, "in_channels", in_channels, least=1)
        self.out_channels = integer(op, "out_channels", out_channels, least=1)
        self.kernel_size = integers(op, "kernel_size", kernel_size, n, least=1)
        self.stride = integers(op, "stride", stride, n, least=1)
        self.padding = integers(op, "padding", padding, n, least=0)
        self.output_padding = integers(op, "output_padding", output_padding, n, least=0)
        self.dilation = integers(op, "dilation", dilation, n, least=1)
        self.groups = integer(op, "groups", groups, least=1)
        self.precision = precision if precision is None else precision_of(op, precision, None)
        for argument, channels in ("in_channels", self.in_channels), ("out_channels", self.out_channels):
            if channels % self.groups:
                rule = f"groups={self.groups} does not divide it"
                raise bad_value(op, argument, channels, rule, "pass a multiple of groups")
        filled_with = cast(object, padding_mode)
        if not isinstance(filled_with, str) or filled_with != "zeros":
            bad = bad_value if isinstance(filled_with, str) else bad_type
            raise bad(op, "padding_mode", padding_mode, "torch's layer knows 'zeros' alone", "omit it")
        self.padding_mode = padding_mode
        shape = (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        check_addressable(op, "kernel_size", kernel_size, shape, 8)  # drawn in float64
        draw = _initializer(op, 1.0 / math.sqrt(math.prod(shape[1:])), xp, device, dtype, rng)
        self.weight = draw(shape)
        self.bias = draw((self.out_channels,)) if flag(op, "bias", bias) else None

    def forward(self, input: ArrayT, output_size: Sequence[int] | None = None) -> ArrayT:
        """Spread ``[N, C, *spatial]`` or ``[C, *spatial]``.

        Parameters
        ----------
        input : array
            Of the library, device and dtype of the weights.
        output_size : sequence of int, optional
            Spatial size of the result, or its whole shape, instead of `output_padding`. It is at least the size without
            output padding, and less than one stride larger.

        Returns
        -------
        array
            ``[N, M, *size]`` or ``[M, *size]``.
        """
        result: ArrayT = self._function(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding if output_size is None else self._padding_for(input, output_size),
            self.groups,
            self.dilation,
            precision=self.precision,
            engine=self.engine,
        )
        return result

    if TYPE_CHECKING:

        def __call__(self, input: ArrayT, output_size: Sequence[int] | None = None) -> ArrayT: ...

    def _padding_for(self, x: Array, output_size: object) -> tuple[int, ...]:
        """The output padding with which the result has this size."""
        op, n = type(self).__name__, self._spatial
        arrays.namespace(op, {"input": x})
        check_rank(op, "input", x, (n + 1, n + 2), "[N, C, *spatial] or [C, *spatial]")
        sizes = as_tuple(output_size)
        if not isinstance(sizes, tuple):
            raise bad_type(op, "output_size", output_size, "it must be a sequence", f"pass a tuple of {n} ints")
        if len(sizes) not in (n, x.ndim):
            rule = f"it has {len(sizes)} entries"
            raise bad_value(op, "output_size", output_size, rule, f"pass {n}, or {x.ndim} with what precedes them")
        wanted = integers(op, "output_size", sizes[-n:], n, one_for_all=False)
        windows = zip(x.shape[-n:], self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        least = tuple((h - 1) * s - 2 * p + d * (k - 1) + 1 for h, k, s, p, d in windows)
        most = tuple(low + s - 1 for low, s in zip(least, self.stride, strict=True))
        if not all(low <= size <= high for low, size, high in zip(least, wanted, most, strict=True)):
            rule = f"for an input of {tuple(x.shape[-n:])} it can be {least} to {most}"
            raise bad_value(op, "output_size", output_size, rule, "pass a size between them")
        return tuple(size - low for size, low in zip(wanted, least, strict=True))

    def extra_repr(self) -> str:
        n = self._spatial
        shown = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        defaults = {"padding": (0,) * n, "dilation": (1,) * n, "output_padding": (0,) * n, "groups": 1}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                shown += f", {name}={getattr(self, name)}"
        if self.bias is None:
            shown += ", bias=False"
        return shown if self.precision is None else f"{shown}, precision={self.precision!r}"


class ConvTranspose2d(_ConvTranspose):
    """Spread every value over a window of weights on two spatial axes and add; see `upsample.conv_transpose2d`.

    Parameters
    ----------
    in_channels : int
        C, the channels of the input.
    out_channels : int
        M, the channels of the result.
    kernel_size : int or sequence of int
        Window size.
    stride : int or sequence of int
        Distance of the windows in the result.
    padding : int or sequence of int
        Positions cut off the result on both sides.
    output_padding : int or sequence of int
        Positions added to the result behind; less than the stride or the dilation.
    groups : int
        Blocks of channels that do not mix.
    bias : bool
        Whether a value for each channel is added to the result.
    dilation : int or sequence of int
        Distance of the elements of a window.
    padding_mode : {"zeros"}
        For the signature's sake only.
    device : object, optional
        Where the weights are, in the terms of `xp`; None is its default.
    dtype : dtype or str, optional
        Of the weights, a dtype of `xp` or its name, floating or complex; None is float32.
    xp : module
        The weights' library: numpy, cupy, torch, jax.numpy, dask.array, array_api_strict.
    rng : int, sequence of int or numpy.random.Generator, optional
        Where the weights come from; None is other ones each time.
    precision : {"float32", "tf32x3", "tf32"}, optional
        How a GPU multiplies float32 factors; see `upsample.conv_transpose2d`.
    engine : str, optional
        Forces an engine.

    Attributes
    ----------
    weight : array
        ``[C, M / groups, kH, kW]``.
    bias : array or None
        ``[M]``.

    Raises
    ------
    ValueError
        A number out of range, channels that `groups` does not divide, another `padding_mode`, a device that the
        library does not have.
    TypeError
        Another type, a dtype that the library does not have or that is neither floating nor complex.

    See Also
    --------
    upsample.conv_transpose2d : The function.

    Notes
    -----
    Weights and biases are drawn as torch draws them, evenly from ±1/√(M / groups · kH · kW), but by NumPy: the same
    `rng` gives the same ones in every library.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> layer = upsample.nn.ConvTranspose2d(16, 33, 3, stride=2)
    >>> layer
    ConvTranspose2d(16, 33, kernel_size=(3, 3), stride=(2, 2))
    >>> x = np.ones((1, 16, 4, 5), dtype=np.float32)
    >>> layer(x).shape, layer(x, output_size=(10, 11)).shape
    ((1, 33, 9, 11), (1, 33, 10, 11))
    """

    _spatial = 2
    _function = staticmethod(conv_transpose2d)


@documented_like(ConvTranspose2d)
class ConvTranspose1d(_ConvTranspose):
    """Spread every value over a window of weights on one spatial axis and add; see `ConvTranspose2d`.

    Attributes
    ----------
    weight : array
        ``[C, M / groups, kL]``.
    bias : array or None
        ``[M]``.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> layer = upsample.nn.ConvTranspose1d(1, 1, 2, stride=2, bias=False, dtype="float64")
    >>> layer.weight = np.asarray([[[1.0, 10.0]]])
    >>> layer(np.asarray([[[1.0, 2.0]]]))
    array([[[ 1., 10.,  2., 20.]]])
    """

    _spatial = 1
    _function = staticmethod(conv_transpose1d)


@documented_like(ConvTranspose2d)
class ConvTranspose3d(_ConvTranspose):
    """Spread every value over a window of weights on three spatial axes and add; see `ConvTranspose2d`.

    Attributes
    ----------
    weight : array
        ``[C, M / groups, kD, kH, kW]``.
    bias : array or None
        ``[M]``.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.ConvTranspose3d(2, 3, 2, stride=2)(np.ones((1, 2, 1, 2, 3), dtype=np.float32)).shape
    (1, 3, 2, 4, 6)
    """

    _spatial = 3
    _function = staticmethod(conv_transpose3d)


def _initializer(
    op: str, bound: float, xp: object, device: object, dtype: object, rng: Any
) -> Callable[[tuple[int, ...]], Any]:
    """What draws an array of a shape, evenly from ±bound; a complex one in both parts."""
    namespace = _namespace(op, xp)
    like = _empty(op, namespace, device, dtype)
    try:
        generator = np.random.default_rng(rng)
    except Exception as error:
        bad = bad_value if isinstance(error, ValueError) else bad_type
        raise bad(op, "rng", rng, f"it is no seed ({error})", "pass an int or a numpy.random.Generator") from None

    @quiet  # a half precision rounds small numbers to subnormal ones
    def draw(shape: tuple[int, ...]) -> Any:
        values = generator.uniform(-bound, bound, shape)
        if arrays.dtype_name(like) in arrays.COMPLEX:
            values = values + 1j * generator.uniform(-bound, bound, shape)
        return namespace.asarray(values, dtype=like.dtype, device=device)

    return draw


def _namespace(op: str, xp: object) -> ModuleType:
    """The Array API namespace of a library that may lack some of it itself, such as torch."""
    if xp is np:
        return np
    try:
        array = xp.asarray(0.0)  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        shown = Raw(f"<{getattr(xp, '__name__', type(xp).__name__)}>")
        remedy = "pass numpy, cupy, torch, jax.numpy, or another that has asarray"
        raise bad_type(op, "xp", shown, "it must be the module of an array library", remedy) from None
    return arrays.namespace(op, {"xp": array})


def _empty(op: str, xp: ModuleType, device: object, dtype: object) -> Any:
    """An empty array of a dtype that is given by itself or by name, on the device."""
    library, name = arrays.library(xp), cast(Any, "float32" if dtype is None else dtype)
    remedy = "pass a floating or complex dtype of the library, such as 'float32'"
    try:
        if isinstance(name, str):  # NumPy knows a name such as bfloat16 where it is registered, and has no attribute
            name = np.dtype(name) if library in ("numpy", "cupy") else getattr(xp, name)
        empty = xp.empty((0,), dtype=name)
    except Exception:  # each library has its own
        raise bad_type(op, "dtype", dtype, f"{library} has no such dtype", remedy) from None
    check_dtype(op, "dtype", empty, _DTYPES, remedy)
    try:
        return empty if device is None else xp.empty((0,), dtype=name, device=device)
    except Exception as error:  # each library has its own, torch AssertionError for one
        why = str(error).partition("\n")[0]
        raise bad_value(op, "device", device, f"{library} refuses it ({why})", f"pass a device of {library}") from error

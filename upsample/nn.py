"""torch.nn's upsampling layers and their inverses, with no framework underneath.

A layer keeps the arguments of a function of `upsample.functional`, and a transposed convolution its weights too. Names,
order, defaults and results are those of torch 2.13; every layer also takes, by keyword, ``engine=``. Arguments are
checked when a layer is made. Layers can be pickled and copied, and their attributes are plain values and arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias, cast

import numpy as np

from upsample import arrays
from upsample.arguments import IntOrInts, NumberOrNumbers, check_dtype, check_rank, flag, integer, integers, numbers
from upsample.arrays import Array, ArrayT
from upsample.engines.dispatch import named as check_engine
from upsample.errors import Raw, bad_type, bad_value
from upsample.functional import (
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    interpolate,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
    pixel_shuffle,
    pixel_unshuffle,
)
from upsample.functional.interpolate import MODES, check_corners, check_mode
from upsample.functional.unpool import check_duplicates

__all__ = [
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "IncompatibleKeys",
    "Layer",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "PixelShuffle",
    "PixelUnshuffle",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]

Function: TypeAlias = Callable[..., Any]

_REAL = arrays.FLOATING | arrays.INTEGER
_WEIGHTS = arrays.FLOATING | arrays.COMPLEX


class IncompatibleKeys(NamedTuple):
    """What ``load_state_dict(strict=False)`` passed over, as torch returns it.

    Attributes
    ----------
    missing_keys : list of str
        Names that the layer has and the state lacks: they keep their values.
    unexpected_keys : list of str
        Names that the state has and the layer lacks.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]


class Layer:
    """A function with its arguments, and the arrays it keeps; calling it calls `forward`.

    Parameters
    ----------
    engine : str, optional
        Forces an engine.

    Examples
    --------
    >>> import upsample
    >>> isinstance(upsample.nn.PixelShuffle(2), upsample.nn.Layer)
    True
    """

    _kept: ClassVar[tuple[str, ...]] = ()
    """Attributes that are arrays, or None, under torch's names."""

    def __init__(self, *, engine: str | None = None) -> None:
        if engine is not None:
            check_engine(type(self).__name__, engine)
        self.engine = engine

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the layer; each layer says what it takes."""
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def extra_repr(self) -> str:
        """Return what `repr` shows between the brackets."""
        return ""

    def __repr__(self) -> str:
        forced = [] if self.engine is None else [f"engine={self.engine!r}"]
        return f"{type(self).__name__}({', '.join([*filter(None, [self.extra_repr()]), *forced])})"

    def state_dict(self) -> dict[str, Any]:
        """Return the arrays that the layer keeps, not copied, under torch's names.

        Returns
        -------
        dict of str to array
            ``weight`` and ``bias`` of a transposed convolution, where it has them; else empty.

        Examples
        --------
        >>> import upsample
        >>> list(upsample.nn.ConvTranspose1d(1, 1, 2).state_dict())
        ['weight', 'bias']
        """
        return {name: getattr(self, name) for name in self._kept if getattr(self, name) is not None}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Replace the layer's arrays by copies of others, of any library, dtype and device.

        The layer's own library, dtype and device stay. Nothing changes where anything is wrong.

        Parameters
        ----------
        state_dict : mapping of str to array
            As `state_dict` returns it, or torch's of the layer of the same name.
        strict : bool
            Whether every name must be there, and no other.

        Returns
        -------
        IncompatibleKeys
            The names passed over; both lists are empty when `strict`.

        Raises
        ------
        ValueError
            Missing or unexpected names (when `strict`) or shapes that differ; names all of them.
        TypeError
            No mapping, something in it that is no array, or complex numbers for a real layer.

        Examples
        --------
        >>> import numpy as np, upsample
        >>> layer = upsample.nn.ConvTranspose1d(1, 1, 2)
        >>> layer.load_state_dict({"weight": np.ones((1, 1, 2)), "bias": np.zeros(1)})
        IncompatibleKeys(missing_keys=[], unexpected_keys=[])
        >>> layer.weight
        array([[[1., 1.]]], dtype=float32)
        """
        op = f"{type(self).__name__}.load_state_dict"
        if not isinstance(cast(object, state_dict), Mapping):
            rule = "a mapping of names to arrays is wanted"
            raise bad_type(op, "state_dict", Raw(f"<{type(state_dict).__name__}>"), rule, "pass a dict")
        own = self.state_dict()
        missing = [name for name in own if name not in state_dict]
        unexpected = [str(name) for name in state_dict if name not in own]
        given = {name: state_dict[name] for name in own if name in state_dict}
        for name, value in given.items():
            arrays.namespace(op, {name: value})
        wrong = [
            f"{name} has shape {tuple(value.shape)} and not {tuple(own[name].shape)}"
            for name, value in given.items()
            if tuple(value.shape) != tuple(own[name].shape)
        ]
        if flag(op, "strict", strict):
            wrong = [f"{name} is missing" for name in missing] + [f"{n} is unexpected" for n in unexpected] + wrong
        if wrong:
            shown = Raw(f"<{', '.join(map(str, state_dict)) or 'empty'}>")
            wanted = ", ".join(f"{name} {tuple(array.shape)}" for name, array in own.items()) or "an empty mapping"
            raise bad_value(op, "state_dict", shown, ", ".join(wrong), f"pass {wanted}")
        converted = {name: _converted(op, name, value, own[name]) for name, value in given.items()}
        for name, array in converted.items():
            setattr(self, name, array)
        return IncompatibleKeys(missing, unexpected)


def _converted(op: str, name: str, value: Any, like: Any) -> Any:
    """A copy of `value` in the library, dtype and device of `like`, followed by autograd if `like` is."""
    source, target = arrays.namespace(op, {name: value}), arrays.namespace(op, {name: like})
    complex_too = arrays.dtype_name(like) in arrays.COMPLEX
    check_dtype(
        op, name, value, _REAL | arrays.COMPLEX if complex_too else _REAL, "pass numbers that the layer can hold"
    )
    if arrays.requires_grad(value):
        value = value.detach()
    if source is target is not np and arrays.device_of(value) == arrays.device_of(like):
        copy = target.astype(value, like.dtype, copy=True)
    else:
        copy = arrays.from_table(target, _to_numpy(source, value), like, like.dtype)
    return copy.requires_grad_() if arrays.requires_grad(like) else copy


def _to_numpy(xp: ModuleType, x: Any) -> arrays.Table:
    """A copy in NumPy, contiguous and in this machine's byte order; bfloat16, which DLPack loses, as float32."""
    if arrays.dtype_name(x) == "bfloat16":
        x = xp.astype(x, xp.float32)
    name = arrays.library(xp)
    if name == "torch":
        x = x.detach().cpu().resolve_conj().resolve_neg().numpy()
    elif name == "cupy":
        x = x.get()
    return arrays.native_order(np.array(np.asarray(x), order="C"))


def _as_given(op: str, argument: str, value: object, count: int, least: int) -> int | tuple[int, ...]:
    """Check one int or several; one stays one, so that `repr` shows it as torch does."""
    several = integers(op, argument, value, count, least=least)
    return several if isinstance(value, (list, tuple)) else several[0]


class Upsample(Layer):
    """Resample the spatial axes to a size or by a factor; see `upsample.interpolate`.

    Parameters
    ----------
    size : int or sequence of int, optional
        Output size: one for all spatial axes, or one each.
    scale_factor : float or sequence of float, optional
        Output size over input size. Exactly one of `size` and `scale_factor` must be given.
    mode : str
        ``"nearest"``, ``"nearest-exact"``, ``"area"``; ``"linear"`` (3-D input), ``"bilinear"``, ``"bicubic"`` (4-D),
        ``"trilinear"`` (5-D).
    align_corners : bool, optional
        Whether the centres of the corner samples of both grids meet; None is False.
    recompute_scale_factor : bool, optional
        Whether coordinates use the ratio of the sizes instead of `scale_factor` itself.
    engine : str, optional
        Forces an engine.

    Raises
    ------
    ValueError
        Both or neither of `size` and `scale_factor`, a size below 1, a scale that is not positive, another mode, an
        option that the mode does not have.
    TypeError
        Another type.

    See Also
    --------
    upsample.interpolate : The function.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.Upsample.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> layer = upsample.nn.Upsample(scale_factor=2, mode="linear")
    >>> layer
    Upsample(scale_factor=2.0, mode='linear')
    >>> layer(np.asarray([[[0.0, 10.0]]]))
    array([[[ 0. ,  2.5,  7.5, 10. ]]])
    """

    def __init__(
        self,
        size: IntOrInts | None = None,
        scale_factor: NumberOrNumbers | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
        *,
        engine: str | None = None,
    ) -> None:
        super().__init__(engine=engine)
        op = type(self).__name__
        self.mode = check_mode(op, mode)
        if mode == "lanczos":
            rule = "it needs antialias, which torch's layer does not have"
            raise bad_value(op, "mode", mode, rule, "call upsample.interpolate with antialias=True")
        self.align_corners = None if align_corners is None else check_corners(op, mode, MODES[mode], align_corners)
        recompute = "recompute_scale_factor"
        self.recompute_scale_factor = (
            None if recompute_scale_factor is None else flag(op, recompute, recompute_scale_factor)
        )
        if size is None and scale_factor is None:
            raise bad_value(op, "size", None, "neither size nor scale_factor is given", "pass one of them")
        if size is not None and scale_factor is not None:
            raise bad_value(op, "size", size, "scale_factor is given too", "pass one of them")
        if size is not None and recompute_scale_factor:
            raise bad_value(op, recompute, True, "there is no scale_factor", "leave it away")
        self.size = None if size is None else _as_given(op, "size", size, self._count("size", size), 1)
        self.scale_factor = None if scale_factor is None else self._scales(scale_factor)

    def _count(self, argument: str, value: object) -> int:
        """The number of spatial axes that a size or a scale is for; 1 for one that is for any number."""
        if not isinstance(value, (list, tuple)):
            return 1
        counts = [rank - 2 for rank in MODES[self.mode].ranks]
        if len(value) not in counts:
            rule = f"it has {len(value)} entries, and mode {self.mode!r} is for {' or '.join(map(str, counts))} axes"
            raise bad_value(type(self).__name__, argument, value, rule, "pass one number, or one for each axis")
        return len(value)

    def _scales(self, scale_factor: object) -> float | tuple[float, ...]:
        op, argument = type(self).__name__, "scale_factor"
        several = numbers(op, argument, scale_factor, self._count(argument, scale_factor))
        if min(several) <= 0.0:
            raise bad_value(op, argument, scale_factor, "it must be positive", "pass more than 0")
        return several if isinstance(scale_factor, (list, tuple)) else several[0]

    def forward(self, input: ArrayT) -> ArrayT:
        """Resample ``[N, C, *spatial]``."""
        return interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
            engine=self.engine,
        )

    if TYPE_CHECKING:
        __call__ = forward

    def extra_repr(self) -> str:
        given = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{given}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """Do as `Upsample` does with mode "nearest".

    Parameters
    ----------
    size : int or sequence of int, optional
        Output size.
    scale_factor : float or sequence of float, optional
        Output size over input size. Exactly one of `size` and `scale_factor` must be given.
    engine : str, optional
        Forces an engine.

    See Also
    --------
    upsample.interpolate : The function.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingNearest2d.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.UpsamplingNearest2d(scale_factor=2)(np.asarray([[[[1, 2]]]]))
    array([[[[1, 1, 2, 2],
             [1, 1, 2, 2]]]])
    """

    def __init__(
        self,
        size: IntOrInts | None = None,
        scale_factor: NumberOrNumbers | None = None,
        *,
        engine: str | None = None,
    ) -> None:
        super().__init__(size, scale_factor, "nearest", engine=engine)


class UpsamplingBilinear2d(Upsample):
    """Do as `Upsample` does with mode "bilinear" and aligned corners.

    Parameters
    ----------
    size : int or sequence of int, optional
        Output size.
    scale_factor : float or sequence of float, optional
        Output size over input size. Exactly one of `size` and `scale_factor` must be given.
    engine : str, optional
        Forces an engine.

    See Also
    --------
    upsample.interpolate : The function.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.UpsamplingBilinear2d.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.UpsamplingBilinear2d(size=(1, 3))(np.asarray([[[[0.0, 10.0]]]]))
    array([[[[ 0.,  5., 10.]]]])
    """

    def __init__(
        self,
        size: IntOrInts | None = None,
        scale_factor: NumberOrNumbers | None = None,
        *,
        engine: str | None = None,
    ) -> None:
        super().__init__(size, scale_factor, "bilinear", align_corners=True, engine=engine)


class _MaxPool(Layer):
    """What the max-poolings over one, two and three axes share."""

    _spatial: ClassVar[int]
    _function: ClassVar[Function]

    def __init__(
        self,
        kernel_size: IntOrInts,
        stride: IntOrInts | None = None,
        padding: IntOrInts = 0,
        dilation: IntOrInts = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        *,
        engine: str | None = None,
    ) -> None:
        super().__init__(engine=engine)
        op, n = type(self).__name__, self._spatial
        self.kernel_size = _as_given(op, "kernel_size", kernel_size, n, 1)
        empty = stride is None or (isinstance(stride, (list, tuple)) and not stride)
        self.stride = self.kernel_size if empty else _as_given(op, "stride", stride, n, 1)
        self.padding = _as_given(op, "padding", padding, n, 0)
        self.dilation = _as_given(op, "dilation", dilation, n, 1)
        self.return_indices = flag(op, "return_indices", return_indices)
        self.ceil_mode = flag(op, "ceil_mode", ceil_mode)

    def forward(self, input: Array) -> Any:
        """Pool ``[N, C, *spatial]`` or ``[C, *spatial]``: the maxima, or with `return_indices` maxima and indices."""
        return self._function(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
            engine=self.engine,
        )

    if TYPE_CHECKING:
        __call__ = forward

    def extra_repr(self) -> str:
        shown = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
        return ", ".join(f"{name}={getattr(self, name)}" for name in shown)


class MaxPool2d(_MaxPool):
    """Take the maximum of each window over two spatial axes; see `upsample.max_pool2d`.

    Parameters
    ----------
    kernel_size : int or sequence of int
        Window size.
    stride : int or sequence of int, optional
        Distance of the windows; None is `kernel_size`.
    padding : int or sequence of int
        Positions that never win, on both sides; at most half the window's reach.
    dilation : int or sequence of int
        Distance of the elements of a window.
    return_indices : bool
        Also return where in the input plane each maximum lies, for `MaxUnpool2d`.
    ceil_mode : bool
        Round the number of windows up.
    engine : str, optional
        Forces an engine.

    Raises
    ------
    ValueError
        A window, stride or dilation below 1, negative padding, a sequence of another length.
    TypeError
        Another type.

    See Also
    --------
    upsample.max_pool2d : The function, whose `ceil_mode` and `return_indices` are in the other order, as in torch.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> layer = upsample.nn.MaxPool2d(2)
    >>> layer
    MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    >>> layer(np.arange(16.0).reshape(1, 4, 4))
    array([[[ 5.,  7.],
            [13., 15.]]])
    """

    _spatial = 2
    _function = staticmethod(max_pool2d)


class MaxPool1d(_MaxPool):
    """Take the maximum of each window over one spatial axis; see `MaxPool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode, engine
        As in `MaxPool2d`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.MaxPool1d(2, return_indices=True)(np.asarray([[1.0, 3.0, 4.0, 2.0]]))
    (array([[3., 4.]]), array([[1, 2]]))
    """

    _spatial = 1
    _function = staticmethod(max_pool1d)


class MaxPool3d(_MaxPool):
    """Take the maximum of each window over three spatial axes; see `MaxPool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, return_indices, ceil_mode, engine
        As in `MaxPool2d`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.MaxPool3d(2)(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[[[7.]]]])
    """

    _spatial = 3
    _function = staticmethod(max_pool3d)


class _AdaptiveMaxPool(Layer):
    """What the adaptive max-poolings over one, two and three axes share."""

    _spatial: ClassVar[int]
    _function: ClassVar[Function]

    def __init__(
        self, output_size: int | Sequence[int | None], return_indices: bool = False, *, engine: str | None = None
    ) -> None:
        super().__init__(engine=engine)
        op, argument = type(self).__name__, "output_size"
        self.output_size: int | tuple[int | None, ...]
        if isinstance(output_size, (list, tuple)):
            if len(output_size) != self._spatial:
                rule = f"it has {len(output_size)} entries"
                raise bad_value(op, argument, output_size, rule, f"pass one int or {self._spatial}")
            self.output_size = tuple(
                None if o is None else integer(op, f"{argument}[{i}]", o, least=0) for i, o in enumerate(output_size)
            )
        else:
            self.output_size = integer(op, argument, output_size, least=0)
        self.return_indices = flag(op, "return_indices", return_indices)

    def forward(self, input: Array) -> Any:
        """Pool ``[N, C, *spatial]`` or ``[C, *spatial]``: the maxima, or with `return_indices` maxima and indices."""
        return self._function(input, self.output_size, return_indices=self.return_indices, engine=self.engine)

    if TYPE_CHECKING:
        __call__ = forward

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """Take the maximum of windows that divide two spatial axes evenly; see `upsample.adaptive_max_pool2d`.

    Parameters
    ----------
    output_size : int or sequence of int or None
        Cells along each spatial axis; in a sequence, None keeps the input's size.
    return_indices : bool
        Also return where in the input plane each maximum lies.
    engine : str, optional
        Forces an engine.

    Raises
    ------
    ValueError
        A negative size, or a sequence of another length.
    TypeError
        Another type.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> layer = upsample.nn.AdaptiveMaxPool2d((None, 2))
    >>> layer
    AdaptiveMaxPool2d(output_size=(None, 2))
    >>> layer(np.arange(8.0).reshape(1, 2, 4))
    array([[[1., 3.],
            [5., 7.]]])
    """

    _spatial = 2
    _function = staticmethod(adaptive_max_pool2d)


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """Take the maximum of windows that divide one spatial axis evenly; see `AdaptiveMaxPool2d`.

    Parameters
    ----------
    output_size, return_indices, engine
        As in `AdaptiveMaxPool2d`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.AdaptiveMaxPool1d(2)(np.asarray([[1.0, 3.0, 2.0, 4.0]]))
    array([[3., 4.]])
    """

    _spatial = 1
    _function = staticmethod(adaptive_max_pool1d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """Take the maximum of windows that divide three spatial axes evenly; see `AdaptiveMaxPool2d`.

    Parameters
    ----------
    output_size, return_indices, engine
        As in `AdaptiveMaxPool2d`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.AdaptiveMaxPool3d(1)(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[[[7.]]]])
    """

    _spatial = 3
    _function = staticmethod(adaptive_max_pool3d)


class _MaxUnpool(Layer):
    """What the max-unpoolings over one, two and three axes share."""

    _spatial: ClassVar[int]
    _function: ClassVar[Function]

    def __init__(
        self,
        kernel_size: IntOrInts,
        stride: IntOrInts | None = None,
        padding: IntOrInts = 0,
        *,
        dilation: IntOrInts = 1,
        duplicates: str = "last",
        check_indices: bool = True,
        engine: str | None = None,
    ) -> None:
        super().__init__(engine=engine)
        op, n = type(self).__name__, self._spatial
        self.kernel_size = integers(op, "kernel_size", kernel_size, n, least=1, one_for_all=False)
        self.stride = (
            self.kernel_size if stride is None else integers(op, "stride", stride, n, least=1, one_for_all=False)
        )
        self.padding = integers(op, "padding", padding, n, least=0, one_for_all=False)
        self.dilation = integers(op, "dilation", dilation, n, least=1, one_for_all=False)
        self.duplicates = check_duplicates(op, duplicates, "float32")
        self.check_indices = flag(op, "check_indices", check_indices)

    def forward(self, input: ArrayT, indices: Array, output_size: Sequence[int] | None = None) -> ArrayT:
        """Put the values of `input` where `indices` say, in a result of `output_size`."""
        result = self._function(
            input,
            indices,
            self.kernel_size,
            self.stride,
            self.padding,
            output_size,
            dilation=self.dilation,
            duplicates=self.duplicates,
            check_indices=self.check_indices,
            engine=self.engine,
        )
        return cast(ArrayT, result)

    if TYPE_CHECKING:
        __call__ = forward

    def extra_repr(self) -> str:
        shown = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        if any(d != 1 for d in self.dilation):
            shown += f", dilation={self.dilation}"
        if self.duplicates != "last":
            shown += f", duplicates={self.duplicates!r}"
        return shown if self.check_indices else f"{shown}, check_indices=False"


class MaxUnpool2d(_MaxUnpool):
    """Put pooled values back where they came from over two spatial axes; see `upsample.max_unpool2d`.

    Parameters
    ----------
    kernel_size, stride, padding : int or sequence of int
        Of the pooling that made the input; `stride` None is `kernel_size`.
    dilation : int or sequence of int
        Of the pooling that made the input.
    duplicates : {"last", "sum", "error"}
        What becomes of several values for one position.
    check_indices : bool
        Whether an index outside the plane raises IndexError.
    engine : str, optional
        Forces an engine.

    Raises
    ------
    ValueError
        A window, stride or dilation below 1, negative padding, a sequence of another length, another rule.
    TypeError
        Another type.

    See Also
    --------
    upsample.max_unpool2d : The function.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxUnpool2d.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> pool = upsample.nn.MaxPool2d(2, return_indices=True)
    >>> unpool = upsample.nn.MaxUnpool2d(2)
    >>> unpool
    MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))
    >>> unpool(*pool(np.arange(16.0).reshape(1, 4, 4)))
    array([[[ 0.,  0.,  0.,  0.],
            [ 0.,  5.,  0.,  7.],
            [ 0.,  0.,  0.,  0.],
            [ 0., 13.,  0., 15.]]])
    """

    _spatial = 2
    _function = staticmethod(max_unpool2d)


class MaxUnpool1d(_MaxUnpool):
    """Put pooled values back where they came from over one spatial axis; see `MaxUnpool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, duplicates, check_indices, engine
        As in `MaxUnpool2d`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.MaxUnpool1d(2)(np.asarray([[3.0, 4.0]]), np.asarray([[1, 3]]), output_size=(5,))
    array([[0., 3., 0., 4., 0.]])
    """

    _spatial = 1
    _function = staticmethod(max_unpool1d)


class MaxUnpool3d(_MaxUnpool):
    """Put pooled values back where they came from over three spatial axes; see `MaxUnpool2d`.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, duplicates, check_indices, engine
        As in `MaxUnpool2d`.

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.MaxUnpool3d((1, 1, 2))(np.asarray([[[[7.0]]]]), np.asarray([[[[1]]]]))
    array([[[[0., 7.]]]])
    """

    _spatial = 3
    _function = staticmethod(max_unpool3d)


class _ConvTranspose(Layer):
    """What the transposed convolutions over one, two and three axes share."""

    _kept = ("weight", "bias")
    _spatial: ClassVar[int]
    _function: ClassVar[Function]

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
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
        *,
        xp: ModuleType = np,
        rng: int | Sequence[int] | np.random.Generator | None = None,
        engine: str | None = None,
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
        for argument in ("in_channels", "out_channels"):
            if getattr(self, argument) % self.groups:
                rule = f"groups={self.groups} does not divide it"
                raise bad_value(op, argument, getattr(self, argument), rule, "pass a multiple of groups")
        if padding_mode != "zeros":
            bad = bad_value if isinstance(padding_mode, str) else bad_type
            raise bad(op, "padding_mode", padding_mode, "torch's layer knows 'zeros' alone", "leave it away")
        self.padding_mode = padding_mode
        shape = (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        shapes = [shape, (self.out_channels,)] if flag(op, "bias", bias) else [shape]
        made = _initial(op, shapes, xp, device, dtype, rng)
        self.weight: Any = made[0]
        self.bias: Any = made[1] if len(made) > 1 else None

    def forward(self, input: ArrayT, output_size: Sequence[int] | None = None) -> ArrayT:
        """Spread ``[N, C, *spatial]`` or ``[C, *spatial]``.

        Parameters
        ----------
        input : array
            Of the library, device and dtype of the weights.
        output_size : sequence of int, optional
            Spatial size of the result (or its whole shape, of which only that counts), which then stands in for
            `output_padding`: from the default without it to one stride more, excluded.

        Returns
        -------
        array
            ``[N, M, *size]`` or ``[M, *size]``.
        """
        result = self._function(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.output_padding if output_size is None else self._padding_for(input, output_size),
            self.groups,
            self.dilation,
            engine=self.engine,
        )
        return cast(ArrayT, result)

    if TYPE_CHECKING:
        __call__ = forward

    def _padding_for(self, x: Array, output_size: object) -> tuple[int, ...]:
        """The output padding with which the result has this size."""
        op, n = type(self).__name__, self._spatial
        arrays.namespace(op, {"input": x})
        check_rank(op, "input", x, (n + 1, n + 2), "[N, C, *spatial] or [C, *spatial]")
        if not isinstance(output_size, (list, tuple)):
            raise bad_type(op, "output_size", output_size, "a sequence is wanted", f"pass a tuple of {n} ints")
        if len(output_size) not in (n, x.ndim):
            rule = f"it has {len(output_size)} entries"
            raise bad_value(op, "output_size", output_size, rule, f"pass {n}, or {x.ndim} with what precedes them")
        wanted = integers(op, "output_size", output_size[-n:], n, one_for_all=False)
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
        return shown if self.bias is not None else f"{shown}, bias=False"


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


class ConvTranspose1d(_ConvTranspose):
    """Spread every value over a window of weights on one spatial axis and add; see `ConvTranspose2d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode
        As in `ConvTranspose2d`.
    device, dtype, xp, rng, engine
        As in `ConvTranspose2d`.

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


class ConvTranspose3d(_ConvTranspose):
    """Spread every value over a window of weights on three spatial axes and add; see `ConvTranspose2d`.

    Parameters
    ----------
    in_channels, out_channels, kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode
        As in `ConvTranspose2d`.
    device, dtype, xp, rng, engine
        As in `ConvTranspose2d`.

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


def _initial(
    op: str, shapes: Sequence[tuple[int, ...]], xp: object, device: object, dtype: object, rng: Any
) -> list[Any]:
    """Arrays of these shapes as torch initialises them, the first being the weights."""
    namespace = _namespace(op, xp)
    made_of = _dtype(op, namespace, dtype)
    _check_device(op, namespace, device, made_of.dtype)
    try:
        generator = np.random.default_rng(rng)
    except TypeError as error:
        raise bad_type(op, "rng", rng, f"it is no seed ({error})", "pass an int or a numpy.random.Generator") from None
    except ValueError as error:
        raise bad_value(op, "rng", rng, f"it is no seed ({error})", "pass an int or a numpy.random.Generator") from None
    bound = 1.0 / math.sqrt(math.prod(shapes[0][1:]))

    def drawn(shape: tuple[int, ...]) -> Any:
        values = generator.uniform(-bound, bound, shape)
        if arrays.dtype_name(made_of) in arrays.COMPLEX:
            values = values + 1j * generator.uniform(-bound, bound, shape)
        return namespace.asarray(values, dtype=made_of.dtype, device=device)

    return [drawn(shape) for shape in shapes]


def _namespace(op: str, xp: object) -> ModuleType:
    """The Array API namespace of a library that may lack some of it itself, such as torch."""
    if xp is np:
        return np
    try:
        array = xp.asarray(0.0)  # type: ignore[attr-defined]
    except (AttributeError, TypeError):
        shown = Raw(f"<{getattr(xp, '__name__', type(xp).__name__)}>")
        rule = "the module of an array library is wanted"
        raise bad_type(
            op, "xp", shown, rule, "pass numpy, cupy, torch, jax.numpy, or another that has asarray"
        ) from None
    return arrays.namespace(op, {"xp": array})


def _dtype(op: str, xp: ModuleType, dtype: object) -> Any:
    """An empty array of a dtype that is given by itself or by name."""
    name: Any = "float32" if dtype is None else dtype
    remedy = "pass a floating or complex dtype of the library, such as 'float32'"
    try:
        if isinstance(name, str):  # NumPy knows a name such as bfloat16 where it is registered, and has no attribute
            name = np.dtype(name) if arrays.library(xp) in ("numpy", "cupy") else getattr(xp, name)
        empty = xp.empty((0,), dtype=name)
    except (AttributeError, TypeError, ValueError):
        raise bad_type(op, "dtype", dtype, f"{arrays.library(xp)} has no such dtype", remedy) from None
    check_dtype(op, "dtype", empty, _WEIGHTS, remedy)
    return empty


def _check_device(op: str, xp: ModuleType, device: object, dtype: object) -> None:
    if device is None:
        return
    try:
        xp.empty((0,), dtype=dtype, device=device)
    except Exception as error:  # each library has its own, torch AssertionError for one
        name, why = arrays.library(xp), str(error).partition("\n")[0]
        raise bad_value(op, "device", device, f"{name} refuses it ({why})", f"pass a device of {name}") from error


class PixelShuffle(Layer):
    """Move blocks of channels into space: ``[*, C r², H, W]`` to ``[*, C, H r, W r]``; see `upsample.pixel_shuffle`.

    Parameters
    ----------
    upscale_factor : int
        r, at least 1.
    engine : str, optional
        Forces an engine.

    Raises
    ------
    ValueError
        A factor below 1.
    TypeError
        Another type.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelShuffle.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> layer = upsample.nn.PixelShuffle(2)
    >>> layer
    PixelShuffle(upscale_factor=2)
    >>> layer(np.arange(4).reshape(4, 1, 1))
    array([[[0, 1],
            [2, 3]]])
    """

    def __init__(self, upscale_factor: int, *, engine: str | None = None) -> None:
        super().__init__(engine=engine)
        self.upscale_factor = integer(type(self).__name__, "upscale_factor", upscale_factor, least=1)

    def forward(self, input: ArrayT) -> ArrayT:
        """Shuffle ``[*, C r², H, W]``."""
        return pixel_shuffle(input, self.upscale_factor, engine=self.engine)

    if TYPE_CHECKING:
        __call__ = forward

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Layer):
    """Move blocks of space into channels, undoing `PixelShuffle`; see `upsample.pixel_unshuffle`.

    Parameters
    ----------
    downscale_factor : int
        r, at least 1.
    engine : str, optional
        Forces an engine.

    Raises
    ------
    ValueError
        A factor below 1.
    TypeError
        Another type.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelUnshuffle.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.PixelUnshuffle(2)(np.arange(4).reshape(1, 2, 2)).ravel()
    array([0, 1, 2, 3])
    """

    def __init__(self, downscale_factor: int, *, engine: str | None = None) -> None:
        super().__init__(engine=engine)
        self.downscale_factor = integer(type(self).__name__, "downscale_factor", downscale_factor, least=1)

    def forward(self, input: ArrayT) -> ArrayT:
        """Unshuffle ``[*, C, H r, W r]``."""
        return pixel_unshuffle(input, self.downscale_factor, engine=self.engine)

    if TYPE_CHECKING:
        __call__ = forward

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"

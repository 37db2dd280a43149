"""torch.nn's upsampling layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from upsample.arguments import IntOrInts, NumberOrNumbers, flag, integer, number
from upsample.arrays import ArrayT
from upsample.docstrings import documented_like
from upsample.errors import bad_value
from upsample.functional.interpolate import MODES, check_corners, check_mode, interpolate
from upsample.literals import EngineName, UpsampleMode
from upsample.nn.layer import Layer, one_or_each

__all__ = ["Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"]


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
        mode: UpsampleMode = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
        *,
        engine: EngineName | None = None,
    ) -> None:
        super().__init__(engine=engine)
        op = type(self).__name__
        self.mode = check_mode(op, mode)
        if self.mode == "lanczos":
            rule = "it needs antialias, which torch's layer does not have"
            raise bad_value(op, "mode", mode, rule, "call upsample.interpolate with antialias=True")
        self.align_corners = None if align_corners is None else check_corners(op, mode, MODES[mode], align_corners)
        recompute = recompute_scale_factor
        self.recompute_scale_factor = None if recompute is None else flag(op, "recompute_scale_factor", recompute)
        if size is None and scale_factor is None:
            raise bad_value(op, "size", None, "neither size nor scale_factor is given", "pass one of them")
        if size is not None and scale_factor is not None:
            raise bad_value(op, "size", size, "scale_factor is given too", "pass one of them")
        if size is not None and recompute:
            raise bad_value(op, "recompute_scale_factor", True, "there is no scale_factor", "omit it")
        counts = [rank - 2 for rank in MODES[mode].ranks]
        hint = f" for mode {mode!r}"
        self.size = None if size is None else one_or_each(op, "size", size, counts, partial(integer, least=1), hint)
        self.scale_factor = (
            None if scale_factor is None else one_or_each(op, "scale_factor", scale_factor, counts, _scale, hint)
        )

    def forward(self, input: ArrayT) -> ArrayT:
        """Resample the spatial axes.

        Parameters
        ----------
        input : array
            ``[N, C, *spatial]``; dtypes as `upsample.interpolate` has them for the mode.

        Returns
        -------
        array
            ``[N, C, *size]``, of the library, dtype and device of `input`.
        """
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

        def __call__(self, input: ArrayT) -> ArrayT: ...

    def extra_repr(self) -> str:
        given = f"size={self.size}" if self.scale_factor is None else f"scale_factor={self.scale_factor}"
        return f"{given}, mode={self.mode!r}"


@documented_like(Upsample)
class UpsamplingNearest2d(Upsample):
    """Do as `Upsample` does with mode "nearest".

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
        engine: EngineName | None = None,
    ) -> None:
        super().__init__(size, scale_factor, "nearest", engine=engine)


@documented_like(Upsample)
class UpsamplingBilinear2d(Upsample):
    """Do as `Upsample` does with mode "bilinear" and aligned corners.

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
        engine: EngineName | None = None,
    ) -> None:
        super().__init__(size, scale_factor, "bilinear", align_corners=True, engine=engine)


def _scale(op: str, argument: str, value: object) -> float:
    result = number(op, argument, value)
    if result <= 0.0:
        raise bad_value(op, argument, value, "it must be positive", "pass more than 0")
    return result

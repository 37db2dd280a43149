"""torch.nn's pixel-shuffling layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from upsample.arguments import integer
from upsample.arrays import ArrayT
from upsample.docstrings import documented_like
from upsample.functional.pixel_shuffle import pixel_shuffle, pixel_unshuffle
from upsample.literals import EngineName
from upsample.nn.layer import Layer

__all__ = ["PixelShuffle", "PixelUnshuffle"]


class PixelShuffle(Layer):
    """Move blocks of channels into space: ``[*, C r², H, W]`` to ``[*, C, H r, W r]``; see `upsample.pixel_shuffle`.

    Parameters
    ----------
    upscale_factor : int
        The r above, at least 1.
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

    def __init__(self, upscale_factor: int, *, engine: EngineName | None = None) -> None:
        super().__init__(engine=engine)
        self.upscale_factor = integer(type(self).__name__, "upscale_factor", upscale_factor, least=1)

    def forward(self, input: ArrayT) -> ArrayT:
        """Shuffle channels into space.

        Parameters
        ----------
        input : array
            ``[*, C r², H, W]``; any dtype.

        Returns
        -------
        array
            ``[*, C, H r, W r]``, of the library, dtype and device of `input`.
        """
        return pixel_shuffle(input, self.upscale_factor, engine=self.engine)

    if TYPE_CHECKING:

        def __call__(self, input: ArrayT) -> ArrayT: ...

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


@documented_like(PixelShuffle)
class PixelUnshuffle(Layer):
    """Move blocks of space into channels, undoing `PixelShuffle`; see `upsample.pixel_unshuffle`.

    Parameters
    ----------
    downscale_factor : int
        The r above, at least 1.

    References
    ----------
    https://docs.pytorch.org/docs/stable/generated/torch.nn.PixelUnshuffle.html

    Examples
    --------
    >>> import numpy as np, upsample
    >>> upsample.nn.PixelUnshuffle(2)(np.arange(4).reshape(1, 2, 2)).ravel()
    array([0, 1, 2, 3])
    """

    def __init__(self, downscale_factor: int, *, engine: EngineName | None = None) -> None:
        super().__init__(engine=engine)
        self.downscale_factor = integer(type(self).__name__, "downscale_factor", downscale_factor, least=1)

    def forward(self, input: ArrayT) -> ArrayT:
        """Unshuffle space into channels.

        Parameters
        ----------
        input : array
            ``[*, C, H r, W r]``; any dtype.

        Returns
        -------
        array
            ``[*, C r², H, W]``, of the library, dtype and device of `input`.
        """
        return pixel_unshuffle(input, self.downscale_factor, engine=self.engine)

    if TYPE_CHECKING:

        def __call__(self, input: ArrayT) -> ArrayT: ...

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"

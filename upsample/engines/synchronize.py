"""`upsample.synchronize`: wait for the GPUs, and raise the errors that no call has raised yet."""

from __future__ import annotations

from upsample.engines.cuda.runtime import device

__all__ = ["synchronize"]


def synchronize() -> None:
    """Wait for the GPUs that this package has used, and raise the first error that they have found.

    Such errors come from unpooling with ``check_indices="later"``, which does not wait for the GPU. Without a GPU the
    function returns at once.

    Returns
    -------
    None
        Nothing.

    Raises
    ------
    IndexError
        An index of an earlier call lies outside of its window.

    See Also
    --------
    upsample.max_unpool2d : Unpooling, and its argument `check_indices`.

    Examples
    --------
    >>> import upsample
    >>> upsample.synchronize()
    """
    device.synchronize()

"""Write an array and ever smaller versions of it as OME-Zarr."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from upsample.errors import Raw, bad_type, bad_value
from upsample.literals import PyramidMethod, ResizeMode
from upsample.native import resize
from upsample.pyramid.metadata import KINDS, description, read
from upsample.pyramid.mode import downsample_mode

__all__ = ["write_pyramid"]

_OP = "write_pyramid"
_DEFAULT_AXES = {2: "yx", 3: "zyx", 4: "czyx", 5: "tczyx"}
_CHUNK = 1024
"""Samples of a chunk along an axis that is made smaller, at most; a level that has no more is the last."""
_METHODS = ("area", "nearest", "mode", "linear", "cubic", "lanczos")


def write_pyramid(
    source: Any,
    target: str | os.PathLike[str],
    *,
    axes: str | None = None,
    method: PyramidMethod = "area",
    levels: int | None = None,
    downsample: str = "yx",
    chunk: int | None = None,
    pixel_size: Sequence[float] | None = None,
    unit: str | None = None,
    version: str = "0.5",
    progress: bool = False,
) -> list[tuple[int, ...]]:
    """Write an image, and ever smaller versions of it, as an OME-Zarr pyramid.

    Each level has half of the samples of the one before along the axes of `downsample`, rounded down. Levels are made
    chunk by chunk from the level before, so that images may be larger than memory. The metadata place the samples of
    each level where they lie: scale and translation.

    Parameters
    ----------
    source : str, path, NumPy array, Dask array or Zarr array
        The image. A path is that of a Zarr array, a ``.npy`` file, or an OME-Zarr group, whose first level is taken.
    target : str or path
        The folder to write; it must not exist. It appears when all levels are written. Until then they are in a folder
        beside it, ``TARGET.unfinished-PID``, which a call that fails or is interrupted removes. A killed process leaves
        that folder; delete it, and call again.
    axes : str, optional
        A letter for each axis out of t, c, z, y, x, in this order. None takes those of an OME-Zarr group, and for
        others "yx", "zyx", "czyx" or "tczyx", by their number.
    method : {"area", "nearest", "mode", "linear", "cubic", "lanczos"}
        "area" averages, for images. Labels take "nearest", or "mode", the most frequent label. The others are
        antialiased.
    levels : int, optional
        How many, the image itself included; None is as many as it takes until no axis of `downsample` has more than
        `chunk` samples.
    downsample : str
        The axes that are halved, such as "yx" or "zyx".
    chunk : int, optional
        Samples of a chunk along y and x, at most; None keeps the chunks of Zarr and Dask arrays, and is else 1024.
    pixel_size : sequence of float, optional
        Size of a sample along each axis; None is that of an OME-Zarr group, or 1.
    unit : str, optional
        Of the axes of space, such as "micrometer".
    version : {"0.4", "0.5"}
        Of OME-Zarr: 0.4 is Zarr version 2, and 0.5 is Zarr version 3.
    progress : bool
        Show Dask's progress bar.

    Returns
    -------
    list of tuple of int
        The shape of each level.

    Raises
    ------
    TypeError
        A source that is no image, or a dtype that the method does not take.
    ValueError
        Axes that do not fit, a target that exists, or an argument that is none of its choices.

    Notes
    -----
    It is a function of its own module, not of ``upsample``, because it writes files and needs Dask and Zarr
    (``pip install "upsample[zarr]"``). The command ``upsample pyramid IN OUT`` calls it.

    Examples
    --------
    >>> import numpy as np, tempfile
    >>> from upsample.pyramid import write_pyramid
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_pyramid(np.zeros((5, 40, 60), np.uint16), folder + "/image.zarr", chunk=16)
    [(5, 40, 60), (5, 20, 30), (5, 10, 15)]
    """
    image, found = _opened(source)
    letters = _checked_axes(axes or found.get("axes") or _DEFAULT_AXES.get(image.ndim, ""), image.ndim)
    halved = _checked_choices(method, version, downsample, letters)
    if Path(target).exists():
        raise bad_value(_OP, "target", os.fspath(target), "it exists already", "pass a path where nothing is")
    image = _rechunked(image, letters, halved, chunk)
    limit = chunk or max((max(image.chunks[axis]) for axis in halved), default=_CHUNK)
    shapes = _shapes(image.shape, halved, limit, levels)
    scale = list(pixel_size or found.get("scale") or [1.0] * image.ndim)
    if len(scale) != image.ndim:
        raise bad_value(_OP, "pixel_size", pixel_size, f"the image has {image.ndim} axes", "pass a number for each")
    shift = list(found.get("translation") or [0.0] * image.ndim)
    about = description(letters, shapes, scale, shift, unit or found.get("unit"), Path(target).stem, version)
    with _unfinished(Path(target)) as folder:
        _write(image, folder, shapes, method, letters, about, version, progress)
    return shapes


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """Yield a folder beside the target: it becomes the target at the end, or is removed if the block fails.

    Dask raises the first error while other threads still write chunks. So its threads are a pool of this call, which
    ends before the folder is removed.
    """
    import dask

    threads = dask.config.get("num_workers", None) or dask.system.CPU_COUNT
    folder = target.with_name(f"{target.name}.unfinished-{os.getpid()}")
    try:
        with ThreadPoolExecutor(threads) as pool, dask.config.set(pool=pool):
            yield folder
        folder.rename(target)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _checked_axes(letters: str, count: int) -> str:
    order = list(KINDS)
    if (
        len(letters) != count
        or any(a not in KINDS for a in letters)
        or sorted(letters, key=order.index) != list(letters)
    ):
        rule = f"the image has {count} axes, and a letter for each must be one of t, c, z, y, x, in this order"
        raise bad_value(_OP, "axes", letters, rule, "pass axes=")
    return letters


def _checked_choices(method: str, version: str, downsample: str, letters: str) -> list[int]:
    """Return the axes that are halved."""
    if method not in _METHODS:
        raise bad_value(_OP, "method", method, "this method is unknown", f"pass one of {', '.join(_METHODS)}")
    if version not in ("0.4", "0.5"):
        raise bad_value(_OP, "version", version, "OME-Zarr is written as 0.4 or 0.5", "pass one of them")
    absent = [letter for letter in downsample if letter not in letters or KINDS.get(letter) != "space"]
    if absent or not downsample:
        raise bad_value(_OP, "downsample", downsample, f"the axes of space are among {letters}", "pass some of them")
    return [letters.index(letter) for letter in downsample]


def _opened(source: Any) -> tuple[Any, dict[str, Any]]:
    """Return the image as a Dask array, and what its metadata say."""
    import dask.array as da
    import zarr

    found: dict[str, Any] = {}
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if path.endswith(".npy"):
            source = np.load(path, mmap_mode="r")
        elif not Path(path).exists():
            raise bad_value(_OP, "source", path, "there is nothing", "pass the path of a Zarr array or a .npy file")
        else:
            source = zarr.open(path, mode="r")
    if isinstance(source, zarr.Group):
        letters, first, scale, translation, unit = read(_OP, dict(source.attrs))
        found = {"axes": letters, "scale": scale, "translation": translation, "unit": unit}
        source = source[first]
    if isinstance(source, zarr.Array):
        return da.from_zarr(source), found
    if isinstance(source, da.Array):
        return source, found
    if isinstance(source, np.ndarray):
        return da.from_array(source, chunks=(*(1,) * (source.ndim - 2), *(_CHUNK,) * min(source.ndim, 2))), found
    raise bad_type(
        _OP, "source", Raw(f"<{type(source).__name__}>"), "it is no image", "pass an array or the path of one"
    )


def _rechunked(image: Any, letters: str, halved: list[int], chunk: int | None) -> Any:
    """Cut the image into chunks of one size."""
    sizes = {}
    for axis, chunks in enumerate(image.chunks):
        most = max(chunks)
        sizes[axis] = min(chunk, image.shape[axis]) if chunk and (axis in halved or letters[axis] in "yx") else most
    return image.rechunk(sizes)


def _shapes(shape: tuple[int, ...], halved: list[int], limit: int, levels: int | None) -> list[tuple[int, ...]]:
    """Return the shape of each level."""
    shapes = [tuple(shape)]
    while (levels is None or len(shapes) < levels) and max(shapes[-1][axis] for axis in halved) > (
        limit if levels is None else 1
    ):
        shapes.append(tuple(max(n // 2, 1) if axis in halved else n for axis, n in enumerate(shapes[-1])))
    return shapes


def _write(
    image: Any,
    folder: Path,
    shapes: list[tuple[int, ...]],
    method: PyramidMethod,
    letters: str,
    about: dict[str, Any],
    version: str,
    progress: bool,
) -> None:
    """Write each level from the one before, and the metadata last."""
    import dask.array as da
    import zarr
    from dask.diagnostics import ProgressBar

    old = version == "0.4"
    group = zarr.open_group(os.fspath(folder), mode="w-", zarr_format=2 if old else 3)
    chunks = tuple(max(c) for c in image.chunks)
    for level, shape in enumerate(shapes):
        made = image if level == 0 else _smaller(da.from_zarr(group[str(level - 1)]), shape, method)
        layout = {"chunk_key_encoding": {"name": "v2", "separator": "/"}} if old else {"dimension_names": list(letters)}
        stored = group.create_array(
            str(level), shape=shape, chunks=tuple(map(min, chunks, shape)), dtype=image.dtype, **layout
        )
        if progress:
            print(f"level {level}: {' x '.join(map(str, shape))}")
        with ProgressBar() if progress else nullcontext():
            da.store(made.rechunk(stored.chunks), stored, lock=False)
    labels = {"image-label": {"version": version}} if method in ("mode", "nearest") and old else {}
    if old:
        group.attrs.update({"multiscales": [about], **labels})
        return
    described: dict[str, Any] = {"version": version, "multiscales": [about]}
    if method in ("mode", "nearest"):
        described["image-label"] = {}
    group.attrs["ome"] = described


def _smaller(image: Any, shape: tuple[int, ...], method: PyramidMethod) -> Any:
    if method == "mode":
        return downsample_mode(image, shape)
    changed = tuple(axis for axis, n in enumerate(shape) if n != image.shape[axis])
    if math.prod(shape) == 0 or not changed:
        return image
    mode: ResizeMode = "nearest-exact" if method == "nearest" else method
    antialias = method in ("linear", "cubic", "lanczos")
    return resize(image, tuple(shape[a] for a in changed), axes=changed, mode=mode, antialias=antialias)

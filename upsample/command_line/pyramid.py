"""``upsample pyramid IN OUT``: write an image at several resolutions as OME-Zarr."""

from __future__ import annotations

import argparse
import sys

__all__ = ["add_parser", "pyramid"]


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its options."""
    about = "write an image of any size, and ever smaller versions of it, as OME-Zarr"
    parser = commands.add_parser("pyramid", help=about, description=about[0].upper() + about[1:] + ".")
    parser.add_argument("source", metavar="IN", help="a Zarr array, an OME-Zarr group, or a .npy file")
    parser.add_argument("target", metavar="OUT", help="the folder to write, complete or not at all; it must not exist")
    parser.add_argument("--axes", help="a letter for each axis out of tczyx (default: by their number)")
    parser.add_argument(
        "--method",
        default="area",
        help="area, or for labels mode or nearest; also linear, cubic, lanczos (%(default)s)",
    )
    parser.add_argument("--levels", type=int, metavar="N", help="how many (default: until a chunk holds the last one)")
    parser.add_argument("--downsample", default="yx", metavar="AXES", help="the axes to halve (%(default)s)")
    parser.add_argument("--chunk", type=int, metavar="N", help="samples of a chunk along y and x (default: as in IN)")
    parser.add_argument("--pixel-size", metavar="A,B,...", help="size of a sample along each axis (default: as in IN)")
    parser.add_argument("--unit", help="of the axes of space, such as micrometer")
    parser.add_argument("--ome-zarr", default="0.5", metavar="VERSION", help="0.4 or 0.5 (%(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def pyramid(given: argparse.Namespace) -> int:
    """Write the pyramid; return 0, or 2 if an argument is wrong."""
    from upsample.pyramid import write_pyramid

    try:
        size = None if given.pixel_size is None else [float(number) for number in given.pixel_size.split(",")]
        shapes = write_pyramid(
            given.source,
            given.target,
            axes=given.axes,
            method=given.method,
            levels=given.levels,
            downsample=given.downsample,
            chunk=given.chunk,
            pixel_size=size,
            unit=given.unit,
            version=given.ome_zarr,
            progress=not given.quiet,
        )
    except (ValueError, TypeError) as error:
        print(f"upsample pyramid: {error}", file=sys.stderr)
        return 2
    print(f"{given.target}: {len(shapes)} levels, the last one {' x '.join(map(str, shapes[-1]))}")
    return 0

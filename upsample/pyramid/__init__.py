"""Image pyramids: arrays larger than memory as OME-Zarr, a level at a time (``pip install "upsample[zarr]"``)."""

from upsample.pyramid.mode import downsample_mode
from upsample.pyramid.write import write_pyramid

__all__ = ["downsample_mode", "write_pyramid"]

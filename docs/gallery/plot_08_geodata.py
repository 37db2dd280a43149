"""
Geodata with gaps
=================

Clouds hide a part of a raster. By default a missing cell, NaN, makes every output missing that has a weight for it.
``nan="omit"`` takes the weighted mean of the cells that are there.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

y, x = np.mgrid[:64, :64] / 63
temperature = 12 + 6 * np.sin(3 * x + 2 * y) + 2 * np.cos(9 * y)
clouds = np.sin(11 * x + 3 * y) * np.cos(7 * y - 4 * x) > 0.72
raster = np.where(clouds, np.nan, temperature)

propagated = upsample.resize(raster, (16, 16), mode="area")
omitted = upsample.resize(raster, (16, 16), mode="area", nan="omit")
for title, result in {"input": raster, "propagate": propagated, "omit": omitted}.items():
    print(f"{title:10} {np.isnan(result).mean():.0%} missing")

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
pictures = {"64 × 64": raster, "nan='propagate'": propagated, "nan='omit'": omitted}
for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
    axis.imshow(picture, cmap="inferno", vmin=4, vmax=20)
    axis.set_title(title)
    axis.set_facecolor("lightgrey")
    axis.set(xticks=[], yticks=[])
plt.show()

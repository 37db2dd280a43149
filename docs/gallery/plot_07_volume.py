"""
A volume with anisotropic voxels
================================

A scan with slices four times as thick as its pixels are wide, resampled to cubic voxels along one axis only.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

z, y, x = np.mgrid[:12, :48, :48]
ball = np.sqrt((4 * z - 22) ** 2 + (y - 24) ** 2 + (x - 24) ** 2)
scan = np.clip(20 - ball, 0, 4).astype(np.float32) + (np.abs(ball - 8) < 2)

nearest = upsample.resize(scan, scale=4, axes=0, mode="nearest-exact")
cubic = upsample.resize(scan, scale=4, axes=0, mode="cubic")
print(scan.shape, "->", cubic.shape)

figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
for axis, (title, volume) in zip(
    axes, {"12 slices": scan, "nearest-exact": nearest, "cubic": cubic}.items(), strict=True
):
    axis.imshow(volume[:, 24], aspect="auto", cmap="bone")
    axis.set_title(title)
    axis.axis("off")
plt.show()

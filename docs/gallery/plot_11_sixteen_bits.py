"""
16-bit images
=============

A microscope writes 16 bits, of which a picture may use only the lowest few hundred levels. Converting to 8 bits first
loses them. ``resize`` takes ``uint16`` as it is and rounds once.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

y, x = np.mgrid[:64, :64] / 63
image = (1000 + 60 * np.exp(-20 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)) + 8 * np.sin(20 * x)).astype(np.uint16)

direct = upsample.resize(image, scale=4, mode="cubic")
by_bytes = upsample.resize((image >> 8).astype(np.uint8), scale=4, mode="cubic").astype(np.uint16) << 8
print("levels in the input:", np.unique(image).size)
print("levels in the result:", np.unique(direct).size, "by way of 8 bits:", np.unique(by_bytes).size)

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
pictures = {"uint16, 64 × 64": image, "resize, uint16": direct, "by way of uint8": by_bytes}
for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
    axis.imshow(picture, cmap="magma", vmin=990, vmax=1070)
    axis.set_title(title)
    axis.axis("off")
plt.show()

"""
Checkerboards of transposed convolution
=======================================

A transposed convolution whose kernel is not a multiple of its stride adds more terms to some outputs than to others. A
constant input becomes a checkerboard. Resizing first and convolving afterwards avoids it, and so does a kernel of four
with a stride of two.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

x = np.ones((1, 1, 8, 8))


def smooth_kernel(width: int) -> np.ndarray:
    """Return a kernel of random positive weights whose sum is 4, so that stride 2 keeps the mean."""
    kernel = np.random.default_rng(3).random((1, 1, width, width)) + 0.5
    return 4 * kernel / kernel.sum()


def resize_then_convolve(image: np.ndarray, width: int) -> np.ndarray:
    """Enlarge by repetition, then convolve; a transposed convolution of stride 1 is a convolution."""
    large = upsample.interpolate(image, scale_factor=2)
    return upsample.conv_transpose2d(large, smooth_kernel(width) / 4, padding=width // 2)


pictures = {
    "kernel 3, stride 2": upsample.conv_transpose2d(x, smooth_kernel(3), stride=2, padding=1, output_padding=1),
    "kernel 4, stride 2": upsample.conv_transpose2d(x, smooth_kernel(4), stride=2, padding=1),
    "resize ×2, kernel 3": resize_then_convolve(x, 3),
}

# %%
# The borders are left out: there every version has fewer terms.

figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
    inside = picture[0, 0, 3:-3, 3:-3]
    axis.imshow(inside, cmap="gray", vmin=0, vmax=2, interpolation="nearest")
    axis.set_title(f"{title}\nfrom {inside.min():.2f} to {inside.max():.2f}")
    axis.axis("off")
plt.show()

"""
A differentiable super-resolution toy
=====================================

Fit a 4 × 4 kernel of a transposed convolution so that it doubles the resolution of random textures better than
interpolation does. Plain gradient descent, with the gradient from ``vjp``.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

rng = np.random.default_rng(0)
noise = rng.standard_normal((32, 1, 48, 48))
large = upsample.interpolate(noise, size=(16, 16), mode="bicubic", antialias=True)
small = upsample.interpolate(large, size=(8, 8), mode="area")

# %%
# Begin with the kernel that is the same as bilinear interpolation, then descend.

line = np.asarray([0.25, 0.75, 0.75, 0.25])
weight = np.outer(line, line)[None, None]
losses = []
for _ in range(40):
    result, pullback = upsample.vjp(upsample.conv_transpose2d, small, weight, stride=2, padding=1)
    difference = result - large
    losses.append(float((difference**2).mean()))
    _, gradient = pullback(2 * difference / difference.size)
    weight -= 4.0 * gradient

bicubic = upsample.interpolate(small, scale_factor=2, mode="bicubic")
print(
    f"mean squared error: bilinear {losses[0]:.4f}, learned {losses[-1]:.4f}, "
    f"bicubic {float(((bicubic - large) ** 2).mean()):.4f}"
)

figure, axes = plt.subplots(1, 4, figsize=(11, 2.9), layout="constrained")
axes[0].imshow(small[0, 0])
axes[0].set_title("input")
axes[1].imshow(result[0, 0])
axes[1].set_title("learned")
axes[2].imshow(large[0, 0])
axes[2].set_title("truth")
axes[3].imshow(weight[0, 0])
axes[3].set_title("kernel")
for axis in axes:
    axis.axis("off")
plt.show()

"""
Gradient ascent through an upsampler
====================================

Which small picture becomes, after bicubic enlargement, as similar as possible to a large one? Ascend the gradient of
the similarity. ``vjp`` gives the gradient of the enlargement on plain NumPy arrays.
"""

import matplotlib.pyplot as plt
import numpy as np

import upsample

y, x = np.mgrid[:64, :64] / 63
target = (np.hypot(x - 0.5, y - 0.5) < 0.35).astype(float) * (0.5 + 0.5 * np.sin(12 * x))

small = np.zeros((1, 1, 16, 16))
errors = []
for _ in range(60):
    large, pullback = upsample.vjp(upsample.interpolate, small, size=(64, 64), mode="bicubic", align_corners=False)
    difference = large - target
    errors.append(float((difference**2).mean()))
    (gradient,) = pullback(difference)
    small -= 0.06 * gradient

# %%
# Compare with the antialiased shrinkage of the target. Its enlargement is close, but only the optimised one is best.

shrunk = upsample.interpolate(target[None, None], size=(16, 16), mode="bicubic", antialias=True)
back = upsample.interpolate(shrunk, size=(64, 64), mode="bicubic")
print(f"mean squared error: optimised {errors[-1]:.5f}, shrunk and enlarged {float(((back - target) ** 2).mean()):.5f}")

figure, axes = plt.subplots(1, 4, figsize=(11, 2.9), layout="constrained")
for axis, (title, picture) in zip(
    axes, {"target": target, "optimised, 16 × 16": small[0, 0], "enlarged": large[0, 0]}.items(), strict=False
):
    axis.imshow(picture, cmap="viridis", vmin=-0.1, vmax=1.1)
    axis.set_title(title)
    axis.axis("off")
axes[3].semilogy(errors)
axes[3].set(title="mean squared error", xlabel="step")
plt.show()

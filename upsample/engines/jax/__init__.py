"""Arrays of JAX: each op is a few XLA operations, whose number does not grow with the taps of a window.

The portable engine applies one operation for each tap, and XLA compiles each of them: a window of 128 samples took two
minutes. Here an op is a gather by a table, a windowed reduction, a scatter or XLA's own convolution.
"""

"""Compiles the kernels for real architectures without a GPU, a driver or CUDA's toolkit, and reads what they use."""

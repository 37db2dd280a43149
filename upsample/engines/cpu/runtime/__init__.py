"""Shared by the kernels of all ops: compilation, GEMM micro-kernel, SIMD copies, non-temporal stores, window grids."""

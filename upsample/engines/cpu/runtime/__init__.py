"""What the kernels of all ops use: compilation, GEMM micro-kernel, SIMD copies, non-temporal stores, window grids."""

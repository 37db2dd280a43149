// One product of kernels/mma.cuh on fragments as they are given, for test_conv_transpose_mma.py.
#include "mma.cuh"

#ifndef SCALAR
#define SCALAR __half
#endif
#ifndef SHUFFLES
#define SHUFFLES 0
#endif

// a [warps, 32, 4], b [warps, 32, 2], c [warps, 32, 4]; block: a warp.
KERNEL(32)
probe(const uint32* __restrict__ a, const uint32* __restrict__ b, float* __restrict__ c) {
  const int lane = blockIdx.x * 32 + threadIdx.x;
  const uint32 mine_a[4] = {a[lane * 4], a[lane * 4 + 1], a[lane * 4 + 2], a[lane * 4 + 3]};
  const uint32 mine_b[2] = {b[lane * 2], b[lane * 2 + 1]};
  float sums[4] = {c[lane * 4], c[lane * 4 + 1], c[lane * 4 + 2], c[lane * 4 + 3]};
  if (SHUFFLES)
    multiply_add_by_shuffles<SCALAR>(sums, mine_a, mine_b);
  else
    multiply_add<SCALAR>(sums, mine_a, mine_b);
  for (int i = 0; i < 4; ++i) c[lane * 4 + i] = sums[i];
}

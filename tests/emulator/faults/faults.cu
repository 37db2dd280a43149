// Kernels with one fault each, for the emulator to find, and with FIXED=1 without it.
//
// One warp or more a block, one thread an element, unless the kernel says otherwise.
#include "common.cuh"

#ifndef FIXED
#define FIXED 0
#endif

// ---- memory: AddressSanitizer ----

KERNEL(256) reads_past_the_end(const float* __restrict__ x, float* __restrict__ y, const int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = x[i + 1 - FIXED];
}

KERNEL(256) writes_before_the_start(const float* __restrict__ x, float* __restrict__ y, const int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i - 1 + FIXED] = x[i];
}

KERNEL(256) needs_more_shared_memory(const float* __restrict__ x, float* __restrict__ y, const int n) {
  DYN_SHARED(float, row);
  const int i = threadIdx.x;
  row[i + 1 - FIXED] = x[i];
  if (i < n) y[i] = row[i + 1 - FIXED];
}

// ---- arithmetic and alignment: UBSan ----

KERNEL(256) loads_a_misaligned_pack(const float* __restrict__ x, float* __restrict__ y, const int n) {
  const auto pack = *reinterpret_cast<const Pack<float, 4>*>(x + 1 - FIXED);
  if (int(threadIdx.x) < n) y[threadIdx.x] = pack.at[threadIdx.x & 3];
}

KERNEL(256) overflows(const float* __restrict__ x, float* __restrict__ y, const int n) {
  const int i = threadIdx.x;
  const int large = (n + 65536) * (FIXED ? 1 : 65536);
  if (i < n) y[i] = large == 5 ? 0.f : x[i];
}

KERNEL(256) converts_what_is_too_large(const float* __restrict__ x, float* __restrict__ y, const int n) {
  const int i = threadIdx.x;
  if (i < n) y[i] = int(x[i] * (FIXED ? 1.f : 1e20f)) == 77 ? 0.f : x[i];
}

// ---- barriers: the scheduler ----

KERNEL(256) not_all_reach_the_barrier(const float* __restrict__ x, float* __restrict__ y, const int n) {
  const int i = threadIdx.x;
  if (FIXED || i < 5) __syncthreads();
  if (i < n) y[i] = x[i];
}

KERNEL(256) waits_at_two_barriers(const float* __restrict__ x, float* __restrict__ y, const int n) {
  const int i = threadIdx.x;
  if (FIXED || i < 5)
    __syncthreads();
  else
    __syncthreads();
  if (i < n) y[i] = x[i];
}

// ---- races: other orders of the threads, ThreadSanitizer ----

KERNEL(256) reads_before_it_is_written(const float* __restrict__ x, float* __restrict__ y, const int n) {
  DYN_SHARED(float, row);
  const int i = threadIdx.x;
  row[i] = x[i];
#if FIXED
  __syncthreads();
#endif
  if (i < n) y[i] = row[n - 1 - i];
}

// y[i] is the sum over three rows of x of what lies to the right of i, cyclically; one row of shared memory.
KERNEL(256) overwrites_what_is_still_read(const float* __restrict__ x, float* __restrict__ y, const int n) {
  DYN_SHARED(float, row);
  const int i = threadIdx.x;
  float sum = 0.f;
  for (int k = 0; k < 3; ++k) {
    row[i] = x[k * n + i];
    __syncthreads();
    sum += row[(i + 1) % n];
#if FIXED
    __syncthreads();
#endif
  }
  y[i] = sum;
}

// All blocks write the same numbers to the same places; FIXED: only one block does.
KERNEL(256) blocks_write_one_place(const float* __restrict__ x, float* __restrict__ y, const int n) {
  const int i = threadIdx.x;
  if (i < n && (blockIdx.x == 0 || !FIXED)) y[i] = x[i];
}

KERNEL(256) trusts_the_warp_to_run_in_step(const float* __restrict__ x, float* __restrict__ y, const int n) {
  DYN_SHARED(float, row);
  const int i = threadIdx.x;
  row[i] = x[i];
#if FIXED
  __syncwarp();
#endif
  y[i] = row[i ^ 1];
}

KERNEL(256) reads_what_nobody_wrote(const float* __restrict__ x, float* __restrict__ y, const int n) {
  DYN_SHARED(float, row);
  const int i = threadIdx.x;
  if (FIXED || i) row[i] = x[i];
  __syncthreads();
  if (i < n) y[i] = row[i];
}

// ---- warps: the scheduler ----

KERNEL(256) is_not_in_its_own_mask(const float* __restrict__ x, float* __restrict__ y, const int n) {
  const int i = threadIdx.x;
  y[i] = __shfl_xor_sync(FIXED ? 0xffffffffu : 0xffffu, x[i], 1);
}

KERNEL(256) shuffles_from_outside_the_mask(const float* __restrict__ x, float* __restrict__ y, const int n) {
  const int i = threadIdx.x;
  const unsigned mask = i & 16 ? 0xffff0000u : 0xffffu;
  y[i] = __shfl_sync(mask, x[i], FIXED ? i ^ 1 : i ^ 16);
}

KERNEL(256) waits_for_a_lane_that_has_left(const float* __restrict__ x, float* __restrict__ y, const int n) {
  const int i = threadIdx.x;
  if (!FIXED && i == 3) return;
  y[i] = __shfl_xor_sync(0xffffffffu, x[i], 1);
}

// ---- no fault: what the warp functions return ----

#ifndef WIDTH
#define WIDTH 32
#endif

KERNEL(256) warp_functions(const int* __restrict__ x, int* __restrict__ up, int* __restrict__ down,
                           int* __restrict__ across, int* __restrict__ from, uint32* __restrict__ votes) {
  const int i = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  up[i] = __shfl_up_sync(0xffffffffu, x[i], 3, WIDTH);
  down[i] = __shfl_down_sync(0xffffffffu, x[i], 3, WIDTH);
  across[i] = __shfl_xor_sync(0xffffffffu, x[i], 5, WIDTH);
  from[i] = __shfl_sync(0xffffffffu, x[i], 2, WIDTH);
  if (i & 1) {  // the halves of a warp vote apart
    votes[i] = __ballot_sync(0xaaaaaaaau, x[i] > 50);
  } else {
    votes[i] = __ballot_sync(0x55555555u, x[i] > 50);
    __syncwarp(0x55555555u);
  }
  __syncwarp();
}

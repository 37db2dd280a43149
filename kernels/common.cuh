// What all kernels share: how an entry is declared, the types of memory and of arithmetic, wide loads and stores.
//
// Compiled by NVRTC for the device and, in the tests, by a host compiler with tests/emulator/include/cuda_on_cpu.h,
// which defines EMULATED, KERNEL and DYN_SHARED before this file is read. A .cu includes nothing but .cuh files, and
// each of its macros has a default, so that it compiles alone.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#ifndef EMULATED
// KERNEL(threads) name(...) or KERNEL(threads, blocks) name(...): an entry with its launch bounds.
#define KERNEL(...) extern "C" __global__ void __launch_bounds__(__VA_ARGS__)
// Dynamic shared memory, all of it; static shared arrays are not used, the emulator would add those of every kernel.
#define DYN_SHARED(T, name)                                        \
  extern __shared__ __align__(16) unsigned char dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(dynamic_shared)
#endif

#define DEVICE __device__ __forceinline__

using int64 = long long;
using uint8 = unsigned char;
using uint16 = unsigned short;
using uint32 = unsigned int;
using uint64 = unsigned long long;

// Spatial axes of a geometry: depth, height, width. Where there are fewer, the first ones have one position, one cell.
constexpr int AXES = 3;

// 16 bytes that are only moved: complex128.
struct __align__(16) uint128 {
  uint64 low, high;
};

// What a value in memory is in arithmetic, and back: half and bfloat16 are rounded to nearest even once, at the end.
template <typename Acc, typename Scalar>
DEVICE Acc widened(Scalar v) {
  return static_cast<Acc>(v);
}
template <>
DEVICE float widened<float, __half>(__half v) {
  return __half2float(v);
}
template <>
DEVICE float widened<float, __nv_bfloat16>(__nv_bfloat16 v) {
  return __bfloat162float(v);
}
template <typename Scalar, typename Acc>
DEVICE Scalar narrowed(Acc v) {
  return static_cast<Scalar>(v);
}
template <>
DEVICE __half narrowed<__half, float>(float v) {
  return __float2half_rn(v);
}
template <>
DEVICE __nv_bfloat16 narrowed<__nv_bfloat16, float>(float v) {
  return __float2bfloat16_rn(v);
}

// a * b + c, rounded once. Sums of products say so, and the compiler may fuse no others, so that a sum has the same bits
// whatever the compiler and the architecture. CuPy compiles with -ftz=true, which these ignore. Integers wrap around.
DEVICE float fused(float a, float b, float c) { return __fmaf_ieee_rn(a, b, c); }
DEVICE double fused(double a, double b, double c) { return fma(a, b, c); }
DEVICE int fused(int a, int b, int c) { return a * b + c; }
DEVICE int64 fused(int64 a, int64 b, int64 c) { return a * b + c; }
DEVICE uint64 fused(uint64 a, uint64 b, uint64 c) { return a * b + c; }

// a + b, where -ftz=true is ignored, too.
template <typename Acc>
DEVICE Acc added(Acc a, Acc b) {
  return static_cast<Acc>(a + b);
}
DEVICE float added(float a, float b) { return __fmaf_ieee_rn(a, 1.0f, b); }

// N values that lie side by side, moved as one: 16 bytes are the widest access of a thread. The address must be a
// multiple of their size.
template <typename Scalar, int N>
struct __align__(sizeof(Scalar) * N) Pack {
  Scalar at[N];
};

template <typename Index>
DEVICE Index lesser(Index a, Index b) {
  return a < b ? a : b;
}
template <typename Index>
DEVICE Index greater(Index a, Index b) {
  return a > b ? a : b;
}

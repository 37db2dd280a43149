// Products of small matrices by one warp on tensor cores.
#pragma once
#include "common.cuh"

// c += a b for a [16, 8 words] and b [8 words, 8]. A word is two neighbouring k of half or bfloat16 (m16n8k16 of the
// PTX ISA), or one k of float32 in TF32 (m16n8k8); both have one layout over the words. With lane = 4 * group + member:
//   a[0], a[1]  row group, row group + 8  of word `member`        b[0]  word `member` of column `group`
//   a[2], a[3]  the same rows             of word `member` + 4    b[1]  word `member` + 4
//   c[0], c[1]  columns 2 * member, 2 * member + 1 of row `group`; c[2], c[3] those of row `group` + 8
// All 32 lanes of a warp take part.

// float32 rounded to TF32's ten bits of fraction, ties away from zero; infinity and NaN stay what they are.
DEVICE uint32 tf32_bits(float v) {
#if !defined(EMULATED) && __CUDA_ARCH__ >= 800
  uint32 made;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(made) : "f"(v));
  return made;
#endif
  const uint32 bits = __float_as_uint(v);
  const uint32 magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return bits | 0x00400000u;
  return magnitude == 0x7f800000u ? bits : (bits + 0x1000u) & 0xffffe000u;
}

// A float32 as the sum of two TF32 numbers, 22 bits of its fraction; what is too large for TF32 is infinite.
DEVICE void split_tf32(uint32 bits, uint32& large, uint32& small) {
  large = tf32_bits(__uint_as_float(bits));
  small = tf32_bits(__uint_as_float(bits) - __uint_as_float(large));
}

// The values of a word times those of another, added to a sum.
template <typename Scalar>
DEVICE float word_product(uint32 a, uint32 b, float sum) {
  if constexpr (sizeof(Scalar) == 2) {
    Pack<Scalar, 2> p, q;
    memcpy(&p, &a, sizeof(a));
    memcpy(&q, &b, sizeof(b));
    sum = fused(widened<float>(p.at[0]), widened<float>(q.at[0]), sum);
    return fused(widened<float>(p.at[1]), widened<float>(q.at[1]), sum);
  } else {
    return fused(__uint_as_float(a), __uint_as_float(b), sum);
  }
}

// The same by shuffles, for architectures without the instruction.
template <typename Scalar>
DEVICE void multiply_add_by_shuffles(float (&c)[4], const uint32 (&a)[4], const uint32 (&b)[2]) {
  const uint32 all = 0xffffffffu;
  const int lane = threadIdx.x % 32, first = lane & ~3, column = lane % 4 * 8;
#pragma unroll 1  // unrolled, it spills registers
  for (int member = 0; member < 4; ++member)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const uint32 upper = __shfl_sync(all, a[2 * half], first + member);
      const uint32 lower = __shfl_sync(all, a[2 * half + 1], first + member);
      const uint32 left = __shfl_sync(all, b[half], column + member);
      const uint32 right = __shfl_sync(all, b[half], column + 4 + member);
      c[0] = word_product<Scalar>(upper, left, c[0]);
      c[1] = word_product<Scalar>(upper, right, c[1]);
      c[2] = word_product<Scalar>(lower, left, c[2]);
      c[3] = word_product<Scalar>(lower, right, c[3]);
    }
}

#ifdef EMULATED
template <typename Scalar>
DEVICE void multiply_add(float (&c)[4], const uint32 (&a)[4], const uint32 (&b)[2]) {
  coc_mma<Scalar>(c, a, b);  // tests/emulator/include/mma_on_cpu.h
}
#else
#define MMA(shape, type)                                                              \
  asm("mma.sync.aligned." shape ".row.col.f32." type "." type ".f32 "                 \
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"                         \
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                \
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]))
#define MMA_HALF_OF_K(a0, a1, b0)                                                     \
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "                             \
      "{%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"                                  \
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                \
      : "r"(a0), "r"(a1), "r"(b0))

template <typename Scalar>
DEVICE void multiply_add(float (&c)[4], const uint32 (&a)[4], const uint32 (&b)[2]) {
  multiply_add_by_shuffles<Scalar>(c, a, b);
}
#if __CUDA_ARCH__ >= 750  // before, there is m8n8k4 alone, which has other fragments
template <>
DEVICE void multiply_add<__half>(float (&c)[4], const uint32 (&a)[4], const uint32 (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  MMA("m16n8k16", "f16");
#else
  MMA_HALF_OF_K(a[0], a[1], b[0]);
  MMA_HALF_OF_K(a[2], a[3], b[1]);
#endif
}
#endif
#if __CUDA_ARCH__ >= 800
template <>
DEVICE void multiply_add<__nv_bfloat16>(float (&c)[4], const uint32 (&a)[4], const uint32 (&b)[2]) {
  MMA("m16n8k16", "bf16");
}
template <>
DEVICE void multiply_add<float>(float (&c)[4], const uint32 (&a)[4], const uint32 (&b)[2]) {
  MMA("m16n8k8", "tf32");
}
#endif
#undef MMA
#undef MMA_HALF_OF_K
#endif

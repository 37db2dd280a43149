// Arithmetic on the four bytes of a word.
#pragma once
#include "common.cuh"

// total + the low (high) two bytes of a word times two signed 16-bit weights.
DEVICE int dot_low(uint32 weights, uint32 bytes, int total) {
#ifndef EMULATED
  int made;
  asm("dp2a.lo.s32.u32 %0, %1, %2, %3;" : "=r"(made) : "r"(weights), "r"(bytes), "r"(total));
  return made;
#else
  const int first = static_cast<short>(weights), second = static_cast<short>(weights >> 16);
  return total + first * static_cast<int>(bytes & 255) + second * static_cast<int>(bytes >> 8 & 255);
#endif
}
DEVICE int dot_high(uint32 weights, uint32 bytes, int total) {
#ifndef EMULATED
  int made;
  asm("dp2a.hi.s32.u32 %0, %1, %2, %3;" : "=r"(made) : "r"(weights), "r"(bytes), "r"(total));
  return made;
#else
  return dot_low(weights, bytes >> 16, total);
#endif
}

// The same of bytes from -128 to 127.
DEVICE int dot_low_signed(uint32 weights, uint32 bytes, int total) {
#ifndef EMULATED
  int made;
  asm("dp2a.lo.s32.s32 %0, %1, %2, %3;" : "=r"(made) : "r"(weights), "r"(bytes), "r"(total));
  return made;
#else
  const int first = static_cast<short>(weights), second = static_cast<short>(weights >> 16);
  return total + first * static_cast<signed char>(bytes) + second * static_cast<signed char>(bytes >> 8);
#endif
}
DEVICE int dot_high_signed(uint32 weights, uint32 bytes, int total) {
#ifndef EMULATED
  int made;
  asm("dp2a.hi.s32.s32 %0, %1, %2, %3;" : "=r"(made) : "r"(weights), "r"(bytes), "r"(total));
  return made;
#else
  return dot_low_signed(weights, bytes >> 16, total);
#endif
}

// Two integers as the 16-bit numbers of a word, the first lower; what is below -32768 or above 32767 becomes that.
DEVICE uint32 shorts_of(int first, int second) {
#if !defined(EMULATED) && __CUDA_ARCH__ >= 720
  uint32 made;
  asm("cvt.pack.sat.s16.s32 %0, %1, %2;" : "=r"(made) : "r"(second), "r"(first));
  return made;
#else
  const auto limited = [](int v) { return static_cast<uint32>(lesser(greater(v, -32768), 32767)) & 0xffffu; };
  return limited(first) | limited(second) << 16;
#endif
}

// Four integers as the bytes of a word, the first lowest; what is below 0 or above 255 becomes that.
DEVICE uint32 bytes_of(const int (&v)[4]) {
#if !defined(EMULATED) && __CUDA_ARCH__ >= 720
  uint32 upper, made;
  asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, 0;" : "=r"(upper) : "r"(v[3]), "r"(v[2]));
  asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, %3;" : "=r"(made) : "r"(v[1]), "r"(v[0]), "r"(upper));
  return made;
#else
  uint32 made = 0;
#pragma unroll
  for (int i = 0; i < 4; ++i) made |= static_cast<uint32>(lesser(greater(v[i], 0), 255)) << 8 * i;
  return made;
#endif
}

// Four bytes of the eight of two words, by three bits of each nibble; the upper bit must be zero.
DEVICE uint32 picked(uint32 low, uint32 high, uint32 selector) {
#ifndef EMULATED
  uint32 made;
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(made) : "r"(low), "r"(high), "r"(selector));
  return made;
#else
  return __byte_perm(low, high, selector);
#endif
}

// The same value, which the compiler then keeps in a register instead of making it again.
DEVICE uint32 kept(uint32 value) {
#ifndef EMULATED
  asm volatile("" : "+r"(value));
#endif
  return value;
}

// What the kernels that resample by tap tables share: the order of sums, a sum's end, and the flags of a table's counts.
//
// The order of sums, which is that of the compiled engine (upsample.engines.cpu.fma), so that both have the same bits:
// total = +0; for each tap, ascending: total = fused(weight, input, total); result = total + 0. The plan says in which
// order axes are filtered. Half and bfloat16 are rounded once, at the end.
#pragma once
#include "common.cuh"

// An output's number of taps has two flags above it: whether torch would also have multiplied the first or the last
// of them by zero (upsample.plans.taps, mixed_first and mixed_last), which shows where that is infinite.
constexpr int MIXED_FIRST = 1 << 29, MIXED_LAST = 1 << 30, TAP_COUNT = MIXED_FIRST - 1;

template <typename Acc>
constexpr bool WHOLE = false;
template <>
constexpr bool WHOLE<int> = true;
template <>
constexpr bool WHOLE<int64> = true;

// The end of one axis' sum. Bytes are summed in integers, with weights that are multiples of a power of two; `how` is
// upsample.plans.taps.settling: by how many places to shift, and 256 times a kind. Of a float -0 becomes +0.
constexpr int BETWEEN = 1;  // a 16-bit number between two axes; else a byte
constexpr int TO_EVEN = 2;  // a byte, ties to even; else ties up, as torch does
template <typename Acc>
DEVICE Acc settled(Acc total, int how) {
  if constexpr (WHOLE<Acc>) {
    const int shift = how & 255, kind = how >> 8;
    const Acc half = (static_cast<Acc>(1) << shift >> 1) - (kind == TO_EVEN ? 1 - (total >> shift & 1) : 0);
    const Acc rounded = (total + half) >> shift;
    return lesser<Acc>(greater<Acc>(rounded, kind == BETWEEN ? -32768 : 0), kind == BETWEEN ? 32767 : 255);
  } else {
    return fused(total, static_cast<Acc>(1), static_cast<Acc>(0));
  }
}

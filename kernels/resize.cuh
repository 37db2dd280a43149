// What the kernels that resample by tap tables share: a sum's end, and the flags of a table's counts.
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

// The end of one axis' sum. Bytes are summed in integers, with weights that are multiples of 2**-shift, and each axis
// rounds half up and clamps, as torch does (aten/src/ATen/native/cpu/UpSampleKernel.cpp); a float stays as it is.
template <typename Acc>
DEVICE Acc settled(Acc total, int shift) {
  if constexpr (WHOLE<Acc>) {
    const Acc rounded = (total + (static_cast<Acc>(1) << shift >> 1)) >> shift;
    return lesser<Acc>(greater<Acc>(rounded, 0), 255);
  } else {
    return total;
  }
}

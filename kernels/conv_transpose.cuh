// What both ways of transposed convolution share.
#pragma once
#include "common.cuh"

// What values are summed in.
template <typename Scalar>
struct AccOf {
  using type = float;
};
template <>
struct AccOf<double> {
  using type = double;
};
template <>
struct AccOf<uint64> {  // int64, too: sums wrap around
  using type = uint64;
};

// What a product of matrices takes out of shared memory: a value for the ordinary cores; two half or bfloat16 values,
// or one in TF32, for tensor cores.
template <bool Tensor, typename Scalar>
struct WordOf {
  using type = Scalar;
};
template <typename Scalar>
struct WordOf<true, Scalar> {
  using type = uint32;
};

template <typename Acc>
DEVICE bool is_finite(Acc v) {
  return v - v == Acc(0);
}

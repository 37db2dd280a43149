// Adds the shares of a sum that conv_weight.cu and conv_weight_direct.cu leave.
#include "conv_transpose.cuh"

#ifndef SCALAR
#define SCALAR float
#endif

using Acc = AccOf<SCALAR>::type;

struct Geometry {
  int64 items;                     // of w
  int shares, group;               // that there are, and of a group
  int channels, outputs;           // channels: of all groups
  int taps, reaching, padded;      // of w; those that reach anything; outputs of such a tap in `part`
};

// part [shares, channels, reaching, padded] -> w [channels, outputs, taps]; `places` says which of the reaching taps
// each tap is, or -1: its weight's gradient is 0.
//
// Thread: a value of w, in the order of `part`. The shares of a group are added in order, then the groups; a half or
// bfloat16 is rounded once, at the end.
KERNEL(256)
add_shares(const Acc* __restrict__ part, const int* __restrict__ places, SCALAR* __restrict__ w, const Geometry g) {
  const int64 item = blockIdx.x * int64(256) + threadIdx.x;
  if (item >= g.items) return;
  const int output = int(item % g.outputs), tap = int(item / g.outputs % g.taps), place = places[tap];
  const int64 channel = item / g.outputs / g.taps, step = int64(g.channels) * g.reaching * g.padded;
  Acc total = 0;
  if (place >= 0) {
    part += (channel * g.reaching + place) * g.padded + output;
    for (int first = 0; first < g.shares; first += g.group) {
      const int end = lesser(first + g.group, g.shares);
      Acc sum = 0;
#pragma unroll 8
      for (int share = first; share < end; ++share) sum = added(sum, __ldg(part + share * step));
      total = added(total, sum);
    }
  }
  w[(channel * g.outputs + output) * g.taps + tap] = narrowed<SCALAR>(total);
}

// Weights in the order in which conv_transpose.cu reads them.
#include "common.cuh"

// an unsigned integer of the size of a weight
#ifndef SCALAR
#define SCALAR uint32
#endif
// input channels side by side in a word
#ifndef CHANNELS
#define CHANNELS 1
#endif

struct Geometry {
  int groups, channels, outputs, taps;  // of a group
  int words, padded;                    // of a tap in y: words of channels, and outputs
  int channel_step, output_step;        // of x
};

// y[group, tap, word, output] = the weights of CHANNELS input channels, from x[group, channel, output, tap] or, for the
// gradient, x[group, output, channel, tap]; zeros where channels or outputs are padding.
//
// Thread x is an output; y and z step over words and groups, and each thread over the taps, which lie side by side in
// x. Values only move.
KERNEL(128)
arrange(const SCALAR* __restrict__ x, SCALAR* __restrict__ y, const Geometry g) {
  using Word = Pack<SCALAR, CHANNELS>;
  const int output = blockIdx.x * 128 + threadIdx.x;
  if (output >= g.padded) return;
  for (int group = blockIdx.z; group < g.groups; group += gridDim.z)
    for (int word = blockIdx.y; word < g.words; word += gridDim.y) {
      const SCALAR* const from = x + int64(group) * g.channels * g.outputs * g.taps +
                                 int64(word) * CHANNELS * g.channel_step + int64(output) * g.output_step;
      Word* const to = reinterpret_cast<Word*>(y) + (int64(group) * g.taps * g.words + word) * g.padded + output;
      for (int tap = 0; tap < g.taps; ++tap) {
        Word made = {};
#pragma unroll
        for (int c = 0; c < CHANNELS; ++c)
          if (output < g.outputs && word * CHANNELS + c < g.channels)
            made.at[c] = from[int64(c) * g.channel_step + tap];
        to[int64(tap) * g.words * g.padded] = made;
      }
    }
}
